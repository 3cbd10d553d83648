"""`python -m forecourt_edge --config station.json`: run until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from forecourt_edge import journal
from forecourt_edge.component import Component
from forecourt_edge.config import EdgeConfig, load_config
from forecourt_edge.errors import EdgeError
from forecourt_edge.quarantine import Quarantine

EXIT_UNUSABLE = 2  # Doing it again will not help; a person has to change something.
ALL = "all"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    journal.configure()
    try:
        config = load_config(options.config)
        if options.refused:
            _list_refused(config)
        elif options.send_again is not None:
            _send_again(config, options.send_again)
        elif not options.check:
            asyncio.run(_run(config))
    except (EdgeError, OSError) as error:
        facts = vars(error) if isinstance(error, EdgeError) else {"reason": str(error)}
        facts = {"error": type(error).__name__, **facts}
        # A technician's mistake is no fault of the component, which may be running.
        if options.refused or options.send_again is not None:
            journal.alarm("command_failed", **facts)
        else:
            journal.alarm("component_unusable", **facts)
        return EXIT_UNUSABLE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m forecourt_edge", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the station's JSON file")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--check", action="store_true", help="only validate the configuration")
    instead.add_argument(
        "--refused",
        action="store_true",
        help="only list the messages that the cloud refused; the component may be running",
    )
    instead.add_argument(
        "--send-again",
        metavar="REASON",
        help=f"only put back what was refused for this reason, or `{ALL}` of it, to be sent again;"
        " the component may be running",
    )
    return parser


def _list_refused(config: EdgeConfig) -> None:
    with closing(Quarantine(config.outbox)) as quarantine:
        kept = quarantine.kept()
    for each in kept:
        journal.note(
            "refused_message",
            message_id=each.message_id,
            lane=each.lane,
            reason=each.reason,
            refused_at=each.refused_at,
            readable=each.readable,
        )
    counts = Counter(each.reason for each in kept)
    journal.note("refused", count=len(kept), reasons=dict(counts.most_common()))


def _send_again(config: EdgeConfig, reason: str) -> None:
    with closing(Quarantine(config.outbox)) as quarantine:
        outcome = quarantine.put_back(reason=None if reason == ALL else reason)
    journal.note("put_back", reason=reason, **asdict(outcome))


async def _run(config: EdgeConfig) -> None:
    loop = asyncio.get_running_loop()
    async with Component(config) as component:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, component.stop)
        await component.ended()


if __name__ == "__main__":
    sys.exit(main())
