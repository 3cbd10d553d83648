"""`python -m forecourt_edge --config station.json`: run until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from forecourt_edge import journal
from forecourt_edge.component import Component
from forecourt_edge.config import EdgeConfig, load_config
from forecourt_edge.errors import EdgeError

EXIT_UNUSABLE = 2  # Starting again will not help; a person has to change something.


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m forecourt_edge", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the station's JSON file")
    parser.add_argument("--check", action="store_true", help="only validate the configuration")
    options = parser.parse_args(arguments)
    journal.configure()
    try:
        config = load_config(options.config)
        if not options.check:
            asyncio.run(_run(config))
    except EdgeError as error:
        journal.alarm("component_unusable", error=type(error).__name__, **vars(error))
        return EXIT_UNUSABLE
    except OSError as error:
        journal.alarm("component_unusable", error=type(error).__name__, reason=str(error))
        return EXIT_UNUSABLE
    return 0


async def _run(config: EdgeConfig) -> None:
    loop = asyncio.get_running_loop()
    async with Component(config) as component:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, component.stop)
        await component.ended()


if __name__ == "__main__":
    sys.exit(main())
