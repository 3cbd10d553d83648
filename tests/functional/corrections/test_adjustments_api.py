"""Points are given, taken and frozen by hand: once, and above a limit by two people."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.adjustments_table import AdjustmentsTable
from forecourt.keeping import Keeping
from forecourt.ledger import EntryKind
from forecourt.ledger import commands as c
from forecourt.ledger_table import LedgerTable
from functions.corrections import handler
from tests.functional.clients import Interrupting, Reluctant, cancellation, refusal
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.correcting import LARGE, LIMIT, SMALL, asked, staff
from tests.functional.world import with_wallets
from tests.specimens import RECEIVED_AT, earned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.http import Client, Reply
    from tests.functional.world import World

YEAR_END = date(2027, 11, 30)
WHY = {"source": "ticket:4711", "reason": "fraud"}


@pytest.fixture
def colleague() -> Client:
    return staff("sub-colleague", "operator")


def approve(client: Client, adjustment_id: str, **named: Any) -> Reply:
    return client.post(f"/adjustments/{adjustment_id}/approval", **named)


def reject(client: Client, adjustment_id: str, **named: Any) -> Reply:
    return client.post(f"/adjustments/{adjustment_id}/rejection", **named)


def waiting(client: Client) -> list[str]:
    return [each["adjustment_id"] for each in client.get("/adjustments").body["adjustments"]]


# --- adjustments ------------------------------------------------------------------------------


def test_a_small_adjustment_is_posted_at_once_with_reason_actor_and_source(
    manager: Client, world: World
) -> None:
    reply = asked(manager, SMALL)

    assert reply.status == 201
    (entry,) = world.statements.page("m-1", limit=9, after=None, entries_only=True).entries()
    assert (entry.kind, entry.points) == (EntryKind.ADJUST, 100)
    assert (entry.reason, entry.actor, entry.source) == ("goodwill", "sub-manager", "ticket:4711")
    assert reply.body["entry"]["entry_id"] == entry.entry_id
    assert waiting(manager) == []


def test_points_given_are_good_as_long_as_the_program_says_or_somebody_else(
    manager: Client, world: World
) -> None:
    asked(manager, SMALL)
    asked(manager, {**SMALL, "expires_on": "2026-12-31"})
    asked(manager, {**SMALL, "expires_on": "never"})

    assert world.loyalty.account("m-1").buckets == {
        YEAR_END: 100,
        date(2026, 12, 31): 100,
        None: 100,
    }


@pytest.mark.parametrize("points", [100, 5000])
def test_money_of_a_known_holder_is_given_no_last_day(
    manager: Client, world: World, clock: Any, monkeypatch: pytest.MonkeyPatch, points: int
) -> None:
    stored = {"registered_ceiling_fen": 500_000, "anonymous_ceiling_fen": 100_000}
    money = {**SMALL, "points": points, "wallet": "stored_value"}
    clock(RECEIVED_AT + timedelta(days=2))
    world.activate(
        with_wallets(stored_value={**stored, "adjust_limit_fen": LIMIT}),
        effective_at=RECEIVED_AT + timedelta(days=1),
    )
    keeping = Keeping(handler.loyalty)
    monkeypatch.setattr(
        handler.adjustments, "_desk", replace(handler.adjustments._desk, keeping=keeping)
    )
    before = world.snapshot()

    reply = asked(manager, {**money, "expires_on": "2026-12-31"})

    assert (reply.status, reply.code) == (409, "never_runs_out")
    assert reply.facts == {"wallet": "stored_value", "expires_on": "2026-12-31"}
    assert world.snapshot() == before
    for last in (None, "never"):
        assert asked(manager, {**money, "expires_on": last}).status == 201
    given = 2 * points if points <= LIMIT else 0
    assert world.loyalty.account("m-1", "stored_value").total == given


def test_a_small_adjustment_may_take_away_and_not_more_than_there_is(
    manager: Client, world: World
) -> None:
    asked(manager, SMALL)
    asked(manager, {**SMALL, "points": -60})
    before = world.loyalty.account("m-1")

    reply = asked(manager, {**SMALL, "points": -41})

    assert (reply.status, reply.code) == (409, "insufficient_points")
    assert reply.facts == {"requested": 41, "available": 40}
    assert world.loyalty.account("m-1") == before


@pytest.mark.parametrize("points", [LIMIT + 1, -LIMIT - 1])
def test_an_adjustment_above_the_limit_waits_and_moves_nothing(
    manager: Client, world: World, points: int
) -> None:
    reply = asked(manager, {**LARGE, "points": points})

    adjustment = reply.body["adjustment"]
    assert (reply.status, reply.body["entry"], adjustment["status"]) == (201, None, "waiting")
    assert waiting(manager) == [adjustment["adjustment_id"]]
    assert world.loyalty.account("m-1").version == 0


@pytest.mark.parametrize("points", [LIMIT, -LIMIT])
def test_an_adjustment_of_exactly_the_limit_needs_nobody_else(
    manager: Client, world: World, points: int
) -> None:
    world.post(earned("m-1", LIMIT))

    assert asked(manager, {**LARGE, "points": points}).body["entry"]["points"] == points


def test_another_person_approves_what_was_asked_and_both_are_in_the_entry(
    manager: Client, operator: Client, world: World
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]

    reply = approve(operator, adjustment_id)

    assert reply.body["adjustment"]["status"] == "posted"
    (entry,) = world.statements.page("m-1", limit=9, after=None, entries_only=True).entries()
    assert (entry.actor, entry.checker, entry.points) == ("sub-manager", "sub-operator", 5000)
    assert waiting(operator) == []


def test_nobody_approves_what_they_asked_for_themselves(operator: Client, world: World) -> None:
    adjustment_id = asked(operator).body["adjustment"]["adjustment_id"]
    before = world.snapshot()

    reply = approve(operator, adjustment_id)

    assert (reply.status, reply.code) == (409, "checker_is_maker")
    assert world.snapshot() == before


def test_what_was_rejected_never_happens(manager: Client, operator: Client, world: World) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]

    assert reject(operator, adjustment_id).body["adjustment"]["status"] == "rejected"
    assert reject(operator, adjustment_id).status == 200
    before = world.snapshot()
    reply = approve(operator, adjustment_id)

    assert (reply.code, reply.facts["status"]) == ("adjustment_decided", "rejected")
    assert world.snapshot() == before
    assert waiting(operator) == []


def test_what_was_approved_is_not_decided_again_by_others(
    manager: Client, operator: Client, colleague: Client, world: World
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    approve(operator, adjustment_id)
    before = world.snapshot()

    assert approve(operator, adjustment_id).body["adjustment"]["status"] == "posted"
    assert approve(colleague, adjustment_id).code == "adjustment_decided"
    assert reject(colleague, adjustment_id).code == "adjustment_decided"
    assert reject(operator, adjustment_id).code == "adjustment_decided"

    assert world.snapshot() == before


def test_of_two_decisions_at_once_one_holds(
    manager: Client,
    operator: Client,
    colleague: Client,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    rival = Interrupting(
        world.dynamodb, "transact_write_items", lambda: reject(colleague, adjustment_id)
    )
    monkeypatch.setattr(handler.adjustments._table, "_dynamodb", rival)

    reply = approve(operator, adjustment_id)

    assert (reply.code, reply.facts["status"]) == ("adjustment_decided", "rejected")
    assert world.loyalty.account("m-1").version == 0


def test_what_the_ledger_refuses_after_all_is_told_and_waits_no_longer(
    manager: Client, operator: Client, world: World
) -> None:
    world.post(earned("m-1", 2000))
    adjustment_id = asked(manager, {**LARGE, "points": -3000}).body["adjustment"]["adjustment_id"]

    first = approve(operator, adjustment_id)
    world.post(earned("m-1", 5000, sale_id="20261123T090000Z.later"))
    again = approve(operator, adjustment_id)

    for reply in (first, again):
        assert (reply.code, reply.facts["available"]) == ("insufficient_points", 2000)
    assert world.adjustments.adjustment(adjustment_id).status == "refused"
    assert waiting(operator) == []


def test_an_approval_that_died_half_way_is_listed_and_finished_by_the_next(
    manager: Client,
    operator: Client,
    colleague: Client,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    with monkeypatch.context() as dying:
        busy = Reluctant(
            world.dynamodb, "transact_write_items", *[cancellation("TransactionConflict")] * 8
        )
        ledger = LedgerTable(busy, name=LOYALTY_TABLE, sleep=lambda _: None)
        dying.setattr(
            handler.adjustments, "_desk", replace(handler.adjustments._desk, ledger=ledger)
        )
        assert approve(operator, adjustment_id).status == 503
    assert waiting(operator) == [adjustment_id]

    reply = approve(colleague, adjustment_id)

    assert reply.body["adjustment"]["decided_by"] == "sub-operator"
    assert reply.body["entry"]["points"] == 5000
    assert waiting(operator) == []


def test_a_request_that_comes_again_after_its_answer_was_lost_asks_for_nothing_more(
    manager: Client, world: World, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    ask = AdjustmentsTable.ask

    def die(*args: Any, **named: Any) -> None:
        ask(*args, **named)
        raise refusal("ThrottlingException")

    for body in (SMALL, LARGE):
        with monkeypatch.context() as dying:
            dying.setattr(AdjustmentsTable, "ask", die)
            assert asked(manager, body, key=f"key-{body['points']}").status == 503
        clock(RECEIVED_AT + timedelta(hours=5))
        assert asked(manager, body, key=f"key-{body['points']}").status == 201

    assert world.loyalty.account("m-1").buckets == {YEAR_END: 100}
    assert len(waiting(manager)) == 1


def test_a_request_under_its_old_key_hears_what_became_of_it(
    manager: Client, operator: Client, world: World
) -> None:
    first = asked(manager, key="1")
    approve(operator, first.body["adjustment"]["adjustment_id"])
    for item in world.dynamodb.scan(TableName="requests")["Items"]:
        world.dynamodb.delete_item(TableName="requests", Key={"id": item["id"]})

    again = asked(manager, key="1")

    assert again.body["adjustment"]["status"] == "posted"
    assert world.loyalty.account("m-1").version == 1


@pytest.mark.parametrize(
    "error", [cancellation("TransactionConflict"), refusal("ThrottlingException")]
)
def test_what_passes_by_itself_is_no_decision(
    manager: Client, operator: Client, world: World, error: Exception, monkeypatch: Any
) -> None:
    adjustment_id = asked(manager).body["adjustment"]["adjustment_id"]
    before = world.snapshot()
    calls: list[Callable[[], Reply]] = [
        lambda: asked(manager),
        lambda: approve(operator, adjustment_id),
        lambda: reject(operator, adjustment_id),
    ]
    for call in calls:
        busy = Reluctant(world.dynamodb, "transact_write_items", error)
        monkeypatch.setattr(handler.adjustments._table, "_dynamodb", busy)
        reply = call()
        assert (reply.status, reply.code in {"stale_write", "unavailable"}) == (503, True)

    assert world.snapshot() == before


def test_what_waits_comes_in_pages_oldest_first(manager: Client, clock: Any) -> None:
    asked_for = []
    for minute in range(3):
        clock(RECEIVED_AT + timedelta(minutes=minute))
        asked_for.append(asked(manager).body["adjustment"]["adjustment_id"])

    first = manager.get("/adjustments", limit=2).body
    second = manager.get("/adjustments", limit=2, cursor=first["next_cursor"]).body

    listed = [each["adjustment_id"] for page in (first, second) for each in page["adjustments"]]
    assert listed == asked_for
    assert second["next_cursor"] is None


def test_nobody_unknown_is_adjusted_and_no_unknown_adjustment_decided(
    manager: Client, operator: Client, world: World
) -> None:
    before = world.snapshot()

    assert manager.post("/members/m-9/adjustments", SMALL).code == "unknown_member"
    assert approve(operator, "20261123T081500Z.adjustment.x").code == "unknown_adjustment"
    assert reject(operator, "20261123T081500Z.adjustment.x").code == "unknown_adjustment"

    assert world.snapshot() == before


@pytest.mark.parametrize(
    "change",
    [
        {"points": 0},
        {"points": 1.5},
        {"expires_on": "2026-11-22"},
        {"expires_on": "soon"},
        {"wallet": "Points"},
        {"source": "4711"},
        {"reason": "Mr Li called"},
        {"checker": "sub-operator"},
    ],
    ids=str,
)
def test_an_adjustment_that_cannot_be_is_refused(
    manager: Client, world: World, change: dict[str, Any]
) -> None:
    before = world.snapshot()

    reply = asked(manager, {**SMALL, **change})

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert world.snapshot() == before


# --- freezing ---------------------------------------------------------------------------------


def test_a_frozen_wallet_gives_nothing_until_it_is_unfrozen(operator: Client, world: World) -> None:
    world.post(earned("m-1", 100))
    spend = c.Spend(
        entry_id="20261123T090000Z.spend",
        owner="m-1",
        points=10,
        source="order:1",
        reason="redemption",
        actor="shop",
        occurred_at=RECEIVED_AT,
    )

    frozen = operator.post("/members/m-1/freezing", WHY)
    policies = handler.freezing._desk.keeping.program(RECEIVED_AT).policies()
    refused = world.ledger.execute(spend, policies=policies).refusal
    thawed = operator.post("/members/m-1/unfreezing", WHY)

    assert (frozen.body["frozen"], frozen.body["entry"]["kind"]) == (True, "freeze")
    assert refused is not None
    assert refused.code == "account_frozen"
    assert (thawed.body["frozen"], thawed.body["entry"]["kind"]) == (False, "unfreeze")
    assert not world.loyalty.account("m-1").frozen


def test_freezing_what_is_frozen_writes_nothing(operator: Client, world: World) -> None:
    operator.post("/members/m-1/freezing", {**WHY, "wallet": "stored_value"})
    before = world.snapshot()

    reply = operator.post("/members/m-1/freezing", {**WHY, "wallet": "stored_value"})

    assert (reply.status, reply.body["frozen"], reply.body["entry"]) == (200, True, None)
    assert world.snapshot() == before


def test_nobody_unknown_is_frozen(operator: Client, world: World) -> None:
    before = world.snapshot()

    assert operator.post("/members/m-9/freezing", WHY).code == "unknown_member"

    assert world.snapshot() == before
