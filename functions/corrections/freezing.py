"""The routes that freeze a wallet, so that it gives nothing, and let it give again."""

from aws_lambda_powertools.event_handler import Response

from forecourt.callers import Permission
from forecourt.instants import compact_instant
from forecourt.ledger.commands import Freeze, Unfreeze
from forecourt.once import Answer
from functions.corrections.bodies import FreezingOrder, FrozenView, posted
from functions.corrections.desk import TAG, Desk, MemberId


class FreezingRoutes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        member = "/members/<member_id>"
        for path, route in (
            (f"{member}/freezing", self.freeze),
            (f"{member}/unfreezing", self.unfreeze),
        ):
            desk.door.add("POST", path, route, tag=TAG, status=200)

    def freeze(self, member_id: MemberId, body: FreezingOrder) -> Response[FrozenView]:
        """Freeze a member's wallet: it still gains what it earns, and gives nothing."""
        return self._set(Freeze, member_id, body)

    def unfreeze(self, member_id: MemberId, body: FreezingOrder) -> Response[FrozenView]:
        """Let a frozen wallet give again."""
        return self._set(Unfreeze, member_id, body)

    def _set(
        self, kind: type[Freeze | Unfreeze], member_id: str, body: FreezingOrder
    ) -> Response[FrozenView]:
        desk, caller = self._desk, self._desk.door.caller
        member_id = caller.member_named(member_id, Permission.FREEZE_WALLETS)
        request_id = desk.door.request_id

        def perform() -> Answer:
            desk.require_member(member_id)
            frozen = kind is Freeze
            told = {"member_id": member_id, "wallet": body.wallet, "frozen": frozen}
            # What is so already is what a retry finds.
            if desk.loyalty.account(member_id, body.wallet).frozen is frozen:
                return Answer(status=200, body={**told, "entry": None})
            now = desk.now()
            command = kind(
                entry_id=f"{compact_instant(now)}.{kind.__name__.lower()}.{request_id[:16]}",
                owner=member_id,
                wallet=body.wallet,
                source=body.source,
                reason=body.reason,
                actor=caller.subject,
                occurred_at=now,
            )
            return Answer(status=200, body={**told, "entry": posted(desk.post(command))})

        return desk.door.once(perform)
