"""
What a receipt changes about points that were given before it was known.

Usually a driver pays when the pump's sale is judged already. What was given stays as it was, and
one further entry makes the difference, under the rules of the sale's own day: an earn, or a
reversal of a part. Its id comes from the entry and the telling, so a record that comes again
finds it there. What is given after the receipt is judged with it and needs no difference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.by_line import divided, in_proportion
from forecourt.growth import tier_of_entry
from forecourt.ledger import EntryKind
from forecourt.ledger.commands import Earn, EarnNothing, Exactly, Reverse
from forecourt.ledger.refusals import CeilingExceeded
from forecourt.program import evaluate
from forecourt.receiving import follow
from forecourt.rulings import Movement, carried_over
from forecourt.stored_baskets import is_difference, refunded_trace
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from forecourt.baskets import Basket
    from forecourt.ledger import Entry, Policies
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable, Made
    from forecourt.program import Evaluation, Program
    from forecourt.rulings import Holding, Share
    from forecourt.stored_baskets import ToldBasket
    from forecourt.stored_sales import StoredSale
    from forecourt.tiers import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class LateBaskets:
    """Makes the differences; *judging* is the program of the sale's day, `None` before any."""

    loyalty: LoyaltyTable
    ledger: LedgerTable
    policies: Policies
    judging: Program | None

    def judge(
        self, stored: StoredSale, share: Share, basket: Basket | None, *, tier: Tier | None
    ) -> Evaluation | None:
        """Return what a share of a sale earns, with or without the receipt."""
        if self.judging is None:
            return None
        part = replace(stored.sale, volume_ml=share.volume_ml, amount_fen=share.amount_fen)
        return evaluate(self.judging, part, basket, whole=stored.sale, tier=tier)

    def settle(self, stored: StoredSale) -> int:
        """Return the points members have more, or less, by a receipt; again, nothing moves."""
        told = stored.basket
        if told is None:
            return 0
        late = [each for each in stored.held if each.entry_id in told.after]
        return sum(self._settle(stored, told, each) for each in late)

    def also_taken(self, stored: StoredSale, movement: Movement) -> Iterator[Movement]:
        """Yield what takes back, with an entry, what a receipt had added to it, or will have."""
        told = stored.basket
        if told is None or movement.reverses is None or movement.reverses not in told.after:
            return
        added_id = told.difference_id(movement.reverses)
        owners = self.loyalty.owners(movement.share.member_id)
        made = self.loyalty.made(owners, added_id)
        if made is None:
            _, gave = self.loyalty.made(owners, movement.reverses) or (None, None)
            adds = self._difference(stored, movement.share, told.basket, gave) > 0
        else:
            adds = made[1] is not None and made[1].kind is EntryKind.EARN
        if adds:
            yield Movement(
                movement_id=told.difference_id(movement.movement_id),
                share=movement.share,
                reverses=added_id,
            )

    def stood_for(self, stored: StoredSale, movement: Movement, made: Made) -> int:
        """
        Return what *movement* takes back was of the sale, before any refund.

        Not what was given: whoever had the sale before may have been refunded, and what that
        took is lost to everybody after them.
        """
        told, entry_id, (owner, gave) = stored.basket, movement.reverses or "", made
        if told is not None and is_difference(entry_id):
            return self._difference(stored, movement.share, told.basket, gave)
        judged = self.loyalty.worth(owner, entry_id)
        if told is None or entry_id not in told.after:
            return judged
        owners = self.loyalty.owners(movement.share.member_id)
        _, less = self.loyalty.made(owners, told.difference_id(entry_id)) or (None, None)
        if less is None or less.kind is not EntryKind.REVERSE:
            return judged
        return judged + self._difference(stored, movement.share, told.basket, gave)

    def _difference(
        self, stored: StoredSale, share: Share, basket: Basket, judged: Entry | None
    ) -> int:
        tier = tier_of_entry(self.judging, judged)
        evaluations = [self.judge(stored, share, each, tier=tier) for each in (None, basket)]
        without, given = (each.points if each else 0 for each in evaluations)
        return given - without

    def _settle(self, stored: StoredSale, told: ToldBasket, holding: Holding) -> int:
        """
        Make the difference to what *holding* was given.

        It depends on what a refund has taken by now, so it is looked for before it is made.
        """
        share, entry_id = holding.share, told.difference_id(holding.entry_id)
        owners = self.loyalty.owners(share.member_id)
        if self.loyalty.made(owners, entry_id):
            return 0
        made = self.loyalty.made(owners, holding.entry_id)
        gave = made[1] if made else None
        reversals = self.ledger.reversals_of(gave) if gave is not None else None
        tier = tier_of_entry(self.judging, gave)
        alone = self.judge(stored, share, None, tier=tier)
        evaluation = self.judge(stored, share, told.basket, tier=tier)
        if alone is None or evaluation is None:
            return 0
        points = whole = evaluation.points - alone.points
        if made is not None:
            # A refund has taken its part of both, whatever it named.
            judged = self.loyalty.worth(made[0], holding.entry_id)
            left = reversals.given - reversals.reversed if reversals else 0
            points = _less(whole, left=left, judged=judged)
        trace = [each.to_record() for each in evaluation.trace]
        if reversals is not None and reversals.part:
            trace.append(refunded_trace(whole - points, amount_fen=reversals.part))
        common: dict[str, Any] = {
            "entry_id": entry_id,
            "owner": owners[-1],
            "source": f"sale:{stored.sale.sale_id}",
            "reason": "basket",
            "actor": "accrual",
            "program_version": self.judging.version if self.judging else 0,
            "trace": tuple(trace),
            "occurred_at": stored.sale.key.completed_at,
        }
        if points == 0 or (points < 0 and gave is None):
            follow(self.ledger.execute, EarnNothing(**common), policies=self.policies)
            return 0
        if points < 0 and gave is not None:
            return self._post(_less_of(gave, -points, common))
        lines = divided(alone.points, evaluation.items, fuel=told.basket.fuel_number)
        return self._post(
            Earn(
                points=points,
                expires_on=evaluation.expires_on,
                activates_on=evaluation.activates_on,
                items=in_proportion(points, lines.further),
                **common,
            )
        )

    def _post(self, command: Earn | Reverse) -> int:
        answer = follow(self.ledger.execute, command, policies=self.policies)
        if isinstance(answer.refusal, CeilingExceeded):
            return 0  # kept in the entry's place: to try again would not make the wallet larger
        return answer.posted().points


def _less(points: int, *, left: int, judged: int) -> int:
    """Return what of a difference, up or down, is left when so much of what was *judged* is."""
    size = carried_over(abs(points), taken=left, given=judged)
    return size if points > 0 else -size


def _less_of(gave: Entry, points: int, common: Mapping[str, Any]) -> Reverse:
    return Reverse(
        reverses=gave.entry_id,
        reverses_owner=gave.member_id if gave.member_id != common["owner"] else None,
        document=common["entry_id"],
        part=Exactly(points=points),
        **common,
    )
