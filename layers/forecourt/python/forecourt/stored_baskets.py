"""What the Sales table holds of receipts: with the telling, and on the sale it was told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecourt.baskets import Basket, Category, Line, Means, Payment
from forecourt.rulings import SEPARATOR
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecourt.ledger import Entry

_DIFFERENCE = f"{SEPARATOR}basket."
_REFUNDED = "refunded"  # the outcome in a trace


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldBasket:
    """
    The receipt of a sale, the telling it came with, and which entries it came `after`.

    What was given before the receipt was known was judged without it, and the difference is an
    entry of its own. Everything else is judged with it.
    """

    basket: Basket
    telling_id: str
    after: tuple[str, ...] = ()

    def difference_id(self, entry_id: str) -> str:
        """Return the id of the entry that makes the difference to *entry_id*."""
        return f"{entry_id}{_DIFFERENCE}{self.telling_id.rpartition('.')[2]}"


def is_difference(entry_id: str) -> bool:
    """Return whether an entry is what a receipt changed, and not what a sale earned."""
    return _DIFFERENCE in entry_id


def basket_to_map(basket: Basket) -> dict[str, Any]:
    """Encode a receipt; lists, because a sale with a short one still fits into a kilobyte."""
    return {
        "lines": [_line_to_list(line) for line in basket.lines],
        "payments": [[str(each.by), each.amount_fen] for each in basket.payments],
    }


def basket_from_map(values: Mapping[str, Any]) -> Basket:
    """Decode a receipt."""
    return Basket(
        lines=tuple(map(_line_from_list, values["lines"])),
        payments=tuple(
            Payment(by=Means(by), amount_fen=amount_fen) for by, amount_fen in values["payments"]
        ),
    )


def told_basket_to_map(told: ToldBasket) -> dict[str, Any]:
    """Encode the receipt of a sale."""
    return {
        **basket_to_map(told.basket),
        "telling": told.telling_id,
        "after": list(told.after),
    }


def told_basket_from_map(values: Mapping[str, Any]) -> ToldBasket:
    """Decode the receipt of a sale."""
    return ToldBasket(
        basket=basket_from_map(values),
        telling_id=values["telling"],
        after=tuple(values["after"]),
    )


def refunded_trace(points: int, *, amount_fen: int) -> dict[str, Any]:
    """
    Return the trace of a difference that is less by *points*: a refund had been before it.

    What was refunded of the receipt by then is in the trace as well: refunds that come later
    are parts of the rest.
    """
    return {"rule": "", "outcome": _REFUNDED, "points": -points, "amount_fen": amount_fen}


def refunded_before(difference: Entry) -> int:
    """Return how much of the receipt had been refunded, in fen, when *difference* was made."""
    traces: tuple[Mapping[str, Any], ...] = difference.trace
    return sum(each["amount_fen"] for each in traces if each["outcome"] == _REFUNDED)


def _line_to_list(line: Line) -> list[Any]:
    plain: list[Any] = [str(line.category), line.amount_fen]
    return plain if line.volume_ml is None else [*plain, line.grade, line.volume_ml]


def _line_from_list(values: list[Any]) -> Line:
    category, amount_fen, *fuelled = values
    grade, volume_ml = fuelled or (None, None)
    return Line(
        category=Category(category), amount_fen=amount_fen, grade=grade, volume_ml=volume_ml
    )
