"""The routes that freeze a wallet, so that it gives nothing, and let it give again."""

from aws_lambda_powertools.event_handler import Response

from forecourt.adjustments_table import AdjustmentsTable
from forecourt.callers import Permission
from forecourt.ledger.commands import Freeze, Unfreeze
from forecourt.once import Answer
from functions.corrections.asking import Freezing
from functions.corrections.bodies import FreezingOrder, FrozenView, posted
from functions.corrections.desk import TAG, Desk, MemberId


class FreezingRoutes:
    def __init__(self, desk: Desk, *, table: AdjustmentsTable) -> None:
        self._desk = desk
        self._table = table
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

        def perform() -> Answer:
            entry = Freezing(
                desk=desk,
                table=self._table,
                kind=kind,
                owner=member_id,
                wallet=body.wallet,
                source=body.source,
                reason=body.reason,
            ).carry_out()
            return Answer(
                status=200,
                body={
                    "member_id": member_id,
                    "wallet": body.wallet,
                    "frozen": kind is Freeze,
                    "entry": posted(entry) if entry else None,
                },
            )

        return desk.door.once(perform)
