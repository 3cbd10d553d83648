"""What a ruling moves of growth value: the shares of the points, each by an entry of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.growing import Growing
from forecourt.growth import growth_entry_id, growth_of
from forecourt.ledger.commands import EarnNothing, Reverse
from forecourt.receiving import follow
from forecourt.rulings import carried_over
from forecourt.values import dataclass
from forecourt.wallets import GROWTH_WALLET

if TYPE_CHECKING:
    from forecourt.growth import Growth
    from forecourt.ledger import Policies
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable
    from forecourt.program import Program
    from forecourt.rulings import Movement
    from forecourt.sales import Sale
    from forecourt.stored_rulings import AppliedRuling


@dataclass(slots=True, kw_only=True)
class MovingGrowth:
    """
    Moves the growth value of one sale under *policies*, what is taken back first.

    *given* and *taken* count how much the shares taken back are worth, and how much of it no
    refund had taken before.
    """

    loyalty: LoyaltyTable
    ledger: LedgerTable
    policies: Policies
    judging: Program
    applied: AppliedRuling
    given: int = 0
    taken: int = 0

    def take_back(self, sale: Sale, movement: Movement, *, owners: list[str]) -> None:
        """Take the share of *movement* back from the last of *owners*, who has it by now."""
        growth, ruling, owner = self._of(sale, movement), self.applied.ruling, owners[-1]
        if movement.reverses is None or growth is None:
            return
        made = self.loyalty.made(owners, growth_entry_id(movement.reverses))
        lies_with = made[0] if made else owner
        took = Growing(ledger=self.ledger, policies=self.policies).take_back(
            Reverse(
                entry_id=movement.movement_id,
                owner=owner,
                reverses=movement.reverses,
                reverses_owner=lies_with if lies_with != owner else None,
                document=movement.movement_id,
                source=f"sale:{ruling.sale_id}",
                reason=ruling.reason,
                actor=ruling.actor,
                occurred_at=self.applied.ruled_at,
            )
        )
        if made is not None:
            # What an earlier member was not given because of a refund, counts: it stays taken.
            self.given += growth.value
            # What has run out or was taken by hand cannot come back, and is no refund's.
            self.taken += took.uncovered - took.points if took is not None else 0

    def give(self, sale: Sale, movement: Movement, *, owners: list[str]) -> None:
        """Give the share of *movement*, to the last of the *owners* its member's account had."""
        growth, entry_id = self._of(sale, movement), growth_entry_id(movement.movement_id)
        *before, owner = owners
        if growth is None:
            return
        if self.loyalty.made(before, entry_id):
            return  # given before the account went into another one, and gone there with it
        ruling = self.applied.ruling
        value = carried_over(growth.value, taken=self.taken, given=self.given)
        about: dict[str, Any] = {
            "owner": owner,
            "source": f"sale:{ruling.sale_id}",
            "reason": ruling.reason,
            "actor": ruling.actor,
            "program_version": self.judging.version,
            "occurred_at": sale.key.completed_at,
        }
        if value == 0:
            # What takes the share back again must not wait for growth value that never comes.
            nothing = EarnNothing(entry_id=entry_id, wallet=GROWTH_WALLET, **about)
            follow(self.ledger.execute, nothing, policies=self.policies)
            return
        growing = Growing(ledger=self.ledger, policies=self.policies)
        growing.give(replace(growth, value=value), movement.movement_id, about=about)

    def _of(self, sale: Sale, movement: Movement) -> Growth | None:
        share = movement.share
        part = replace(sale, volume_ml=share.volume_ml, amount_fen=share.amount_fen)
        return growth_of(self.judging, part)
