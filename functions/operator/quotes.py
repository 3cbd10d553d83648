"""The route that tells at the till what a reward makes of a fill's price. It moves nothing."""

from collections.abc import Callable
from datetime import datetime

from aws_lambda_powertools.event_handler import Response

from forecourt.callers import Permission
from forecourt.discounts import DiscountTerms, Quote, litres_for, quote_per_litre, quote_sum
from forecourt.doors import Door
from forecourt.errors import InvalidRequest
from forecourt.once import Answer
from forecourt.operator_table import OperatorTable
from forecourt.programs import Programs
from functions.operator.bodies import QuoteOrder, QuoteView
from functions.operator.stations import TAG, StationIdPath


class QuoteRoutes:
    """The route, the stations, and the program whose lowest prices hold."""

    def __init__(
        self,
        *,
        door: Door,
        table: OperatorTable,
        programs: Programs,
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._table = table
        self._programs = programs
        self._now = now
        door.add("POST", "/stations/<station_id>/quotes", self.quote, tag=TAG, status=200)

    def quote(self, station_id: StationIdPath, body: QuoteOrder) -> Response[QuoteView]:
        """
        Tell what a reward makes of the price of a fill, under the program in force.

        The fill is told by litres or by money, the reward per litre or as a sum. Nothing is
        redeemed: `unused` says what becomes of what is left over when it is.
        """
        self._door.caller.require(Permission.QUOTE_DISCOUNTS)
        for names, first, second in (
            (("volume_ml", "amount_fen"), body.volume_ml, body.amount_fen),
            (
                ("reward_milli_per_litre", "reward_fen"),
                body.reward_milli_per_litre,
                body.reward_fen,
            ),
        ):
            if (first is None) is (second is None):
                reason = "missing" if first is None else f"beside_{names[0]}"
                raise InvalidRequest(findings=[{"at": f"/body/{names[1]}", "reason": reason}])

        def perform() -> Answer:
            station = self._table.station(station_id)
            if body.grade not in station.grades:
                raise InvalidRequest(findings=[{"at": "/body/grade", "reason": "not_sold_here"}])
            program = self._programs.at(self._now())
            terms = program.discounts if program else DiscountTerms()
            lowest = terms.lowest(body.grade, body.unit_price_milli_per_litre)
            return Answer(
                status=200,
                body={
                    "program_version": program.version if program else None,
                    "minimum_price_milli_per_litre": terms.minimum_prices.get(body.grade),
                    **_told(quote_for(body, lowest=lowest)),
                    "unused": str(terms.unused),
                },
            )

        return self._door.once(perform)


def quote_for(order: QuoteOrder, *, lowest: int) -> Quote:
    """Return the fill of *order* with its reward; raise `InvalidRequest` when there is no fill."""
    price = order.unit_price_milli_per_litre
    volume_ml = order.volume_ml or litres_for(
        order.amount_fen or 0, unit_price_milli_per_litre=price
    )
    if volume_ml == 0:
        raise InvalidRequest(findings=[{"at": "/body/amount_fen", "reason": "buys_nothing"}])
    fill = {"volume_ml": volume_ml, "unit_price_milli_per_litre": price, "lowest": lowest}
    if order.reward_milli_per_litre is not None:
        return quote_per_litre(order.reward_milli_per_litre, **fill)
    return quote_sum(order.reward_fen or 0, **fill)


def _told(quote: Quote) -> dict[str, int]:
    return {
        "unit_price_milli_per_litre": quote.unit_price_milli_per_litre,
        "amount_fen": quote.amount_fen,
        "discount_fen": quote.discount_fen,
        "to_pay_fen": quote.to_pay_fen,
        "unused_fen": quote.unused_fen,
    }
