"""The routes that freeze a wallet, so that it gives nothing, and let it give again."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.callers import Permission
from forecourt.doors import Door
from forecourt.errors import UnknownMember
from forecourt.instants import compact_instant
from forecourt.keeping import Keeping
from forecourt.ledger.commands import Freeze, Unfreeze
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.once import Answer
from functions.corrections.bodies import FreezingOrder, FrozenView, posted

TAG = "corrections"

MemberId = Annotated[str, Path(description="The member's id")]


class FreezingRoutes:
    """The routes, the accounts and the ledger."""

    def __init__(
        self,
        *,
        door: Door,
        loyalty: LoyaltyTable,
        ledger: LedgerTable,
        keeping: Keeping,
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._loyalty = loyalty
        self._ledger = ledger
        self._keeping = keeping
        self._now = now
        member = "/members/<member_id>"
        for path, route in (
            (f"{member}/freezing", self.freeze),
            (f"{member}/unfreezing", self.unfreeze),
        ):
            door.add("POST", path, route, tag=TAG, status=200)

    def freeze(self, member_id: MemberId, body: FreezingOrder) -> Response[FrozenView]:
        """Freeze a member's wallet: it still gains what it earns, and gives nothing."""
        return self._set(Freeze, member_id, body)

    def unfreeze(self, member_id: MemberId, body: FreezingOrder) -> Response[FrozenView]:
        """Let a frozen wallet give again."""
        return self._set(Unfreeze, member_id, body)

    def _set(
        self, kind: type[Freeze | Unfreeze], member_id: str, body: FreezingOrder
    ) -> Response[FrozenView]:
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.FREEZE_WALLETS)
        request = hashlib.sha256(
            f"{caller.subject}\n{self._door.key}".encode("utf-8", "surrogatepass")
        ).hexdigest()

        def perform() -> Answer:
            if not self._loyalty.enrolled(member_id):
                raise UnknownMember(member_id)
            frozen = kind is Freeze
            told = {"member_id": member_id, "wallet": body.wallet, "frozen": frozen}
            # What is so already is what a retry finds.
            if self._loyalty.account(member_id, body.wallet).frozen is frozen:
                return Answer(status=200, body={**told, "entry": None})
            now = self._now()
            command = kind(
                entry_id=f"{compact_instant(now)}.{kind.__name__.lower()}.{request[:16]}",
                owner=member_id,
                wallet=body.wallet,
                source=body.source,
                reason=body.reason,
                actor=caller.subject,
                occurred_at=now,
            )
            policies = self._keeping.program(now).policies()
            entry = self._ledger.execute(command, policies=policies).posted()
            return Answer(status=200, body={**told, "entry": posted(entry)})

        return self._door.once(perform)
