"""
What has to move because a person decided whose a sale is.

First every share that is taken back, then every share that is given, each under the rules of
the sale's day. A movement's id comes from the ruling, so a record that comes again moves
nothing, and one that comes before the entry it takes back is parked by the ledger. Growth
value moves along (`functions.accrual.ruled_growth`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forecourt.by_line import in_proportion
from forecourt.growth import tier_of_sale
from forecourt.ledger import EntryKind, wallet_of
from forecourt.ledger.commands import Earn, EarnNothing, Reverse
from forecourt.ledger.entries import DEBT
from forecourt.ledger.refusals import AlreadyReversed, CeilingExceeded, NothingToReverse
from forecourt.receiving import follow
from forecourt.rulings import carried_over
from forecourt.values import dataclass
from functions.accrual.growth_accounts import latest
from functions.accrual.judging import earning
from functions.accrual.late_baskets import LateBaskets
from functions.accrual.ruled_growth import MovingGrowth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecourt.ledger import Entry, Policies
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable, Made
    from forecourt.program import Program
    from forecourt.rulings import Movement
    from forecourt.sales import Sale
    from forecourt.stored_rulings import AppliedRuling
    from forecourt.stored_sales import StoredSale
    from forecourt.tiers import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """
    Carries rulings out.

    *judging* is the program of the sale's day, `None` before the first; *policies* are those
    by which accounts are kept now.
    """

    loyalty: LoyaltyTable
    ledger: LedgerTable
    policies: Policies
    judging: Program | None

    def move(self, stored: StoredSale, applied: AppliedRuling) -> int:
        """Return the points that members have more, or less, by a ruling; again, nothing moves."""
        moved = given = taken = 0
        for each in self._movements(stored, applied):
            if each.reverses is None:
                moved += self._give(stored, applied, each, given=given, taken=taken)
                continue
            made, entry, new = self._take_back(applied, each)
            if made is not None:
                given += self.late.stood_for(stored, each, made)
                # Of what a refund had taken wholly, there is no entry.
                taken += _taken_by(entry) if entry is not None else 0
            moved += entry.points if entry is not None and new else 0
        # Behind the points, as a sale's own: it must not lift whom they are judged for.
        self._move_growth(stored.sale, applied)
        return moved

    @property
    def late(self) -> LateBaskets:
        """Return what makes the difference when a receipt came late."""
        return LateBaskets(
            loyalty=self.loyalty, ledger=self.ledger, policies=self.policies, judging=self.judging
        )

    def _movements(self, stored: StoredSale, applied: AppliedRuling) -> Iterator[Movement]:
        for each in applied.moved:
            yield each
            yield from self.late.also_taken(stored, each)

    def _move_growth(self, sale: Sale, applied: AppliedRuling) -> None:
        if self.judging is None or self.judging.growth is None:
            return
        growth = MovingGrowth(
            loyalty=self.loyalty,
            ledger=self.ledger,
            policies=self.policies,
            judging=self.judging,
            applied=applied,
        )
        for each in applied.moved:
            owners = self.loyalty.owners(each.share.member_id)
            if each.reverses is None:
                growth.give(sale, each, owners=owners)
            else:
                growth.take_back(sale, each, owners=owners)

    def _tier(self, part: Sale, owner: str) -> Tier | None:
        """Return the tier by which *owner* is judged, `None` also before the first program."""
        if self.judging is None or self.judging.tiers is None:
            return None
        return tier_of_sale(self.judging, part, latest(self.loyalty, owner), now=datetime.now(UTC))

    def _take_back(
        self, applied: AppliedRuling, movement: Movement
    ) -> tuple[Made | None, Entry | None, bool]:
        """Return what was made of the share, what took it back, and whether only just now."""
        entry_id, owners = movement.reverses or "", self.loyalty.owners(movement.share.member_id)
        made, owner = self.loyalty.made(owners, entry_id), owners[-1]
        lies_with = made[0] if made else owner
        ruling = applied.ruling
        answer = self.ledger.execute(
            Reverse(
                entry_id=movement.movement_id,
                owner=owner,
                reverses=entry_id,
                reverses_owner=lies_with if lies_with != owner else None,
                document=movement.movement_id,
                source=f"sale:{ruling.sale_id}",
                reason=ruling.reason,
                actor=ruling.actor,
                occurred_at=applied.ruled_at,
            ),
            policies=self.policies,
        )
        if isinstance(answer.refusal, NothingToReverse | AlreadyReversed):
            # It was worth nothing, or a refund took all of it, or this is an old movement's
            # repeat after two members became one.
            return made, None, False
        entry = answer.posted()
        if entry.kind is EntryKind.PARK:
            return None, None, False  # also when what it waited for has come meanwhile
        return made, entry, not answer.repeated

    def _give(
        self,
        stored: StoredSale,
        applied: AppliedRuling,
        movement: Movement,
        *,
        given: int,
        taken: int,
    ) -> int:
        share, ruling, entry_id = movement.share, applied.ruling, movement.movement_id
        *before, owner = self.loyalty.owners(share.member_id)
        if self.loyalty.made(before, entry_id):
            return 0  # given before the account went into another one, and gone there with it
        part = replace(stored.sale, volume_ml=share.volume_ml, amount_fen=share.amount_fen)
        tier = self._tier(part, owner)
        evaluation = self.late.judge(stored, share, stored.basket_for(entry_id), tier=tier)
        points = carried_over(evaluation.points, taken=taken, given=given) if evaluation else 0
        about: dict[str, Any] = {
            "entry_id": entry_id,
            "owner": owner,
            "source": f"sale:{ruling.sale_id}",
            "reason": ruling.reason,
            "actor": ruling.actor,
            "program_version": self.judging.version if self.judging else 0,
            "trace": tuple(each.to_record() for each in evaluation.trace) if evaluation else (),
            "occurred_at": stored.sale.key.completed_at,
        }
        if evaluation is None or points == 0:
            follow(self.ledger.execute, EarnNothing(**about), policies=self.policies)
            return 0
        answer = earning(self.ledger, self.judging)(
            Earn(
                points=points,
                expires_on=evaluation.expires_on,
                activates_on=evaluation.activates_on,
                items=in_proportion(points, evaluation.items),
                **about,
            ),
            policies=self.policies,
        )
        if answer is None or isinstance(answer.refusal, CeilingExceeded):
            return 0  # kept in the entry's place: to try again would not make the wallet larger
        answer.posted()
        return 0 if answer.repeated else points


def _taken_by(reversal: Entry) -> int:
    """Return how much of what had been given a reversal took back, from whomever it got it."""
    wallet = wallet_of(reversal.member_id, reversal.wallet)
    returned = (leg.points for leg in reversal.legs if leg.account not in (wallet, DEBT))
    return sum(returned) + reversal.uncovered
