"""
What has to move because a person decided whose a sale is.

First every share that is taken back, then every share that is given, each under the rules of
the sale's day. A movement's id comes from the ruling, so a record that comes again moves
nothing, and one that comes before the entry it takes back is parked by the ledger. Growth
value moves along with the points.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forecourt.growing import Growing
from forecourt.growth import growth_entry_id, growth_of, tier_of_sale
from forecourt.ledger import EntryKind, wallet_of
from forecourt.ledger.commands import Earn, Reverse
from forecourt.ledger.entries import DEBT
from forecourt.ledger.refusals import AlreadyReversed, CeilingExceeded, NothingToReverse
from forecourt.loyalty_table import trace_to_map
from forecourt.program import evaluate
from forecourt.rulings import carried_over
from forecourt.wallets import GROWTH_WALLET
from functions.accrual.growth_accounts import latest
from functions.accrual.judging import earning

if TYPE_CHECKING:
    from forecourt.ledger import Entry, Policies
    from forecourt.ledger_table import LedgerTable
    from forecourt.loyalty_table import LoyaltyTable
    from forecourt.program import Program
    from forecourt.rulings import Movement
    from forecourt.sales import Sale
    from forecourt.stored_rulings import AppliedRuling
    from forecourt.stored_sales import StoredSale


@dataclass(slots=True)
class Tally:
    """How much of one wallet a sale had given, and how much of it could be taken back."""

    given: int = 0
    taken: int = 0

    def add(self, gave: Entry | None, took: Entry | None) -> None:
        """Count what *gave* had given, and what *took* has taken of it: nothing if a refund had."""
        if gave is not None:
            self.given += gave.given
            self.taken += _taken_by(took) if took is not None else 0

    def carry(self, points: int) -> int:
        """Return what of *points* is there to be handed on."""
        return carried_over(points, taken=self.taken, given=self.given)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moving:
    """One ruling while it is carried out: whose sale it is about, and what was taken so far."""

    stored: StoredSale
    applied: AppliedRuling
    points: Tally = field(default_factory=Tally)
    growth: Tally = field(default_factory=Tally)

    def part(self, movement: Movement) -> Sale:
        """Return the sale as if it were the share that moves."""
        share = movement.share
        return replace(self.stored.sale, volume_ml=share.volume_ml, amount_fen=share.amount_fen)


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
        moving = _Moving(stored=stored, applied=applied)
        return sum(
            self._give(moving, each) if each.reverses is None else self._take_back(moving, each)
            for each in applied.moved
        )

    def _take_back(self, moving: _Moving, movement: Movement) -> int:
        """Take a share back; return the points that were taken only just now."""
        member_id, entry_id = movement.share.member_id, movement.reverses or ""
        *_, owner = self._owners(member_id)
        ruling = moving.applied.ruling
        command = Reverse(
            entry_id=movement.movement_id,
            owner=owner,
            reverses=entry_id,
            reverses_owner=member_id if owner != member_id else None,
            document=movement.movement_id,
            source=f"sale:{ruling.sale_id}",
            reason=ruling.reason,
            actor=ruling.actor,
            occurred_at=moving.applied.ruled_at,
        )
        answer = self.ledger.execute(command, policies=self.policies)
        gave = self.loyalty.judged([(member_id, entry_id)]).get(entry_id)
        took = None
        if not isinstance(answer.refusal, NothingToReverse | AlreadyReversed):
            # Otherwise it was worth nothing, or a refund took all of it, or this is an old
            # movement's repeat after two members became one.
            took = _reversal(answer.posted())
        moving.points.add(gave, took)
        self._take_growth_back(moving, movement, command)
        return took.points if took is not None and not answer.repeated else 0

    def _take_growth_back(self, moving: _Moving, movement: Movement, points: Reverse) -> None:
        if self.judging is None or growth_of(self.judging, moving.part(movement)) is None:
            return
        entry_id = growth_entry_id(points.reverses)
        took = Growing(ledger=self.ledger, policies=self.policies).take_back(points)
        gave = self.loyalty.judged([(movement.share.member_id, entry_id)]).get(entry_id)
        moving.growth.add(gave, _reversal(took))

    def _give(self, moving: _Moving, movement: Movement) -> int:
        """Give a share; return the points that were given only just now."""
        ruling, entry_id = moving.applied.ruling, movement.movement_id
        *before, owner = self._owners(movement.share.member_id)
        part = moving.part(movement)
        about: dict[str, Any] = {
            "owner": owner,
            "source": f"sale:{ruling.sale_id}",
            "reason": ruling.reason,
            "actor": ruling.actor,
            "program_version": self.judging.version if self.judging else 0,
            "occurred_at": part.key.completed_at,
        }
        moved = 0
        # What was given before the account went into another one, has gone there with it.
        if not self._given(before, entry_id):
            moved = self._give_points(moving, part, entry_id, about=about)
        if not self._given(before, growth_entry_id(entry_id)):
            self._give_growth(moving, part, entry_id, about=about)
        return moved

    def _give_growth(
        self, moving: _Moving, part: Sale, entry_id: str, *, about: dict[str, Any]
    ) -> None:
        growth = growth_of(self.judging, part) if self.judging else None
        if growth is None or self.judging is None:
            return
        value = moving.growth.carry(growth.value)
        if value:
            growing = Growing(ledger=self.ledger, policies=self.policies)
            growing.give(replace(growth, value=value), entry_id, about=about)
        else:
            # What takes the share back again must not wait for growth value that never comes.
            self.loyalty.record_evaluation(
                about["owner"],
                part,
                version=self.judging.version,
                evaluation=None,
                entry_id=growth_entry_id(entry_id),
                wallet=GROWTH_WALLET,
            )

    def _given(self, owners: list[str], entry_id: str) -> bool:
        return bool(owners and self.loyalty.judged([(each, entry_id) for each in owners]))

    def _give_points(
        self, moving: _Moving, part: Sale, entry_id: str, *, about: dict[str, Any]
    ) -> int:
        owner, judging = about["owner"], self.judging
        if judging is None:
            self.loyalty.record_evaluation(
                owner, part, version=None, evaluation=None, entry_id=entry_id
            )
            return 0
        tier = None
        if judging.tiers is not None:
            grown = latest(self.loyalty, owner)
            tier = tier_of_sale(judging, part, grown, now=datetime.now(UTC))
        evaluation = evaluate(judging, part, tier=tier)
        points = moving.points.carry(evaluation.points)
        if points == 0:
            self.loyalty.record_evaluation(
                owner, part, version=judging.version, evaluation=evaluation, entry_id=entry_id
            )
            return 0
        command = Earn(
            entry_id=entry_id,
            points=points,
            expires_on=evaluation.expires_on,
            activates_on=evaluation.activates_on,
            trace=tuple(trace_to_map(each) for each in evaluation.trace),
            **about,
        )
        answer = earning(self.ledger, judging)(command, policies=self.policies)
        if answer is None or isinstance(answer.refusal, CeilingExceeded):
            return 0  # kept in the entry's place: to try again would not make the wallet larger
        answer.posted()
        return 0 if answer.repeated else points

    def _owners(self, member_id: str) -> list[str]:
        """Return the accounts a member's points went through, the one that has them at the end."""
        owners = [member_id]
        while (into := self.loyalty.account(owners[-1]).merged_into) is not None:
            owners.append(into)
        return owners


def _reversal(entry: Entry | None) -> Entry | None:
    """Return *entry* if it takes something back, and does not wait for what it is to take."""
    return None if entry is None or entry.kind is EntryKind.PARK else entry


def _taken_by(reversal: Entry) -> int:
    """Return how much of what had been given a reversal took back, from whomever it got it."""
    wallet = wallet_of(reversal.member_id, reversal.wallet)
    returned = (leg.points for leg in reversal.legs if leg.account not in (wallet, DEBT))
    return sum(returned) + reversal.uncovered
