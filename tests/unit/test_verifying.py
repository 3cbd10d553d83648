"""Whatever is done to a ledger behind its back is found, and what its own commands do is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.ledger import Shortfall
from forecourt.ledger import commands as c
from forecourt.ledger.chain import intact, seal
from forecourt.ledger.entries import TRANSFER
from forecourt.ledger.verifying import Holdings, differences, passing, reversed_points
from tests.unit.books import JUNE, TODAY, Ledger

if TYPE_CHECKING:
    from forecourt.ledger import Entry


def held(ledger: Ledger, owner: str = "ann", **changes: Any) -> Holdings:
    """Return what a table with *ledger* in it has of *owner*."""
    whole = Holdings(
        owner=owner,
        accounts={wallet: each for (who, wallet), each in ledger.accounts.items() if who == owner},
        parked=tuple(each for each in ledger.parked.values() if each.owner == owner),
        reversals=tuple(each for each in ledger.notes.values() if each.owner == owner),
        entries=tuple(each for each in ledger.entries.values() if each.member_id == owner),
    )
    return replace(whole, **changes)


def kinds(holdings: Holdings) -> list[str]:
    return [str(each.kind) for each in differences(holdings)]


def without(holdings: Holdings, entry: Entry) -> Holdings:
    return replace(holdings, entries=tuple(each for each in holdings.entries if each != entry))


def instead(holdings: Holdings, old: Entry, new: Entry) -> Holdings:
    entries = tuple(new if each == old else each for each in holdings.entries)
    return replace(holdings, entries=entries)


@pytest.fixture
def ledger() -> Ledger:
    """Give a member a past: earned, spent, held, refunded, over two wallets."""
    ledger = Ledger()
    ledger.earn(100)
    spent = ledger.spend(40)
    ledger.hold(10)
    ledger.reverse(spent, c.Exactly(points=15))
    ledger.earn(7, wallet="growth")
    return ledger


def test_a_ledger_that_nobody_touched_has_no_differences(ledger: Ledger) -> None:
    assert differences(held(ledger)) == []


def test_an_owner_without_anything_has_no_differences() -> None:
    assert differences(Holdings(owner="nobody")) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"buckets": {JUNE: 10_000}}, "buckets"),
        ({"frozen": True}, "frozen"),
        ({"digest": "0" * 64}, "digest"),
        ({"debt": 5, "buckets": {}}, "debt"),
    ],
)
def test_an_account_that_was_edited_is_found_with_both_values(
    ledger: Ledger, changes: dict[str, Any], field: str
) -> None:
    account = replace(ledger.account(), **changes)
    accounts = {**held(ledger).accounts, "points": account}

    found = {each.facts["field"]: each for each in differences(held(ledger, accounts=accounts))}

    assert found[field].kind == "account_differs"
    assert found[field].facts["live"] != found[field].facts["rebuilt"]


def test_an_account_that_was_put_back_to_an_older_state_is_found(ledger: Ledger) -> None:
    before = ledger.account()
    taken = ledger.spend(20)
    account = replace(before, version=taken.account_version)
    accounts = {**held(ledger).accounts, "points": account}

    assert set(kinds(held(ledger, accounts=accounts))) == {"account_differs"}


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_an_entry_that_is_gone_is_found_wherever_it_stood(ledger: Ledger, at: int) -> None:
    gone = [entry for entry in ledger.entries.values() if entry.wallet == "points"][at]

    assert kinds(without(held(ledger), gone))


@pytest.mark.parametrize(
    "changes", [{"actor": "somebody"}, {"source": "other"}, {"digest": "", "reason": "gift"}]
)
def test_an_entry_that_was_edited_breaks_the_chain(ledger: Ledger, changes: dict[str, Any]) -> None:
    entry = next(iter(ledger.entries.values()))
    edited = replace(entry, **changes)

    found = differences(instead(held(ledger), entry, edited))

    assert "chain_broken" in {each.kind for each in found}
    assert all(each.owner == "ann" for each in found)
    assert intact(entry)
    assert intact(edited) == (not edited.digest)


def test_an_entry_that_was_edited_and_sealed_again_breaks_the_chain_behind_it(
    ledger: Ledger,
) -> None:
    first = next(iter(ledger.entries.values()))
    forged = seal(replace(first, actor="somebody"))

    (fault, *_) = differences(instead(held(ledger), first, forged))

    assert (fault.facts["reason"], fault.facts["account_version"]) == ("previous", 2)


def test_an_entry_that_takes_what_is_not_there_is_named(ledger: Ledger) -> None:
    spent = next(entry for entry in ledger.entries.values() if entry.kind == "spend")
    legs = tuple(replace(leg, points=leg.points * 100) for leg in spent.legs)

    found = differences(instead(held(ledger), spent, replace(spent, legs=legs)))

    bounds = next(each for each in found if each.kind == "out_of_bounds")
    assert bounds.facts["entry_id"] == spent.entry_id


def test_a_missing_account_is_found(ledger: Ledger) -> None:
    accounts = {"growth": held(ledger).accounts["growth"]}

    (found,) = differences(held(ledger, accounts=accounts))

    assert (found.kind, found.facts["wallet"]) == ("account_missing", "points")


def test_an_item_that_cannot_be_read_is_found(ledger: Ledger) -> None:
    (found,) = differences(held(ledger, unreadable=("T#1",)))

    assert (found.kind, found.facts) == ("unreadable", {"sort_key": "T#1"})


@pytest.mark.parametrize("then", ["spend", "earn", "reverse", "park"])
def test_what_is_posted_while_we_read_is_no_difference(ledger: Ledger, then: str) -> None:
    early = held(ledger)
    original = ledger.earn(30)
    match then:
        case "spend":
            ledger.spend(5)
        case "earn":
            ledger.earn(5, wallet="growth")
        case "reverse":
            ledger.reverse(original)
        case _:
            ledger.run(c.Reverse, reverses="later", document="d", part=c.Remainder())

    # The account as it was first, all else as it was a moment later.
    assert differences(replace(held(ledger), accounts=early.accounts)) == []
    # And with the notes of the first moment, too.
    late = replace(early, entries=held(ledger).entries)
    assert differences(late) == []


def test_a_note_that_forgot_a_reversal_is_found(ledger: Ledger) -> None:
    (note,) = ledger.notes.values()
    forgetful = (replace(note, reversed=0, documents=()),)

    (found,) = differences(held(ledger, reversals=forgetful))

    assert found.kind == "reversals_differ"
    assert found.facts == {"entry_id": note.entry_id, "noted": 0, "reversed": 15}
    assert kinds(held(ledger, reversals=())) == ["reversals_differ"]


def test_a_reversal_through_another_account_is_no_difference() -> None:
    ledger = Ledger()
    sale = ledger.earn(50)
    ledger.earn(80, owner="bo")
    ledger.reverse(sale, owner="bo", reverses_owner="ann")

    assert differences(held(ledger)) == []
    assert differences(held(ledger, "bo")) == []


def test_a_parked_reversal_is_counted_on_both_sides() -> None:
    ledger = Ledger()
    ledger.run(c.Reverse, reverses="later", document="refund:1", part=c.Remainder())

    assert differences(held(ledger)) == []

    (found,) = differences(held(ledger, parked=()))
    assert (found.kind, found.facts["counted"], found.facts["waiting"]) == ("parked_differ", 1, 0)


@pytest.mark.parametrize("shortfall", Shortfall)
def test_what_was_reversed_is_counted_whatever_could_be_taken(shortfall: Shortfall) -> None:
    ledger = Ledger(shortfall=shortfall)
    sale = ledger.earn(100)
    ledger.spend(80)
    ledger.reverse(sale, c.Exactly(points=70))

    assert reversed_points(ledger.entries.values()) == {sale.entry_id: 70}
    assert differences(held(ledger)) == []


def test_what_comes_back_too_late_is_counted_as_reversed() -> None:
    ledger = Ledger()
    ledger.earn(100)
    spent = ledger.spend(60)
    ledger.now += timedelta(days=365)
    ledger.reverse(spent)

    assert reversed_points(ledger.entries.values()) == {spent.entry_id: 60}
    assert differences(held(ledger)) == []


def test_an_entry_said_to_reverse_what_cannot_be_reversed_changes_no_sum(ledger: Ledger) -> None:
    reversal = next(entry for entry in ledger.entries.values() if entry.kind == "reverse")
    odd = replace(reversal, refers_to=reversal.entry_id)

    assert reversed_points([reversal, odd]) == {}


@pytest.mark.parametrize(
    ("lost", "left", "missing"),
    [("partner-airline", "points", "{}.in"), ("points", "partner-airline", "{}")],
)
def test_a_conversion_whose_other_wallet_is_gone_is_found(
    lost: str, left: str, missing: str
) -> None:
    ledger = Ledger()
    ledger.earn(100)
    given = ledger.run(
        c.Convert, into_wallet="partner-airline", points=50, gives=2, per=5, expires_on=None
    )
    assert differences(held(ledger)) == []
    whole = held(ledger)

    without_it = replace(
        whole,
        accounts={left: whole.accounts[left]},
        entries=tuple(each for each in whole.entries if each.wallet != lost),
    )

    (found,) = differences(without_it)
    assert (found.kind, found.facts["wallet"]) == ("half_missing", left)
    assert found.facts["missing"] == missing.format(given.entry_id)


def test_a_conversion_that_comes_while_we_read_is_not_asked_for_its_other_half() -> None:
    ledger = Ledger()
    ledger.earn(100)
    accounts = held(ledger).accounts
    given = ledger.run(
        c.Convert, into_wallet="partner-airline", points=50, gives=2, per=5, expires_on=None
    )

    read = replace(without(held(ledger), ledger.entries[f"{given.entry_id}.in"]), accounts=accounts)

    assert differences(read) == []


def left_in_passing(
    ledger: Ledger, owner: str, *, before: date = TODAY + timedelta(days=1)
) -> dict[str, int]:
    return dict(passing(held(ledger, owner).entries, settled_before=before))


def test_what_one_owner_gives_another_gets_and_an_award_is_what_its_budget_gave() -> None:
    ledger = Ledger()
    ledger.earn(100, owner="budget:spring")
    ledger.earn(30, funded_by="budget:spring")
    ledger.run(c.Transfer, receiver="bo", points=20)

    assert left_in_passing(ledger, "ann") == {"budget:spring": -30, TRANSFER: 20}
    assert left_in_passing(ledger, "bo") == {TRANSFER: -20}
    assert left_in_passing(ledger, "budget:spring") == {"budget:spring": 30}


def test_what_may_be_seen_from_one_side_only_is_not_counted() -> None:
    ledger = Ledger()
    ledger.earn(100)
    ledger.run(c.Transfer, receiver="bo", points=20)

    assert left_in_passing(ledger, "bo", before=TODAY) == {}
