"""What a person sees of a running station: a live table in a terminal, a line a sale elsewhere."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from forecourt_simulator.nozzle import NozzleState, amount_fen_for

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from forecourt_simulator.station import SaleTruth, Station

_REFRESH_SECONDS = 0.5
_SALES_SHOWN = 10
_STATE_STYLES = {
    NozzleState.FUELLING: "green",
    NozzleState.SUSPENDED_FUELLING: "yellow",
    NozzleState.INOPERATIVE: "red",
}


async def show(station: Station, serving: asyncio.Task[None], console: Console) -> None:
    """Show *station* while *serving* runs, then what each nozzle came to."""
    console.print(headline(station))
    try:
        if console.is_terminal:
            await _show_live(station, serving, console)
        else:
            station.on_sale(lambda truth: console.print(sale_line(truth), soft_wrap=True))
            await serving
    finally:
        console.print(totals_table(station))


async def _show_live(station: Station, serving: asyncio.Task[None], console: Console) -> None:
    latest: deque[SaleTruth] = deque(maxlen=_SALES_SHOWN)
    station.on_sale(latest.appendleft)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not serving.done():
            live.update(_forecourt(station, latest), refresh=True)
            await asyncio.wait({serving}, timeout=_REFRESH_SECONDS)
    await serving


def headline(station: Station) -> Text:
    controller = station.controller
    return Text(
        f"{station.station_id}: {controller.serial} with {len(controller.numbers)} nozzles on "
        f"{station.server.host}:{station.port}, profile {controller.profile.name}"
    )


def sale_line(truth: SaleTruth) -> Text:
    """Return one sale as one line of plain columns."""
    sale = truth.sale
    return Text(
        f"{truth.hung_up_at:%H:%M:%S}  nozzle {sale.nozzle:>2}  #{sale.transaction:<5}  "
        f"{sale.grade:>2}  {litres(sale.volume_ml):>9}  {yuan(sale.amount_fen):>9}  "
        f"{truth.plate or '':<8}  {truth.member_key or 'guest'}"
    )


def totals_table(station: Station) -> Table:
    """Return what each nozzle has sold; litres have to be what its meter moved by."""
    table = Table("nozzle", "grade", title=f"{station.station_id}: sold in this run")
    for column in ("sales", "litres", "yuan", "meter moved by", "not yet read"):
        table.add_column(column, justify="right")
    for number, totals in station.totals.items():
        moved_ml = station.controller.totalizer_ml(number) - totals.totalizer_at_start_ml
        table.add_row(
            str(number),
            station.controller.nozzle(number).grade,
            str(totals.sales),
            litres(totals.volume_ml),
            yuan(totals.amount_fen),
            litres(moved_ml),
            str(station.controller.ring(number).unacknowledged),
        )
    return table


def _forecourt(station: Station, latest: deque[SaleTruth]) -> RenderableType:
    controller = station.controller
    now_ms = controller.clock.running_ms()
    table = Table("nozzle", "grade", "state")
    for column in ("price", "litres", "yuan", "last number", "not yet read"):
        table.add_column(column, justify="right")
    for number in controller.numbers:
        nozzle, ring = controller.nozzle(number), controller.ring(number)
        price = nozzle.sale_price_milli_per_litre
        volume_ml = nozzle.dispensed_ml(now_ms)
        table.add_row(
            str(number),
            nozzle.grade,
            Text(nozzle.state.replace("_", " "), style=_STATE_STYLES.get(nozzle.state, "")),
            f"{price // 1000}.{price % 1000:03}",
            litres(volume_ml) if nozzle.lifted else "",
            yuan(amount_fen_for(volume_ml, price)) if nozzle.lifted else "",
            str(ring.head),
            str(ring.unacknowledged),
        )
    lost = Text(f"{station.undelivered} pushes reached nobody", style="yellow")
    return Group(table, *map(sale_line, latest), *([lost] if station.undelivered else []))


def litres(volume_ml: int) -> str:
    return f"{volume_ml // 1000}.{volume_ml % 1000:03}"


def yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02}"
