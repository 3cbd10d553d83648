"""
Runs a history against the real procedure over the simulated store, beside the naive model.

After every write the invariants are checked on what it touched, and the model must have come
to the same; after the last action on everything, from the entries alone.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

from forecourt.errors import EntryConflict, StaleWrite
from forecourt.ledger import apply, carry_out, faults, rebuild, settled
from forecourt.ledger.accounts import Account
from forecourt.ledger.canonical import fingerprint
from forecourt.ledger.chain import digest_of
from forecourt.ledger.decisions import Parked, Reversals
from forecourt.ledger.entries import DEBT, TRANSFER, Entry
from forecourt.ledger.notes import (
    parked_from_record,
    parked_to_record,
    reversals_from_record,
    reversals_to_record,
)
from forecourt.ledger.procedure import (
    AccountKey,
    Commit,
    EntryKey,
    Found,
    KeptRefusal,
    ParkedKey,
    Pause,
    Read,
    ReversalsKey,
    ZoneKey,
)
from forecourt.ledger.records import (
    account_from_record,
    account_to_record,
    entry_from_record,
    entry_to_record,
)
from forecourt.ledger.refusals import NothingDue
from tests.simulation.history import BUDGET, RECALL_DAYS, Advance, Resume, Start
from tests.simulation.model import Model
from tests.simulation.moves import other_place_of
from tests.simulation.oracle import Refused, Scene
from tests.simulation.store import EVALUATION, STALE, Store, answered_by

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from datetime import datetime

    from forecourt.ledger.commands import Command
    from forecourt.ledger.decisions import Decision, Posting
    from forecourt.ledger.procedure import Answer
    from tests.simulation.history import History

_LAST_STEPS = 60  # a delivery that is not over by then never will be


class Violation(AssertionError):
    """An invariant does not hold; the arguments say which, and on what."""


def check(holds: object, *what: object) -> None:
    if not holds:
        raise Violation(*what)


class Delivery:
    """One attempt at a command, somewhere between its requests."""

    def __init__(self, start: Start, procedure: Generator[Any, Any, Answer]) -> None:
        self.command = start.command
        self.skew = timedelta(seconds=start.skew_seconds)
        self.script = list(start.script)
        self.procedure = procedure
        self.request: Any = next(procedure)
        self.partly: dict[Any, Any] | None = None
        self.waited = False
        self.seen: dict[AccountKey, int] = {}
        self.known = 0

    def next_letter(self) -> str:
        """Return what the script has for this request; one that waited has had its letter."""
        if self.waited or self.partly is not None or not self.script:
            self.waited = False
            return "."
        letter = self.script.pop(0)
        self.waited = letter == "p"
        return letter


class World:
    """The store, the model and the deliveries under way, at one moment."""

    def __init__(self, history: History, *, store: Store | None = None) -> None:
        self.history = history
        self.now: datetime = history.begins_at
        self.store = store or Store()
        self.store.items |= {ZoneKey(owner): zone for owner, zone in history.homes.items()}
        self.model = Model(history.homes)
        self.rebuilt: dict[AccountKey, Account] = {}
        self.entries: dict[AccountKey, list[Entry]] = {}
        self.ids: set[EntryKey] = set()
        self.in_transfer: dict[tuple[str, str], int] = {}
        self.closed_holds: set[str] = set()
        self.never: set[tuple[str, str]] = set()  # ids under which no points will come
        self.answers: dict[tuple[str, str, str], object] = {}
        self.under_way: dict[int, Delivery] = {}
        self.commands = 0

    def run(self) -> None:
        for action in self.history.actions:
            match action:
                case Advance(seconds=seconds):
                    self.now += timedelta(seconds=seconds)
                case Resume(delivery=number):
                    if number in self.under_way:
                        self._go_on(number)
                case Start(delivery=number, command=command):
                    policies = self.history.policies(command.owner)
                    procedure = carry_out(command, policies=policies)
                    self.under_way[number] = Delivery(action, procedure)
                    self.commands += 1
                    self._go_on(number)
        for number in list(self.under_way):
            for _ in range(_LAST_STEPS):
                if number in self.under_way:
                    self._go_on(number)
        check(not self.under_way, "every delivery ends")
        self._check_everything()

    def _go_on(self, number: int) -> None:
        """Answer the delivery's requests until it waits, ends or crashes."""
        delivery = self.under_way[number]
        while True:
            crashes, response = self._respond(delivery)
            if crashes:
                delivery.procedure.close()
                del self.under_way[number]
                return
            if response is None:
                return
            try:
                delivery.request = delivery.procedure.send(response)
            except StopIteration as stop:
                del self.under_way[number]
                self._answered(delivery.command, stop.value)
                return
            except EntryConflict:
                del self.under_way[number]
                self._conflicts(delivery.command)
                return
            except StaleWrite:
                del self.under_way[number]
                return

    def _respond(self, delivery: Delivery) -> tuple[bool, Any]:
        """Return whether it crashes here, and what the request is answered: `None` is later."""
        request = delivery.request
        if isinstance(request, Pause):
            return False, ()
        letter = delivery.next_letter()
        if letter == "p":
            return False, None
        if letter == "c":
            return True, None
        if isinstance(request, Read):
            return False, self._read(delivery, request, in_parts=letter == "n")
        if letter in "tx":
            return False, STALE
        if isinstance(request, Commit):
            written = self.store.commit(request.decision)
            if written.done:
                if isinstance(request.decision.instead, KeptRefusal):
                    self._refused(delivery, request.decision.instead)
                self._committed(delivery, request.decision)
        else:
            written = self.store.keep(request.refusal)
            if written.done:
                self._refused(delivery, request.refusal)
        return letter == "C", written

    def _read(self, delivery: Delivery, request: Read, *, in_parts: bool) -> Found | None:
        keys = list(request.keys)
        found = delivery.partly or {}
        if not found and not isinstance(keys[0], ZoneKey):
            delivery.known = self.model.moment
        if in_parts and len(keys) > 1:
            keys = keys[len(keys) // 2 :]
        for key in keys:
            if key not in found:
                found[key] = self.store.get(key)
                if isinstance(key, AccountKey):
                    delivery.seen[key] = self.model.count((key.owner, key.wallet))
        if len(found) < len(request.keys):
            delivery.partly = found
            return None
        delivery.partly = None
        return Found(found, self.now + delivery.skew)

    def _committed(self, delivery: Delivery, decision: Decision) -> None:
        command = delivery.command
        policies = self.history.policies(command.owner)
        for posting in decision.postings:
            self._check_posting(posting)
        if decision.instead is not None:
            self.never.add(answered_by(decision))
        note = decision.reversals
        if note is not None:
            stored = self.store.get(ReversalsKey(note.owner, note.entry_id))
            original = self.store.get(EntryKey(note.owner, note.entry_id))
            check(0 <= stored.reversed <= original.given, "reversed <= given", note.entry_id)
        check(not any(self.in_transfer.values()), "what is in transfer is at zero", command)
        now = decision.entry.posted_at if decision.postings else self.now + delivery.skew
        try:
            if isinstance(decision.instead, KeptRefusal):
                trial = self.model.end_waiting(command, now=now, policies=policies)
            else:
                trial = self.model.attempt(command, now=now, policies=policies)
        except Refused as refused:
            raise Violation("the model refuses", *refused.args, command) from refused
        steps = {
            (posting.account.member_id, posting.account.wallet): len(posting.entries)
            for posting in decision.postings
        }
        check(steps.keys() == trial.purses.keys(), "the same accounts", command)
        self.model.keep(trial, steps)
        for posting in decision.postings:
            self._compare(posting.account, command)
            self._check_view(posting.account)

    def _check_posting(self, posting: Posting) -> None:
        account = posting.account
        key = AccountKey(account.member_id, account.wallet)
        rebuilt = self.rebuilt.get(key) or Account(
            member_id=key.owner, wallet=key.wallet, buckets={}
        )
        for entry in posting.entries:
            entry_key = EntryKey(entry.member_id, entry.entry_id)
            check(entry_key not in self.ids, "an id is used once", entry.entry_id)
            self.ids.add(entry_key)
            check(not sum(leg.points for leg in entry.legs), "legs sum to zero", entry)
            check(not sum(leg.points for leg in entry.upkeep), "upkeep sums to zero", entry)
            check(entry.previous == rebuilt.digest, "the chain goes on", entry.entry_id)
            check(entry.digest == digest_of(entry), "the digest is the content's", entry.entry_id)
            for leg in entry.legs:
                if leg.account in (TRANSFER, BUDGET):
                    place = (leg.account, key.wallet)
                    self.in_transfer[place] = self.in_transfer.get(place, 0) + leg.points
            rebuilt = apply(rebuilt, entry)
            self.entries.setdefault(key, []).append(entry)
        check(rebuilt == self.store.get(key), "rebuild equals live", key)
        check(rebuilt == account, "rebuild equals decided", key)
        lots = [*account.buckets.values(), *account.bonus.values(), *account.pending.values()]
        check(all(points > 0 for points in lots), "no bucket is overdrawn", key)
        policy = self.history.policies(key.owner).of(key.wallet)
        today = policy.day_of(account, posting.entries[-1].posted_at)
        check(not (account.debt and account.available(today)), "debt or balance")
        before = self.rebuilt.get(key)
        if before is not None:
            self.closed_holds |= before.holds.keys() - account.holds.keys()
        check(not self.closed_holds & account.holds.keys(), "a hold is resolved once", key)
        self.rebuilt[key] = rebuilt

    def _compare(self, account: Account, *where: object) -> None:
        purse = self.model.at((account.member_id, account.wallet))
        expected, actual = purse.facts(), _facts(account)
        for name, value in expected.items():
            check(actual[name] == value, "the model has", name, value, actual[name], *where)
        # Two days less, for clocks and zones that differ.
        oldest = self.now.date() - timedelta(days=RECALL_DAYS - 2)
        recalled, dead = (
            {last: points for last, points in lots.items() if last >= oldest}
            for lots in (account.ran_out, purse.dead)
        )
        check(recalled == dead, "what ran out is recalled", recalled, dead, *where)

    def _check_view(self, account: Account) -> None:
        """Check that reading counts what is due, as the model does, now and in a while."""
        policies = self.history.policies(account.member_id)
        policy = policies.of(account.wallet)
        for now in (self.now + timedelta(hours=1), self.now + timedelta(days=25)):
            purse = self.model.at((account.member_id, account.wallet))
            scene = Scene(policy, now)
            scene.live(purse)
            view = settled(account, now=now, policies=policies)
            check(_facts(view)["free"] == purse.facts()["free"], "effective at read", now)
            available = account.available(scene.day(purse), now=now)
            check(view.debt == purse.debt, "debt at read", now)
            if policy.slide is None and not account.extended and not _held_too_long(account, now):
                check(available == scene.spendable(purse), "available at read", now)

    def _refused(self, delivery: Delivery, refusal: KeptRefusal) -> None:
        """Check that the model refused as well, at some moment since the command was read."""
        command = delivery.command
        moments = range(delivery.known, self.model.moment + 1)
        place = (command.owner, command.wallet)
        versions = range(delivery.seen[AccountKey(*place)], self.model.count(place) + 1)
        others: Any = [None]
        other = other_place_of(command)
        if other is not None:
            others = range(delivery.seen[AccountKey(*other)], self.model.count(other) + 1)
        said = []
        for version, other_version, moment in product(versions, others, moments):
            try:
                self.model.attempt(
                    command,
                    now=refusal.refused_at,
                    policies=self.history.policies(command.owner),
                    version=version,
                    other_version=other_version,
                    as_of=moment,
                )
            except Refused as refused:
                said.append(refused.args[0])
                if said[-1] == refusal.code:
                    self.model.keep_refusal((refusal.owner, refusal.entry_id))
                    return
        raise Violation("the model does not refuse", refusal.code, said, command)

    def _answered(self, command: Command, answer: Answer) -> None:
        """Check that a command has one answer, however often it is asked."""
        if isinstance(answer.refusal, NothingDue):
            return
        key = (command.owner, command.entry_id, fingerprint(command))
        said: object = answer.entry
        if answer.refusal is not None:
            said = (answer.refusal.code, answer.refusal.facts())
        check(self.answers.setdefault(key, said) == said, "one answer", command, said)
        stored = self.store.get(EntryKey(command.owner, command.entry_id))
        check(stored is not None, "an answer is stored", command)

    def _conflicts(self, command: Command) -> None:
        stored = self.store.get(EntryKey(command.owner, command.entry_id))
        check(
            stored == EVALUATION or stored.fingerprint != fingerprint(command),
            "a conflict is one",
            command,
        )

    def _check_everything(self) -> None:
        stored: dict[AccountKey, list[Entry]] = {}
        for key, item in self.store.items.items():
            if isinstance(item, Entry):
                stored.setdefault(AccountKey(item.member_id, item.wallet), []).append(item)
                again = entry_from_record(
                    entry_to_record(item),
                    member_id=item.member_id,
                    entry_id=item.entry_id,
                    digest=item.digest,
                )
                check(again == item, "an entry reads as it was written", key)
        for key, entries in stored.items():
            live = self.store.get(key)
            check(rebuild(key.owner, key.wallet, entries) == live, "rebuild equals live", key)
            check(not faults(entries), "the chain is valid", key, faults(entries))
            debt = -sum(
                leg.points
                for entry in entries
                for leg in (*entry.legs, *entry.upkeep)
                if leg.account == DEBT
            )
            check(live.debt == debt, "debt is what the entries say", key)
            record = account_to_record(live)
            read_again = account_from_record(record, member_id=key.owner, wallet=key.wallet)
            check(read_again == live, "an account reads as it was written", key)
            self._compare(live)
        for key, item in self.store.items.items():
            reread = _reread(item)
            check(reread == item, "a note reads as it was written", key)
        for owner, entry_id in self.never:
            waiting = self.store.get(ParkedKey(owner, entry_id))
            check(waiting is None, "nothing waits for what never comes", owner, entry_id)


def _reread(item: Any) -> Any:
    if isinstance(item, Reversals):
        record = reversals_to_record(item)
        return reversals_from_record(record, owner=item.owner, entry_id=item.entry_id)
    if isinstance(item, Parked):
        record = parked_to_record(item)
        return parked_from_record(record, owner=item.owner, entry_id=item.entry_id)
    return item


def _held_too_long(account: Account, now: datetime) -> bool:
    """Return whether a hold came back between two looks, so that order matters."""
    return bool(account.debt) or any(hold.expires_at <= now for hold in account.holds.values())


def _facts(account: Account) -> Mapping[str, Any]:
    free = {(day, False): points for day, points in account.buckets.items()}
    free |= {(day, True): points for day, points in account.bonus.items()}
    return {
        "free": free,
        "pending": dict(account.pending),
        "holds": {name: (hold.expires_at, dict(hold.lots)) for name, hold in account.holds.items()},
        "debt": account.debt,
        "awarded": account.awarded,
        "frozen": account.frozen,
        "zone": account.zone,
        "gone_to": account.merged_into,
        "parked": account.parked,
        "used": dict(account.used),
    }


__all__ = ["KeptRefusal", "Violation", "World"]
