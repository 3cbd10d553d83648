"""Receipts of the sample sale, and a program that counts what they say."""

from __future__ import annotations

from typing import Any

from forecourt.baskets import Basket, Category, Line, Means, Payment
from forecourt.documents import ProgramDocument
from tests.functional.world import LITRES
from tests.specimens import SALE

FUEL = Line(
    category=Category.FUEL,
    amount_fen=SALE.amount_fen,
    grade=SALE.grade,
    volume_ml=SALE.volume_ml,
)
SHOP = Line(category=Category.SHOP, amount_fen=1_500)
SNACK = Line(category=Category.SHOP, amount_fen=1_000)
OFF = Line(category=Category.DISCOUNT, amount_fen=-1_000)

RULES: list[dict[str, Any]] = [
    {"rule_id": "litre", "basis": "volume", "points": 1, "per": 1000, "rounding": "floor"},
    {
        "rule_id": "shop",
        "categories": ["shop"],
        "basis": "amount",
        "points": 1,
        "per": 100,
        "rounding": "floor",
    },
]


def program(rules: list[dict[str, Any]] = RULES, **more: Any) -> dict[str, Any]:
    document = {**LITRES, "rules": rules, "baskets": {}, **more}
    return ProgramDocument.model_validate(document).model_dump(mode="json")


def receipt(*lines: Line, by_points: int = 0) -> Basket:
    total = sum(line.amount_fen for line in (FUEL, *lines))
    payments = (
        Payment(by=Means.POINTS, amount_fen=by_points),
        Payment(by=Means.CASH, amount_fen=total - by_points),
    )
    paid = tuple(each for each in payments if each.amount_fen)
    return Basket(lines=(FUEL, *lines), payments=paid if by_points else ())


WITH_SHOP = receipt(SHOP)
HALF_BY_POINTS = receipt(by_points=SALE.amount_fen // 2)
