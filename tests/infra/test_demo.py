"""What somebody sees who runs the demo, in a terminal of the usual width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

from rich.console import Console

from forecourt.decisions import Reason
from forecourt.stored_sales import Status, StoredSale
from forecourt_simulator.ring import FinishedSale
from forecourt_simulator.station import SaleTruth
from infra.local.demo import COLUMNS, ROWS_SHOWN, Board
from infra.local.following import Followed
from tests.specimens import SALE, nobodys

HUNG_UP_AT = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
NARROW = 80


def finished(number: int) -> SaleTruth:
    return SaleTruth(
        station_id="s0001",
        device_serial="FC-S0001",
        sale=FinishedSale(
            nozzle=7,
            transaction=number,
            grade="0",
            unit_price_milli_per_litre=7_210,
            volume_ml=207_410,
            amount_fen=149_543,
            totalizer_ml=1_000_000,
            started_at=HUNG_UP_AT - timedelta(minutes=2),
            completed_at=HUNG_UP_AT,
        ),
        sale_id=f"sale-{number}",
        hung_up_at=HUNG_UP_AT,
        plate_read="浙BHU3G12",
    )


def settled(number: int, *, seconds: float = 0.24) -> Followed:
    stored = StoredSale(
        sale=SALE,
        status=Status.UNMATCHED,
        decision=nobodys(Reason.NEEDS_SECOND_IDENTITY),
        received_at=HUNG_UP_AT,
    )
    return Followed(
        truth=finished(number), stored=stored, settled_at=HUNG_UP_AT + timedelta(seconds=seconds)
    )


def shown(board: Board, *, width: int = NARROW) -> list[str]:
    console = Console(width=width, file=StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(board.render())
    return captured.get().splitlines()


def test_a_usual_terminal_shows_every_column() -> None:
    board = Board(names={}, wanted=None)
    board.put(settled(1))

    title, head, rule, row, *_ = shown(board)

    assert "nozzle" in title
    assert head.split() == list(COLUMNS)
    assert set(rule.strip()) == {"─"}
    *figures, why = row.split()
    assert " ".join(figures) == "s0001 7 0 207.41 1495.43 浙BHU3G12 unmatched 0.24"
    # Only why it is so gives way, and is cut rather than dropped.
    assert why.startswith("need")
    assert "needs_second_identity" in shown(board, width=120)[3]


def test_the_board_fits_a_terminal_of_24_lines_however_many_sales_there_were() -> None:
    board = Board(names={}, wanted=60)
    for number in range(60):
        board.put(Followed(truth=finished(number)))
        board.put(settled(number))

    lines = shown(board)

    assert len(lines) < 24
    assert sum("unmatched" in line for line in lines) == ROWS_SHOWN
    assert "60 sales settled, 12,444.60 litres" in lines[-2]
    assert lines[-1].endswith("60/60")


def test_without_a_number_of_sales_there_is_no_progress_to_show() -> None:
    board = Board(names={}, wanted=None)
    board.put(settled(1))

    assert not any("1/" in line for line in shown(board))


def test_a_sale_is_shown_from_the_moment_the_nozzle_is_hung_up() -> None:
    board = Board(names={}, wanted=None)

    board.put(Followed(truth=finished(1)))

    assert any("on its way" in line for line in shown(board))
