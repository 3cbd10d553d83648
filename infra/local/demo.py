"""
`make demo`: litres at simulated pumps become points, before your eyes.

    python -m infra.local.demo               until Ctrl-C
    python -m infra.local.demo --sales 200   that many sales, then compares all books
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from forecourt.stored_sales import Status
from infra.local.errors import LocalStackError
from infra.local.following import Followed, Following, cancelled
from infra.local.scene import Scene
from infra.local.stack import LocalStack
from infra.local.tally import Tally, read_books, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SPEED = 20.0
SPEED_OF_A_COUNTED_RUN = 60.0
ROWS_SHOWN = 16
DRAINS_WITHIN_SECONDS = 180.0

FAULTY = 1
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last when a terminal is closed
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended

# Column and least width: together they fit into 80 columns, and what decided takes the rest.
COLUMNS = {
    "station": 7,
    "no": 2,
    "grade": 5,
    "litres": 6,
    "yuan": 7,
    "plate": 9,
    "member": 10,
    "points": 6,
    "sec": 4,
    "by": 5,
}
NUMERIC = {"no", "grade", "litres", "yuan", "points", "sec"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="make demo", description="Two stations, their drivers and the whole platform."
    )
    parser.add_argument("--sales", type=_count, help="stop after so many sales and compare")
    parser.add_argument("--seed", type=int, help="another seed, other drivers")
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.1f} s[/]  {line}")

    for each in ENDING:
        signal.signal(each, _interrupt_once)
    try:
        with contextlib.ExitStack() as running:
            stack = running.enter_context(LocalStack(say=say))
            return asyncio.run(_run(options, stack, running, console=console, say=say))
    except LocalStackError as error:
        console.print(str(error), style="red", markup=False)
        return FAULTY
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("\nEnded: every process of the demo has been stopped.")
        # Without a number to reach, Ctrl-C is how it is meant to end.
        return 0 if options.sales is None else INTERRUPTED


async def _run(
    options: argparse.Namespace,
    stack: LocalStack,
    running: contextlib.ExitStack,
    *,
    console: Console,
    say: Callable[[str], None],
) -> int:
    """Play the scene on *stack* and end *running* after it, before a thread that still asks it."""
    _cancel_once()
    counted = options.sales is not None
    with running:
        scene = Scene(
            stack,
            speed=SPEED_OF_A_COUNTED_RUN if counted else SPEED,
            say=say,
            **({} if options.seed is None else {"seed": options.seed}),
        )
        async with scene:
            _say_how_to_try(console, scene)
            board = Board(names=scene.members, wanted=options.sales)
            drained = await _show(console, scene, board, sales=options.sales)
        if not counted:
            return 0
        truths = [truth for station in scene.stations for truth in station.truth]
        result = tally(scene.stations, truths, await asyncio.to_thread(read_books, stack))
        _print_tally(console, result, board)
        return FAULTY if result.faults or not drained else 0


def _interrupt_once(*_: object) -> None:
    """Interrupt what runs; an impatient second signal must not interrupt the tidying."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _cancel_once() -> None:
    """Let the signals cancel this task instead, which an event loop survives tidily."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        for each in ENDING:
            loop.add_signal_handler(each, lambda: None)
        if task is not None:
            task.cancel()

    for each in ENDING:
        loop.add_signal_handler(each, cancel)


async def _show(console: Console, scene: Scene, board: Board, *, sales: int | None) -> bool:
    """Show sales as they happen; return whether the pipeline drained."""
    following = Following(scene.stack, on_change=board.put)
    for station in scene.stations:
        station.on_sale(following.follow)
    looking = asyncio.create_task(following.run())
    try:
        with Live(get_renderable=board.render, console=console, refresh_per_second=8):
            await scene.run(sales=sales)
            drained = await following.drained(within_seconds=DRAINS_WITHIN_SECONDS)
    finally:
        await cancelled(looking)
    return drained


class Board:
    """The live table: the latest sales and a line of totals."""

    def __init__(self, *, names: dict[str, str], wanted: int | None) -> None:
        self._names = names
        self._rows: deque[str] = deque(maxlen=ROWS_SHOWN)
        self._known: dict[str, Followed] = {}
        self.seconds: list[float] = []
        self._settled = self._points = self._millilitres = 0
        self._progress = Progress(
            TextColumn("settled"), BarColumn(), MofNCompleteColumn(), auto_refresh=False
        )
        self._task = self._progress.add_task("settled", total=wanted, visible=wanted is not None)

    def put(self, followed: Followed) -> None:
        sale_id = str(followed.truth.sale_id)
        if sale_id not in self._known:
            if len(self._rows) == ROWS_SHOWN:
                self._known.pop(self._rows[0], None)
            self._rows.append(sale_id)
            self._known[sale_id] = followed
        elif sale_id in self._rows:
            self._known[sale_id] = followed
        if followed.seconds is not None:
            self._settled += 1
            self._points += followed.points
            self._millilitres += followed.truth.sale.volume_ml
            self.seconds.append(followed.seconds)
            self._progress.update(self._task, completed=self._settled)

    def render(self) -> Group:
        table = Table(
            title="Sales, from the nozzle to the balance",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for name, width in COLUMNS.items():
            numeric = name in NUMERIC
            table.add_column(
                name, justify="right" if numeric else "left", min_width=width, no_wrap=True
            )
        for sale_id in reversed(self._rows):
            table.add_row(*self._cells(self._known[sale_id]))
        waited = f"median {median(self.seconds):.2f} s to the balance" if self.seconds else ""
        totals = Text(
            f"{self._settled} sales settled, {self._millilitres / 1000:,.2f} litres, "
            f"{self._points:,} points  {waited}",
            style="bold",
        )
        return Group(table, totals, self._progress)

    def _cells(self, followed: Followed) -> list[str | Text]:
        truth, sale = followed.truth, followed.truth.sale
        return [
            truth.station_id,
            str(sale.nozzle),
            sale.grade,
            f"{sale.volume_ml / 1000:.2f}",
            f"{sale.amount_fen / 100:.2f}",
            truth.plate_read or "-",
            *self._verdict(followed),
        ]

    def _verdict(self, followed: Followed) -> list[str | Text]:
        """Return member, points, seconds and the evidence that decided."""
        stored = followed.stored
        seconds = "" if followed.seconds is None else f"{followed.seconds:.2f}"
        if stored is None:
            return [Text("on its way", style="dim"), "", "", ""]
        if stored.member_id is None:
            reason = ", ".join(stored.doubts) or stored.undecided_because or ""
            held = stored.status is Status.HELD
            return [Text(stored.status, style="yellow" if held else "dim"), "", seconds, reason]
        points = Text(f"+{followed.points}", style="green") if followed.judged else ""
        name = self._names.get(stored.member_id, stored.member_id)
        return [name, points, seconds, "+".join(stored.matched_by)]


def _say_how_to_try(console: Console, scene: Scene) -> None:
    stack = scene.stack
    token = stack.token("operator")
    member_id = next(iter(scene.members))
    console.rule("Try the API while it runs")
    console.print(f"API={stack.api_url}", soft_wrap=True, markup=False)
    console.print(f"TOKEN={token}", soft_wrap=True, markup=False)
    console.print(f"MEMBER={member_id}", soft_wrap=True, markup=False)
    for path in (
        f"/members/{member_id}/points",
        f"/members/{member_id}/entries?limit=3",
        "/sales?queue=unmatched&limit=3",
    ):
        console.print(
            f'curl -s -H "Authorization: Bearer $TOKEN" "{stack.api_url}{path}"',
            soft_wrap=True,
            markup=False,
        )
    console.rule()


def _print_tally(console: Console, result: Tally, board: Board) -> None:
    table = Table(title="Reconciliation")
    table.add_column("what")
    table.add_column("expected", justify="right")
    table.add_column("found", justify="right")
    table.add_column("")
    for what, expected, found in result.rows:
        verdict = (
            Text("agrees", style="green") if expected == found else Text("DIFFERS", style="red")
        )
        table.add_row(what, f"{expected:,}", f"{found:,}", verdict)
    console.print(table)
    if board.seconds:
        ordered = sorted(board.seconds)
        console.print(
            f"Hang-up to balance: median {median(ordered):.2f} s, "
            f"95 % within {ordered[len(ordered) * 95 // 100]:.2f} s, longest {ordered[-1]:.2f} s"
        )
    for fault in result.faults:
        console.print(fault, style="red", markup=False)
    if not result.faults:
        console.print("No sale is missing and none is counted twice.", style="green")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
