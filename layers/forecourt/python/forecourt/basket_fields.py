"""Reading what a till tells of a receipt; the rest of its message is read in `messages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from forecourt.baskets import Basket, Category, Line, Means, Payment
from forecourt.errors import MalformedMessage
from forecourt.message_fields import integer, matching_text, refuse_rest, take
from forecourt.sales import GRADE

if TYPE_CHECKING:
    from collections.abc import Iterator

_Kind = TypeVar("_Kind", Category, Means)

MAX_LINES = 64  # a receipt is part of the sale's item, which matching reads as well
MAX_PAYMENTS = 8


def take_basket(
    body: dict[str, Any], path: str, *, amount_fen: int, highest_fen: int, most_ml: int
) -> Basket | None:
    """
    Take the receipt from a telling of *amount_fen*; `None` when it has none.

    It has to add up: one fill, no discount that is none, and payments, if any are told, of
    all that was to be paid.
    """
    if "lines" not in body and "payments" not in body:
        return None
    lines = tuple(
        _line(part, at, highest_fen=highest_fen, most_ml=most_ml)
        for part, at in _parts(body, "lines", MAX_LINES, path)
    )
    payments = tuple(
        Payment(by=_one_of(Means, part, "by", at), amount_fen=_paid(part, at, highest_fen))
        for part, at in (_parts(body, "payments", MAX_PAYMENTS, path) if "payments" in body else ())
    )
    if sum(line.volume_ml is not None for line in lines) != 1:
        raise MalformedMessage(reason="not_one_fill", field=path + "lines")
    if sum(line.amount_fen for line in lines) != amount_fen:
        raise MalformedMessage(reason="does_not_add_up", field=path + "lines")
    if payments and sum(each.amount_fen for each in payments) != amount_fen:
        raise MalformedMessage(reason="does_not_add_up", field=path + "payments")
    return Basket(lines=lines, payments=payments)


def _line(part: dict[str, Any], at: str, *, highest_fen: int, most_ml: int) -> Line:
    category = _one_of(Category, part, "category", at)
    amount_fen = integer(part, "amount_fen", -highest_fen, highest_fen, at)
    if category is Category.DISCOUNT and amount_fen >= 0:
        raise MalformedMessage(reason="out_of_range", field=at + "amount_fen")
    if category is not Category.FUEL or amount_fen < 0:
        line = Line(category=category, amount_fen=amount_fen)
    else:
        line = Line(
            category=category,
            amount_fen=amount_fen,
            grade=matching_text(part, "grade", GRADE, at),
            volume_ml=integer(part, "volume_ml", 0, most_ml, at),
        )
    refuse_rest(part, at)
    return line


def _paid(part: dict[str, Any], at: str, highest_fen: int) -> int:
    amount_fen = integer(part, "amount_fen", 1, highest_fen, at)
    refuse_rest(part, at)
    return amount_fen


def _one_of(kind: type[_Kind], part: dict[str, Any], name: str, at: str) -> _Kind:
    value = take(part, name, str, at)
    if value not in set(kind):
        raise MalformedMessage(reason="unknown_kind", field=at + name)
    return kind(value)


def _parts(
    body: dict[str, Any], name: str, most: int, path: str
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield copies of the objects in a list, each with where it is."""
    items: list[Any] = take(body, name, list, path)
    if len(items) > most:
        raise MalformedMessage(reason="too_many", field=path + name)
    for index, item in enumerate(items):
        at = f"{path}{name}[{index}]."
        if not isinstance(item, dict):
            raise MalformedMessage(reason="wrong_type", field=at.rstrip("."))
        yield dict(item), at
