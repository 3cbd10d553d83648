"""
Bugs, planted one at a time to show that the simulation would find them.

Each is one somebody has made before: in the store's conditions or in a rule of the ledger.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from forecourt.ledger import Shortfall, WalletPolicy, draft, procedure, reversing
from forecourt.ledger.canonical import fingerprint
from forecourt.ledger.chain import seal
from forecourt.ledger.decisions import Decision
from forecourt.ledger.draft import Draft, spending_order
from forecourt.ledger.procedure import Answer, Commit, Written
from forecourt.ledger.refusals import InsufficientPoints
from tests.simulation import simulator
from tests.simulation.store import DONE, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from forecourt.ledger import Account, Books
    from forecourt.ledger.commands import Command
    from forecourt.ledger.decisions import Posting
    from forecourt.ledger.entries import Entry, Lot
    from forecourt.ledger.procedure import KeptRefusal
    from forecourt.rounding import Rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """What is replaced while the bug is in: a kind of store, or attributes."""

    store: type[Store] = Store
    replaced: tuple[tuple[Any, str, Any], ...] = ()

    @contextmanager
    def planted(self) -> Iterator[Callable[[], Store]]:
        with ExitStack() as stack:
            for owner, name, value in self.replaced:
                stack.enter_context(patch.object(owner, name, value))
            yield self.store


class WithoutVersions(Store):
    def unchanged(self, _posting: Posting) -> bool:
        return True


class WithoutIds(Store):
    def taken(self, _key: object) -> bool:
        return False


class WithoutRefusals(Store):
    def keep(self, _refusal: KeptRefusal) -> Written:
        return DONE


class WithoutNotes(Store):
    def write(self, decision: Decision) -> None:
        note = decision.reversals
        if note is not None:
            note = replace(note, reversed=0, part=0, by_share=0, items=(), documents=())
        super().write(replace(decision, reversals=note))


class WithoutParked(Store):
    def write(self, decision: Decision) -> None:
        super().write(replace(decision, parked=None))


class WithoutLookingAgain(Store):
    def still(self, _account: Account | None) -> bool:
        return True


class WithHalfTransfers(Store):
    def write(self, decision: Decision) -> None:
        super().write(replace(decision, postings=decision.postings[:1]))


def _by_content(command: Command) -> str:
    return fingerprint(replace(command, request=""))


def _latest_first(lots: Iterable[Lot], *, bonus_first: bool) -> list[Lot]:
    return spending_order(lots, bonus_first=bonus_first)[::-1]


_take_back = reversing._take_back


def _without_debt(work: Draft, original: Entry, points: int, *, already: int) -> int:
    work.policy = replace(work.policy, shortfall=Shortfall.WITHIN_BALANCE)
    return _take_back(work, original, points, already=already)


def _without_debt_paid(work: Draft, points: int, lot: Lot) -> int:
    work._move(lot, points)
    return points


def _to_no_end(work: Draft, points: int, lot: Lot, *, on: date) -> None:
    del on
    work.give(points, (None, lot[1]))


_due = Draft._due


def _without_time_out(work: Draft) -> list[Any]:
    return [each for each in _due(work) if each[1] is None]


def _unlinked(entry: Entry) -> Entry:
    return seal(replace(entry, previous=""))


def _utc_day(instant: datetime, _zone: object) -> date:
    return instant.date()


def _programs_zone(policy: WalletPolicy, _account: Account) -> ZoneInfo:
    return policy.zone


def _rounded_up(numerator: int, denominator: int, _rounding: Rounding) -> int:
    return -(-numerator // denominator)


def _without_limit(*_: object, **__: object) -> None:
    return None


def _without_bonus(*_: object, **__: object) -> int:
    return 0


def _only_the_last(work: Draft) -> dict[date, int]:
    return dict(work.ran_out)


def _without_return(*_: object, **__: object) -> tuple[Posting, ...]:
    return ()


def _still_waiting(books: Books, command: Any, *, instead: Any, **_: object) -> Decision:
    del command
    return Decision(postings=(), instead=instead, unmoved=books.account)


def _throttled_is_refused(command: Any, *, policies: Any) -> Generator[Any, Any, Answer]:
    inner = procedure.carry_out(command, policies=policies)
    response = None
    while True:
        try:
            request = inner.send(response)
        except StopIteration as stop:
            answer: Answer = stop.value
            return answer
        response = yield request
        if isinstance(request, Commit) and response == Written(done=False):
            return Answer(refusal=InsufficientPoints(requested=0, available=0))


BUGS = {
    "the account's version is not checked": Bug(store=WithoutVersions),
    "the entry's id is not checked": Bug(store=WithoutIds),
    "a command is known by what was looked up for it": Bug(
        replaced=((procedure, "fingerprint", _by_content),)
    ),
    "refusals are not kept": Bug(store=WithoutRefusals),
    "what was reversed is not noted": Bug(store=WithoutNotes),
    "what was parked is lost": Bug(store=WithoutParked),
    "a refund comes between a judgement of nothing and its writing": Bug(store=WithoutLookingAgain),
    "a transfer is half written": Bug(store=WithHalfTransfers),
    "the latest last day is spent first": Bug(replaced=((draft, "spending_order", _latest_first),)),
    "a reversal forgets the debt": Bug(replaced=((reversing, "_take_back", _without_debt),)),
    "debt is not paid by what comes in": Bug(replaced=((Draft, "give", _without_debt_paid),)),
    "what was held never runs out": Bug(replaced=((Draft, "come_back", _to_no_end),)),
    "holds do not time out": Bug(replaced=((Draft, "_due", _without_time_out),)),
    "entries are not chained": Bug(replaced=((draft, "seal", _unlinked),)),
    "the day is UTC's and not the program's": Bug(replaced=((draft, "business_day", _utc_day),)),
    "the midnight is the program's and not the member's": Bug(
        replaced=((WalletPolicy, "zone_of", _programs_zone),)
    ),
    "shares are rounded up": Bug(replaced=((reversing, "divide", _rounded_up),)),
    "limits of the day are not counted": Bug(replaced=((Draft, "use", _without_limit),)),
    "a limit gets nothing back": Bug(replaced=((Draft, "use_back", _without_limit),)),
    "what ran out before is forgotten": Bug(replaced=((Draft, "_recalled", _only_the_last),)),
    "a refund does not return to its budget": Bug(
        replaced=((reversing, "counterpart", _without_return),)
    ),
    "what waits for nothing goes on waiting": Bug(
        replaced=((procedure, "never", _still_waiting), (reversing, "never", _still_waiting))
    ),
    "a bonus outlasts the money it came with": Bug(
        replaced=((reversing, "_bonus_part", _without_bonus),)
    ),
    "money that was spent is refunded": Bug(
        replaced=((reversing, "_require_principal", _without_limit),)
    ),
    "throttling is told as a refusal": Bug(
        replaced=((simulator, "carry_out", _throttled_is_refused),)
    ),
}
