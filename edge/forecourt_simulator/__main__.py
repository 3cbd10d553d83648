"""
A station in a terminal, to try an edge component by hand.

    python -m forecourt_simulator --port 5020 --nozzles 8 --speed 20 --seed 7
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from forecourt.sales import STATION_ID
from forecourt_edge.errors import InvalidConfig
from forecourt_edge.profile import load_profile
from forecourt_simulator.cameras import Eyesight
from forecourt_simulator.clock import PacedClock
from forecourt_simulator.drivers import Habits, draw_drivers
from forecourt_simulator.push import check_url
from forecourt_simulator.screen import show
from forecourt_simulator.station import Station, usual_nozzles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BAD_USAGE = 2
_PORT_MAX = 65_535
_PERCENT = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted, or until the wanted number of drivers has been served."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    try:
        return asyncio.run(_run(options, console))
    except (InvalidConfig, OSError, ValueError) as error:
        sys.stderr.write(f"forecourt_simulator: {error}\n")
        return _BAD_USAGE


async def _run(options: argparse.Namespace, console: Console) -> int:
    station = _station(options)
    async with station:
        if options.wiring:
            document = json.dumps(station.wiring(with_cameras=bool(station.cameras)), indent=2)
            await asyncio.to_thread(options.wiring.write_text, document + "\n", "utf-8")
        serving = asyncio.create_task(station.run(visits=options.visits))
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows: Ctrl-C ends `asyncio.run` there.
                loop.add_signal_handler(stop, serving.cancel)
        with suppress(asyncio.CancelledError):
            await show(station, serving, console)
    return 0


def _station(options: argparse.Namespace) -> Station:
    profile = load_profile(options.profile)
    if options.nozzles > profile.max_nozzles:
        raise ValueError(f"{profile.name} has at most {profile.max_nozzles} nozzles")
    drivers = draw_drivers(seed=options.seed, count=options.drivers, stations=[options.station])
    return Station(
        station_id=options.station,
        drivers=drivers,
        nozzles=usual_nozzles(
            options.nozzles,
            seed=options.seed,
            station_id=options.station,
            first_transaction=options.first_transaction,
        ),
        seed=options.seed,
        profile=profile,
        clock=PacedClock(speed=options.speed),
        clock_offset_seconds=options.clock_offset,
        auto_authorise=not options.wait_for_authorisation,
        habits=Habits(arrivals_per_hour=options.arrivals),
        gateway_url=options.cameras,
        eyesight=Eyesight(misread_percent=options.misread),
        receipts_percent=options.receipts,
        waits_for_reader=options.wait_for_reader,
        host=options.host,
        port=options.port,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m forecourt_simulator",
        description="A petrol station on Modbus TCP, with drivers who come, fuel and leave.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_whole(0, _PORT_MAX), default=5020, help="0 takes a free one")
    add("--nozzles", type=_whole(1, 999), default=8, help="how many (default: %(default)s)")
    add("--speed", type=_factor, default=1.0, help="20: a minute takes three seconds")
    add("--seed", type=int, default=7, help="same seed, same drivers and sales")
    add("--station", type=_station_id, default="s0001", help="station id (default: %(default)s)")
    add("--drivers", type=_whole(1, 1_000_000), default=300, help="people who fuel here")
    add("--arrivals", type=_whole(1, 10_000), default=120, help="drivers an hour")
    add("--visits", type=_whole(1, 10_000_000), help="stop after so many drivers")
    add("--profile", default="forecourt-controller", help="register profile: a name or a file")
    add("--cameras", type=_url, metavar="URL", help="gateway that takes plates and evidence")
    add("--misread", type=_whole(0, _PERCENT), default=3, help="plates misread, in percent")
    add("--receipts", type=_whole(0, _PERCENT), default=0, help="sales the till tells, in percent")
    add("--first-transaction", type=_whole(1, _PORT_MAX), help="number of each nozzle's first sale")
    add("--clock-offset", type=int, default=0, metavar="SECONDS", help="device clock minus truth")
    add("--wait-for-authorisation", action="store_true", help="nozzles wait for the reader")
    add("--wait-for-reader", action="store_true", help="never overwrite an unread sale")
    add("--wiring", type=Path, metavar="FILE", help="write the gateway's configuration of this")
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number {least} to {most}")
        return int(text)

    return parse


def _factor(text: str) -> float:
    with suppress(ValueError):
        factor = float(text)
        if 0 < factor < float("inf"):
            return factor
    raise argparse.ArgumentTypeError(f"{text!r} is no positive number")


def _station_id(text: str) -> str:
    if not STATION_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} does not match {STATION_ID.pattern}")
    return text


def _url(text: str) -> str:
    try:
        return check_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
