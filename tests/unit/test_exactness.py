"""Money, litres and points are whole numbers wherever they are counted."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import forecourt
from forecourt.attributes import from_item, to_item
from forecourt.ledger import commands as c
from forecourt.ledger.entries import ISSUED, REDEEMED
from forecourt.ledger.records import account_from_record, account_to_record
from functions.accrual import __file__ as accrual
from tests.unit.books import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(forecourt.__file__).parent
# Where a fraction is a probability or the clock's, and never of anything sold or given.
INEXACT = {
    "keeping.py",
    "learning.py",
    "proposals.py",
    "weighing.py",
    "weights_table.py",
}
FIRST_THAT_NO_DOUBLE_HOLDS = 2**53 + 1


def inexact(source: str) -> Iterator[str]:
    """Yield what in *source* makes a float: a literal, a division, a conversion, but no pause."""
    tree = ast.parse(source)
    pauses = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.endswith("_SECONDS")
    }
    for node in ast.walk(tree):
        if id(node) in pauses:
            continue
        match node:
            case ast.Constant(value=float()):
                yield f"{node.lineno}: {node.value!r}"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"{node.lineno}: /"
            case ast.Call(func=ast.Name(id="float")):
                yield f"{node.lineno}: float"


def modules() -> list[Path]:
    return [*sorted(PACKAGE.rglob("*.py")), *sorted(Path(accrual).parent.glob("*.py"))]


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.stem)
def test_no_float_stands_where_something_is_counted(module: Path) -> None:
    found = list(inexact(module.read_text()))

    assert bool(found) == (module.name in INEXACT), found


@pytest.mark.parametrize("source", ["x = 0.1", "x = a / b", "x /= 2", "x = f(float(a))"])
def test_every_way_to_a_float_is_seen(source: str) -> None:
    assert list(inexact(source))


@given(parts=st.lists(st.integers(1, 10**15), min_size=1, max_size=12))
def test_what_is_earned_in_parts_is_what_is_spent_at_once_to_the_last_point(
    parts: list[int],
) -> None:
    books = Ledger()
    for points in parts:
        books.earn(points, None)

    books.spend(sum(parts))

    legs = [leg for entry in books.entries.values() for leg in entry.legs]
    assert (books.has(), books.account().buckets) == (0, {})
    for program, total in ((ISSUED, -sum(parts)), (REDEEMED, sum(parts))):
        assert sum(leg.points for leg in legs if leg.account == program) == total


def test_one_point_more_than_a_double_could_hold_is_kept_through_every_spelling() -> None:
    books = Ledger()
    books.earn(FIRST_THAT_NO_DOUBLE_HOLDS, None)
    record = json.loads(json.dumps(account_to_record(books.account())))

    account = account_from_record(from_item(to_item(record)), member_id="ann")

    assert float(FIRST_THAT_NO_DOUBLE_HOLDS) != FIRST_THAT_NO_DOUBLE_HOLDS
    assert account == books.account()
    books.run(c.Spend, points=FIRST_THAT_NO_DOUBLE_HOLDS - 1)
    assert books.has() == 1
