"""Points for which somebody pays: out of a budget, never beyond it, and a partner's."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.instants import format_instant
from forecourt.keeping import Keeping
from forecourt.ledger import EntryKind
from forecourt.ledger.entries import PARTNER
from forecourt.ledger_table import LedgerTable
from forecourt.programs import Programs
from functions.corrections import handler
from tests.functional.clients import Interrupting, Killed, Killing
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.correcting import staff
from tests.functional.refusing import assert_refused_for_its_time
from tests.functional.test_one_answer import again
from tests.functional.test_redemption_api import forget_answers
from tests.functional.world import POLICIES, with_wallets
from tests.specimens import OPEN_SINCE, RECEIVED_AT, earned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Client, Reply
    from tests.functional.world import World

LIMIT = 1000
NOW = RECEIVED_AT + timedelta(hours=1)
OWNER = "budget:spring"
WHY = {"source": "contract:17", "reason": "apology"}
YEAR_END, HALF_YEAR = date(2027, 11, 30), date(2027, 5, 31)
AIRLINE = {"airline": {"validity": {"months": 6, "end_of": "month"}, "ceiling": 500}}
PROGRAM = with_wallets(points={"adjust_limit": LIMIT, "ceiling": 5000}, partners=AIRLINE)


@pytest.fixture(autouse=True)
def begin(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Begin with a member, and a budget that has 2,000 points."""
    world.activate(PROGRAM)
    world.enrol("m-1")
    world.enrol("m-2")

    def begin(*, dynamodb: Any = None, after: timedelta = timedelta()) -> None:
        ledger = LedgerTable(
            dynamodb or world.dynamodb, name=LOYALTY_TABLE, now=lambda: NOW + after
        )
        desk = replace(
            handler.desk,
            keeping=Keeping(handler.loyalty),
            ledger=ledger,
            now=lambda: NOW + after,
        )
        for routes in (handler.budgets, handler.awards, handler.adjustments):
            monkeypatch.setattr(routes, "_desk", desk)
        monkeypatch.setattr(handler.awards, "_programs", Programs(handler.loyalty))

    begin()
    operator = staff("sub-operator")
    operator.post("/budgets", {"budget_id": "spring", "purpose": "Spring"})
    for _ in range(2):
        operator.post("/budgets/spring/fundings", {**WHY, "points": LIMIT})
    return begin


@pytest.fixture
def operator() -> Client:
    return staff("sub-operator")


@pytest.fixture
def manager() -> Client:
    return staff("sub-manager", "manager")


def award(client: Client, points: int = 100, member: str = "m-1", **values: Any) -> Reply:
    key = values.pop("key", None)
    body = {"budget_id": "spring", "points": points, "asked_at": format_instant(NOW), **WHY}
    return client.post(f"/members/{member}/awards", {**body, **values}, key=key)


def issue(client: Client, points: int = 100, member: str = "m-1", **values: Any) -> Reply:
    key = values.pop("key", None)
    body = {
        "partner": "airline",
        "points": points,
        "document": "MU-1",
        "issued_at": format_instant(NOW),
    }
    return client.post(f"/members/{member}/partner-points", {**body, **values}, key=key)


def left(world: World) -> int:
    return world.loyalty.account(OWNER).total


# --- out of a budget --------------------------------------------------------------------------


def test_an_award_comes_out_of_its_budget_with_who_gave_it_and_why(
    manager: Client, world: World
) -> None:
    reply = award(manager)

    assert (reply.status, reply.body["kind"], reply.body["points"]) == (201, "earn", 100)
    assert world.loyalty.account("m-1").buckets == {YEAR_END: 100}
    account = world.loyalty.account(OWNER)
    assert (account.total, account.awarded) == (1900, 100)
    entry = world.loyalty.entry("m-1", reply.body["entry_id"])
    assert (entry.actor, entry.source, entry.reason) == ("sub-manager", "contract:17", "apology")
    assert (entry.budget, entry.program_version) == (OWNER, 1)


