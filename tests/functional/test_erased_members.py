"""A token outlives its member by an hour: it reads nothing, writes nothing and spends nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.member_errors import MemberErased
from functions.members import handler as members
from functions.redemption import handler as redemption
from infra.openapi import DOCUMENT_PATH
from tests.functional.conftest import LOYALTY_TABLE, LambdaContext
from tests.functional.http import Client
from tests.functional.redeeming import ANNA, BERT, Clock, begin, capture, hold, order, spend
from tests.functional.test_pools_api import TILL, limit, move, shown
from tests.functional.test_redemption_api import PROGRAM
from tests.specimens import PLATE, SALE, earned

if TYPE_CHECKING:
    from types import ModuleType

    from tests.functional.http import Reply
    from tests.functional.world import World

JUNE = date(2027, 6, 30)
MEMBERS, REDEMPTION = members.handle, redemption.handle
DOORS = {
    "members": MEMBERS,
    "questions": MEMBERS,
    "redemption": REDEMPTION,
    "pools": REDEMPTION,
}
# What says that they were erased, and what a retry of asking for it finds.
TELLS_ITSELF = {"show_member", "erase_member"}
# The till's: what was set aside before is taken or given back, by whoever serves.
TILLS = {
    "show_hold",
    "capture_hold",
    "release_hold",
    "refund_redemption",
    "deposit",
    "refund_deposit",
}


def operations() -> dict[str, tuple[str, str, str]]:
    """Return the operations a member has in the API, each with tag, method and path."""
    paths = json.loads(DOCUMENT_PATH.read_text("utf-8"))["paths"]
    return {
        told["operationId"]: (told["tags"][0], method.upper(), path)
        for path, methods in paths.items()
        for method, told in methods.items()
        if told["tags"][0] in DOORS
    }


@dataclass(slots=True)
class Farewell:
    """Anna, who had points, a pool, something set aside and a plate, and was erased."""

    world: World
    clock: Clock
    pool_id: str = ""
    hold_id: str = ""

    def client(self, operation: str, subject: str = ANNA) -> Client:
        tag, *_ = operations()[operation]
        return Client(handle=DOORS[tag], subject=subject, groups="[member]")

    def body(self, operation: str) -> dict[str, Any] | None:
        """Return a body with which an operation would do something."""
        now = {"asked_at": order(self.clock)["asked_at"]}
        return {
            "enrol": {"name": "Li Lei"},
            "change_profile": {"name": "Li Lei"},
            "bind_identity": {"kind": "plate", "value": PLATE.value},
            "check_in": {"station_id": "s0001"},
            "claim_sale": {"sale_id": SALE.sale_id},
            "spend_points": order(self.clock, points=10),
            "hold_points": order(self.clock, points=10),
            "transfer_points": {**now, "to": BERT, "points": 10},
            "convert_points": {**now, "into_wallet": "partner-airline", "points": 10},
            "open_pool": {},
            "set_limit": {"daily_points": 10},
            "contribute": {**now, "points": 10},
            "withdraw": {**now, "points": 10},
        }.get(operation)

    def asks(self, operation: str) -> Reply:
        _, method, path = operations()[operation]
        named = path.format(
            member_id="me",
            sale_id=SALE.sale_id,
            entry_id="20261101T000000Z.1",
            identity_id=f"plate.{'A' * 22}",
            pool_id=self.pool_id,
            other_id=BERT,
            hold_id=self.hold_id,
        )
        client = self.client(operation)
        if method == "GET":
            return client.get(named)
        return client.write(method, named, self.body(operation))


@pytest.fixture
def erasure(monkeypatch: pytest.MonkeyPatch, world: World) -> ModuleType:  # noqa: ARG001
    from functions.erasure import handler  # noqa: PLC0415 - its clients need the environment

    class NoLogin:
        def forget(self, _: str) -> bool:
            return False

    handler.identity_keys.forget()
    monkeypatch.setattr(handler, "logins", NoLogin)
    return handler


@pytest.fixture
def farewell(world: World, monkeypatch: pytest.MonkeyPatch, erasure: ModuleType) -> Farewell:
    world.activate(PROGRAM)
    world.register()
    world.enrol(ANNA, PLATE)
    world.enrol(BERT)
    world.post(earned(ANNA, 300, sale_id="20261101T000000Z.1", expires_on=JUNE))
    clock = begin(world, monkeypatch, clock=Clock(now=datetime.now(UTC)))
    it = Farewell(world, clock)
    anna = it.client("open_pool")
    it.pool_id = anna.post("/members/me/pools", {"daily_points": 150}).body["pool_id"]
    assert limit(anna, it.pool_id, BERT, 80).status == 200
    assert move(anna, clock, it.pool_id, 100).status == 201
    it.hold_id = hold(anna, clock, 50).body["hold_id"]
    it.client("erase_member").post("/members/me/erasure")
    erase(erasure)
    return it


def standing(world: World) -> list[dict[str, Any]]:
    """Return everything stored but refusals, which move nothing."""
    return [item for item in world.snapshot() if item["type"] != "refusal"]


def erase(erasure: ModuleType) -> None:
    erasure.handle({"detail": {"member_id": ANNA}}, LambdaContext())


@pytest.mark.parametrize("operation", sorted(operations().keys() - TELLS_ITSELF - TILLS))
def test_whatever_they_ask_they_are_told_that_they_were_erased(
    farewell: Farewell, operation: str
) -> None:
    before = standing(farewell.world)

    reply = farewell.asks(operation)

    assert (reply.status, reply.code) == (409, MemberErased.code)
    assert standing(farewell.world) == before


def test_asking_who_they_are_and_to_be_forgotten_says_so_too(farewell: Farewell) -> None:
    assert farewell.asks("show_member").body["status"] == "erased"
    assert farewell.asks("erase_member").status == 202


def test_what_they_set_aside_before_is_the_tills_to_take(farewell: Farewell) -> None:
    reply = capture(TILL, farewell.clock, farewell.hold_id, 50)

    assert reply.status == 200
    account = farewell.world.loyalty.account(ANNA)
    assert (account.total, account.frozen) == (150, True)


def test_what_a_till_took_and_gives_back_is_nobodys_to_spend(farewell: Farewell) -> None:
    taken = capture(TILL, farewell.clock, farewell.hold_id, 50).body
    refund = {"document": "R-1", "refunded_at": order(farewell.clock)["asked_at"]}
    path = f"/members/{ANNA}/redemptions/{taken['entry_id']}/refunds"

    assert TILL.post(path, refund).body["points"] == 50

    account = farewell.world.loyalty.account(ANNA)
    assert (account.total, account.frozen) == (200, True)
    assert spend(farewell.client("spend_points"), farewell.clock, 10).code == MemberErased.code


def test_a_sale_in_flight_earns_what_nobody_spends(farewell: Farewell) -> None:
    farewell.world.post(earned(ANNA, 39))

    assert farewell.world.loyalty.account(ANNA).buckets == {JUNE: 150, None: 39}
    assert spend(farewell.client("spend_points"), farewell.clock, 10).code == MemberErased.code


def test_who_never_had_anything_has_a_frozen_account(world: World, erasure: ModuleType) -> None:
    world.enrol(ANNA)
    Client(handle=MEMBERS, subject=ANNA, groups="[member]").post("/members/me/erasure")

    erase(erasure)

    account = world.loyalty.account(ANNA)
    assert (account.total, account.frozen) == (0, True)


def test_to_forget_them_again_freezes_nothing_twice(
    farewell: Farewell, erasure: ModuleType
) -> None:
    before = farewell.world.snapshot()

    erase(erasure)

    assert farewell.world.snapshot() == before


def test_no_pool_names_them_and_the_others_spend_what_is_in_it(farewell: Farewell) -> None:
    bert = farewell.client("show_pool", BERT)

    view = shown(bert, farewell.pool_id)

    assert (view["head"], [each["member_id"] for each in view["members"]]) == (None, [BERT])
    listed = bert.get("/members/me/pools").body["pools"]
    assert listed == [{"pool_id": farewell.pool_id, "wallet": "points", "head": None}]
    assert spend(bert, farewell.clock, 80, pool_id=farewell.pool_id).status == 201
    pool = {"POOL", f"POOL#{farewell.pool_id}"}
    left = [each for each in farewell.world.items(LOYALTY_TABLE) if each["sk"] in pool]
    assert left
    assert ANNA not in str(left)


def test_a_pool_without_a_head_is_left_by_its_members_and_changed_by_nobody(
    farewell: Farewell,
) -> None:
    bert = farewell.client("show_pool", BERT)

    assert limit(bert, farewell.pool_id, BERT, 100).code == "forbidden"
    assert move(bert, farewell.clock, farewell.pool_id, 10, how="withdrawals").code == "forbidden"
    leaving = bert.write("DELETE", f"/members/me/pools/{farewell.pool_id}/members/me", None)
    assert leaving.status == 204


def test_who_was_only_in_a_pool_leaves_it_to_its_head(
    world: World, monkeypatch: pytest.MonkeyPatch, erasure: ModuleType
) -> None:
    world.activate()
    for each in (ANNA, BERT):
        world.enrol(each)
    begin(world, monkeypatch, clock=Clock(now=datetime.now(UTC)))
    bert = Client(handle=REDEMPTION, subject=BERT, groups="[member]")
    pool_id = bert.post("/members/me/pools", {}).body["pool_id"]
    assert limit(bert, pool_id, ANNA, 80).status == 200
    Client(handle=MEMBERS, subject=ANNA, groups="[member]").post("/members/me/erasure")

    erase(erasure)

    view = shown(bert, pool_id)
    assert (view["head"], [each["member_id"] for each in view["members"]]) == (BERT, [BERT])


def test_to_others_they_are_as_unknown_as_an_id_nobody_ever_had(farewell: Farewell) -> None:
    bert = farewell.client("transfer_points", BERT)
    farewell.world.post(earned(BERT, 100, sale_id="20261101T000000Z.2"))
    pool_id = bert.post("/members/me/pools", {}).body["pool_id"]
    before = farewell.world.snapshot()
    given = {"to": ANNA, "points": 10, "asked_at": order(farewell.clock)["asked_at"]}

    assert bert.post("/members/me/transfers", given).code == "unknown_member"
    assert limit(bert, pool_id, ANNA, 10).code == "unknown_member"
    assert farewell.world.snapshot() == before


def test_the_staff_read_what_the_books_keep_and_unfreeze_nothing(farewell: Farewell) -> None:
    from functions.corrections import handler as corrections  # noqa: PLC0415

    auditor = Client(handle=MEMBERS, subject="sub-auditor", groups="[auditor]")
    operator = Client(handle=corrections.handle, subject="sub-operator", groups="[operator]")
    before = farewell.world.snapshot()

    assert auditor.get(f"/members/{ANNA}/points").body["frozen"]
    assert auditor.get(f"/members/{ANNA}/entries").body["entries"] != []
    unfreezing = {"source": "ticket:1", "reason": "asked"}
    assert operator.post(f"/members/{ANNA}/unfreezing", unfreezing).code == MemberErased.code
    assert farewell.world.snapshot() == before
