"""
The route that gives back what was redeemed, because the purchase it paid for was refunded.

A till gives back what it took itself; what another took is for managers and head office.
"""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.callers import Permission
from forecourt.errors import Forbidden, InvalidRequest
from forecourt.ledger import Entry, EntryKind
from forecourt.ledger.commands import Exactly, Part, Remainder, Share
from forecourt.ledger.refusals import NotReversible
from forecourt.ledger.spending import counter_of
from forecourt.member_errors import UnknownEntry
from forecourt.once import Answer
from forecourt.told_times import require_plausible
from functions.redemption.counter import TAG, Counter, MemberId
from functions.redemption.return_bodies import GiveBackOrder, GivenBackView, given_back

REDEMPTIONS = frozenset({EntryKind.SPEND, EntryKind.CAPTURE})

EntryId = Annotated[
    str, Path(max_length=128, examples=["20261123T081500Z.capture.9f86d081884c7d65"])
]


class ReturnRoutes:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        path = "/members/<member_id>/redemptions/<entry_id>/refunds"
        counter.door.add("POST", path, self.refund_redemption, tag=TAG, status=201)

    def refund_redemption(
        self, member_id: MemberId, entry_id: EntryId, body: GiveBackOrder
    ) -> Response[GivenBackView]:
        """
        Give back what a purchase was paid with, wholly or in part, when it is refunded.

        `entry_id` is that of the spending or capture. What comes back is good as long as it was
        before it was taken; what has run out since is lost unless the program gives it grace.
        """
        counter, caller = self._counter, self._counter.door.caller
        member_id = caller.member_named(member_id, Permission.GIVE_BACK_POINTS)
        require_plausible(body.refunded_at, field="refunded_at", now=counter.now())
        part = part_of(body)

        def perform() -> Answer:
            redemption, owners = self._redemption(member_id, entry_id, body.pool_id)
            if redemption.actor != caller.subject and not caller.may(Permission.REFUND_POINTS):
                raise Forbidden
            entry = counter.refund(
                "return", redemption, owners, body, part=part, policies=counter.policies()
            )
            left = redemption.given - counter.ledger.reversals_of(redemption).reversed
            return Answer(status=201, body=given_back(entry, left=left))

        return counter.door.once(perform)

    def _redemption(
        self, member_id: str, entry_id: str, pool_id: str | None
    ) -> tuple[Entry, list[str]]:
        """
        Return what was redeemed, and who had the wallet it came from, the last of them now.

        Raise `UnknownPool`, `UnknownEntry`, or `NotReversible` for an entry of another kind.
        """
        counter = self._counter
        payer = counter.pools.pool(pool_id).owner if pool_id is not None else member_id
        made = counter.loyalty.made(counter.loyalty.owners(payer), entry_id)
        entry = made[1] if made else None
        if entry is None:
            raise UnknownEntry(entry_id)
        # Of a pool, what somebody else spent is not this member's.
        if pool_id is not None and entry.effect.counter not in {None, counter_of(member_id)}:
            raise UnknownEntry(entry_id)
        if entry.kind not in REDEMPTIONS:
            raise NotReversible(entry_id=entry_id, kind=str(entry.kind))
        return entry, counter.loyalty.owners(payer, wallet=entry.wallet)


def part_of(order: GiveBackOrder) -> Part:
    """Return which part of a redemption is to be given back; raise `InvalidRequest`."""
    if order.points is not None and order.share is not None:
        raise InvalidRequest(findings=[{"at": "/body/share", "reason": "beside_points"}])
    if order.points is not None:
        return Exactly(points=order.points)
    if order.share is None:
        return Remainder()
    if order.share.amount_fen > order.share.of_fen:
        finding = {"at": "/body/share/amount_fen", "reason": "more_than_was_paid"}
        raise InvalidRequest(findings=[finding])
    return Share(part=order.share.amount_fen, whole=order.share.of_fen)