def test_a_budget_gives_its_last_point_and_not_one_more(operator: Client, world: World) -> None:
    assert award(operator, 1999).status == 201
    before = world.loyalty.account("m-1")

    reply = award(operator, 2)

    assert (reply.status, reply.code) == (409, "budget_exhausted")
    assert reply.facts == {"budget": OWNER, "requested": 2, "available": 1}
    assert world.loyalty.account("m-1") == before
    assert award(operator, 1, "m-2").status == 201
    assert left(world) == 0


def test_of_two_awards_that_race_for_the_last_points_one_is_refused(
    operator: Client, world: World, begin: Any
) -> None:
    def rival() -> None:
        begin()
        assert award(operator, 1500, "m-2").status == 201

    begin(dynamodb=Interrupting(world.dynamodb, "transact_write_items", rival))

    assert award(operator, 1500).code == "budget_exhausted"
    assert (left(world), world.loyalty.account("m-1").total) == (500, 0)


def test_a_closed_budget_and_one_that_there_is_not_give_nothing(
    operator: Client, world: World
) -> None:
    operator.post("/budgets/spring/closing", {"source": "ticket:1", "reason": "over"})

    assert award(operator).code == "account_frozen"
    assert award(operator, budget_id="summer").code == "unknown_budget"

    assert (left(world), world.loyalty.account("m-1").version) == (2000, 0)


def test_above_the_limit_of_one_person_only_those_give_who_answer_for_budgets(
    manager: Client, operator: Client, world: World
) -> None:
    refused = award(manager, LIMIT + 1)

    assert (refused.status, refused.code) == (409, "checker_needed")
    assert refused.facts == {"limit": LIMIT, "requested": LIMIT + 1}
    assert world.loyalty.account("m-1").version == 0
    assert award(manager, LIMIT).status == 201
    assert award(operator, LIMIT, "m-2").status == 201


def test_one_key_gives_once_to_each_member_it_is_used_for(operator: Client, world: World) -> None:
    first = award(operator, key="1")

    again, other = award(operator, key="1"), award(operator, member="m-2", key="2")

    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
    assert other.status == 201
    assert left(world) == 1800


@pytest.mark.parametrize("give", [award, issue])
def test_what_was_given_before_its_answer_was_lost_is_given_once(
    operator: Client, world: World, begin: Any, give: Callable[..., Reply]
) -> None:
    begin(dynamodb=Killing(world.dynamodb, "transact_write_items", calls=1))
    with pytest.raises(Killed):
        give(operator, key="1")
    forget_answers(world)
    # Meanwhile points are kept otherwise, and the member's record goes into another.
    later = with_wallets(points={"pending_days": 3}, partners={"airline": {"validity": None}})
    world.activate(later, effective_at=NOW + timedelta(hours=1))
    world.merged.merge(
        "m-1", "m-2", policies=POLICIES, merged_by="op", reason="twice", merged_at=NOW
    )
    begin(after=timedelta(days=40))

    reply = give(operator, key="1")

    assert (reply.status, reply.body["member_id"], reply.body["points"]) == (201, "m-1", 100)
    wallet = reply.body["wallet"]
    total = sum(world.loyalty.account(each, wallet).total for each in ("m-1", "m-2"))
    assert total == 100


@pytest.mark.parametrize("give", [award, issue])
def test_what_the_program_does_not_allow_since_was_given(
    manager: Client, operator: Client, world: World, begin: Any, give: Callable[..., Reply]
) -> None:
    """Whoever asked has a clock that is ahead, so what they tell was still to come."""
    at = format_instant(NOW + timedelta(minutes=8))
    told = {"asked_at": at} if give is award else {"issued_at": at}
    client = manager if give is award else operator

    def meanwhile() -> None:
        strict = with_wallets(points={"adjust_limit": 50})
        world.activate(strict, effective_at=NOW + timedelta(minutes=5))
        begin()

    reply = again(world, lambda: give(client, key="1", **told), meanwhile)

    assert reply.status == 201
    anew = told if give is award else {**told, "document": "MU-2"}
    assert give(client, key="2", **anew).code in {"checker_needed", "unknown_wallet"}


def test_a_key_stands_for_one_award_also_when_its_answer_was_lost(
    operator: Client, world: World
) -> None:
    award(operator, key="1")
    forget_answers(world)
    before = world.snapshot()

    reply = award(operator, 101, key="1")

    assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    assert world.snapshot() == before


@pytest.mark.parametrize("give", [award, issue])
def test_nothing_new_goes_to_who_is_unknown_erased_or_merged(
    operator: Client, world: World, give: Callable[..., Reply]
) -> None:
    world.enrol("m-3")
    world.enrol("m-4")
    world.members.erase("m-3", erased_by="op", erased_at=NOW)
    world.merged.merge(
        "m-4", "m-2", policies=POLICIES, merged_by="op", reason="twice", merged_at=NOW
    )
    before = world.snapshot()

    assert give(operator, member="m-5").code == "unknown_member"
    assert give(operator, member="m-3").code == "member_erased"
    merged = give(operator, member="m-4")
    assert (merged.code, merged.facts["into"]) == ("member_merged", "m-2")

    assert world.snapshot() == before


def test_a_merge_closes_wallets_in_which_there_was_nothing(world: World) -> None:
    policies = handler.awards._desk.policies("m-1")

    record = world.merged.merge(
        "m-1", "m-2", policies=policies, merged_by="op", reason="twice", merged_at=NOW
    )

    assert record.wallets == ("partner-airline", "points")
    assert world.loyalty.account("m-1", "partner-airline").merged_into == "m-2"


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [
        (timedelta(minutes=11), "in_future"),
        (timedelta(days=-2, seconds=-1), "too_old"),
    ],
)
def test_an_award_that_nobody_asked_for_then_is_refused(
    operator: Client, world: World, ahead: timedelta, reason: str
) -> None:
    asked_at = format_instant(NOW + ahead)

    assert_refused_for_its_time(world, lambda: award(operator, asked_at=asked_at), reason)


# --- a partner's ------------------------------------------------------------------------------


def test_a_partners_points_go_into_its_wallet_on_its_own_terms(
    operator: Client, world: World
) -> None:
    reply = issue(operator)

    assert (reply.status, reply.body["wallet"]) == (201, "partner-airline")
    assert world.loyalty.account("m-1", "partner-airline").buckets == {HALF_YEAR: 100}
    entry = world.loyalty.entry("m-1", reply.body["entry_id"])
    assert (entry.kind, entry.source, entry.actor) == (
        EntryKind.EARN,
        "partner:MU-1",
        "sub-operator",
    )
    assert [leg.points for leg in entry.legs if leg.account == PARTNER] == [-100]


def test_a_partners_document_has_one_effect_whatever_key_it_comes_under(
    operator: Client, world: World
) -> None:
    first = issue(operator)

    again, changed = issue(operator), issue(operator, 200)

    assert again.body == first.body
    assert (changed.status, changed.code) == (409, "entry_conflict")
    assert issue(operator, document="MU-2").status == 201
    assert world.loyalty.account("m-1", "partner-airline").total == 200


def test_a_partner_that_the_program_does_not_know_and_a_full_wallet_are_refused(
    operator: Client, world: World
) -> None:
    unknown = issue(operator, partner="bank")
    before = world.loyalty.account("m-1", "partner-airline")
    full = issue(operator, 501)

    assert (unknown.status, unknown.facts) == (404, {"wallet": "partner-bank"})
    assert (full.code, full.facts["ceiling"]) == ("ceiling_exceeded", 500)
    assert world.loyalty.account("m-1", "partner-airline") == before


def test_points_that_a_partner_gave_before_there_was_a_program_have_no_wallet(
    operator: Client, world: World, begin: Any
) -> None:
    begin(after=OPEN_SINCE - NOW)
    before = world.snapshot()

    reply = issue(operator, issued_at=format_instant(OPEN_SINCE - timedelta(days=1)))

    assert (reply.status, reply.code) == (404, "unknown_wallet")
    assert world.snapshot() == before


def test_a_managers_awards_are_out_of_budgets_and_no_partners(
    manager: Client, operator: Client, world: World
) -> None:
    world.post(earned("m-2", 5))
    before = world.snapshot()

    assert issue(manager).code == "forbidden"
    for group in ("attendant", "auditor"):
        assert award(staff("sub-1", group)).code == "forbidden"
    assert award(staff("m-2", "member"), member="m-2").code == "unknown_member"

    assert world.snapshot() == before
    assert issue(operator).status == 201
