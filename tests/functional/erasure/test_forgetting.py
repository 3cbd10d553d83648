"""Who asks to be forgotten leaves no trace but movements under an id that names nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.attributes import to_item
from forecourt.questions_table import QuestionsTable
from forecourt.stored_identities import drivers_from_item, drivers_key, identity_key
from functions.erasure.logins import Logins
from functions.members import handler as members
from tests.functional.clients import Interrupting, Paging, Reluctant, refusal
from tests.functional.conftest import LOYALTY_TABLE, client
from tests.functional.erasure.farewell import ME, PERSONAL, PHONE
from tests.functional.http import Client
from tests.functional.rotation import PROMOTED, hashes, rekeyed_identities
from tests.functional.world import POLICIES, block_of, key_of
from tests.specimens import PLATE, RECEIVED_AT, SALE, earned, sale

if TYPE_CHECKING:
    from tests.functional.erasure.farewell import Farewell
    from tests.functional.world import World


def traces(world: World) -> str:
    """Return everything stored, as one text to look for things in."""
    return "\n".join(map(str, world.snapshot()))


def ledger(world: World) -> list[dict[str, Any]]:
    return [item for item in world.items(LOYALTY_TABLE) if item["sk"].startswith(("T#", "ACC"))]


def test_nothing_that_names_the_member_is_left(farewell: Farewell) -> None:
    farewell.sold()
    books = ledger(farewell.world)

    farewell.forgotten()

    left = traces(farewell.world)
    now = datetime.now(UTC).timestamp()
    for item in farewell.world.items(LOYALTY_TABLE):
        if item["type"] == "unbound" and item["expires_at_epoch"] <= now:
            left = left.replace(str(item), "")  # the table forgets it by itself
    for each in PERSONAL:
        assert key_of(each).digest not in left
    assert "sealed" not in left
    frozen = [item for item in ledger(farewell.world) if item.get("kind") != "freeze"]
    assert [item for item in frozen if item["type"] != "account"] == books
    assert farewell.world.candidates.owners(map(key_of, PERSONAL)) == {}


def test_where_they_were_and_what_they_drove_is_forgotten(farewell: Farewell) -> None:
    world = farewell.world
    farewell.sold()
    world.presences.check_in("m1", "s0001", at=RECEIVED_AT)
    for seen_at, member_id in enumerate(("m1", "m2")):
        world.portraits.note_driver(key_of(PLATE), member_id, seen_at=seen_at)

    farewell.forgotten()

    assert world.presences.presences("m1").check_ins == ()
    item = world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=drivers_key(key_of(PLATE)))["Item"]
    assert drivers_from_item(item) == {"m2": 1}


def test_what_was_hashed_anew_is_forgotten_under_both_hashes(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell.erasure, "identity_keys", lambda: PROMOTED)
    for each in PERSONAL:
        rekeyed_identities(farewell.world).rekey(
            identity_key(key_of(each)) | to_item({"type": "identity"}), now=RECEIVED_AT
        )

    farewell.forgotten()

    now = datetime.now(UTC).timestamp()
    left = [
        item
        for item in farewell.world.items(LOYALTY_TABLE)
        if item["pk"] == "MEMBER#m1" and item["sk"].startswith("IDENTITY#")
    ]
    assert len(left) == 2 * len(PERSONAL)
    assert all(
        (item["type"], item["expires_at_epoch"] <= now) == ("unbound", True) for item in left
    )
    every = [key for each in PERSONAL for key in hashes(PROMOTED, each)]
    assert farewell.world.candidates.owners(every) == {}


def test_everything_they_were_ever_asked_goes_however_much_it_is(farewell: Farewell) -> None:
    sales = [sale(transaction=each, totalizer_ml=each) for each in range(1, 4)]
    for each in sales:
        farewell.waiting(each, [])
        farewell.world.questions.claim(
            "m1", each.sale_id, answered_by="m1", answered_at=RECEIVED_AT
        )
    paging = QuestionsTable(Paging(farewell.world.dynamodb, page=2), name=LOYALTY_TABLE)
    assert len(paging.everything("m1")) == len(sales)

    farewell.forgotten()

    assert farewell.world.questions.everything("m1") == []


def test_entries_about_no_sale_name_none(farewell: Farewell) -> None:
    farewell.world.post(earned("m1", 5, sale_id="20261123T081500Z.gift.1", source="gift:1"))

    farewell.forgotten()

    assert farewell.world.loyalty.account("m1").total == 5


def test_the_block_of_their_phone_has_one_number_less(farewell: Farewell) -> None:
    def numbers() -> int:
        (block,) = (
            item
            for item in farewell.world.items(LOYALTY_TABLE)
            if item["pk"] == f"BLOCK#{block_of(PHONE.value)}"
        )
        return int(block["numbers"])

    assert numbers() == 1

    farewell.forgotten()

    assert numbers() == 0


def test_who_is_forgotten_is_nobody_any_more(farewell: Farewell) -> None:
    farewell.forgotten()
    before = farewell.world.snapshot()
    app = farewell.app()

    shown = app.get(ME).body
    assert (shown["status"], shown["profile"]) == ("erased", None)
    assert app.post("/members", {"name": "Li Lei"}).code == "member_erased"
    assert app.patch(ME, {"name": "Li Lei"}).code == "member_erased"
    plate = {"kind": "plate", "value": PLATE.value}
    assert app.post(f"{ME}/identities", plate).code == "member_erased"
    assert app.get(f"{ME}/identities").code == "member_erased"
    assert farewell.world.snapshot() == before


def test_whose_record_went_into_theirs_is_forgotten_with_them(farewell: Farewell) -> None:
    world = farewell.world
    for older in ("m2", "m3"):
        world.enrol(older, PLATE)
    first, second = sale(transaction=2, totalizer_ml=2), sale(transaction=3, totalizer_ml=3)
    for told, member_id in ((SALE, "m1"), (first, "m2"), (second, "m3")):
        farewell.sold(told, member_id)
    merging: dict[str, Any] = {"policies": POLICIES, "merged_by": "op", "reason": "enrolled_twice"}
    world.merged.merge("m3", "m2", merged_at=RECEIVED_AT, **merging)
    world.merged.merge("m2", "m1", merged_at=RECEIVED_AT, **merging)
    assert world.members.member("m1").absorbed == {"m2"}

    farewell.forgotten()

    assert all(world.stored(each).evidence == () for each in (SALE, first, second))
    assert [world.members.member(each).sealed for each in ("m1", "m2", "m3")] == [None] * 3
    assert "sealed" not in traces(world)


def test_no_late_event_begins_a_new_portrait(farewell: Farewell) -> None:
    stored = farewell.sold()
    farewell.forgotten()
    before = farewell.world.snapshot()

    assert not farewell.world.portraits.count("m1", SALE.sale_id, stored.fill)

    assert farewell.world.snapshot() == before


def test_asking_again_and_hearing_it_again_change_nothing(farewell: Farewell) -> None:
    farewell.sold()
    first = farewell.asks()
    (event,) = farewell.events()
    farewell.erasure.handle(event, farewell.context)
    before = farewell.world.snapshot()

    again = farewell.asks()
    farewell.erasure.handle(event, farewell.context)

    assert (first.status, again.status) == (202, 202)
    assert farewell.world.snapshot() == before


def test_an_event_without_its_cause_erases_nobody(farewell: Farewell) -> None:
    before = farewell.world.snapshot()

    with pytest.raises(ValueError, match="m1"):
        farewell.erasure.handle({"detail": {"member_id": "m1"}}, farewell.context)

    assert farewell.world.snapshot() == before


@pytest.mark.parametrize("groups", ["[manager]", "[attendant]", "[auditor]", "[member]"])
def test_only_members_themselves_and_head_office_erase(farewell: Farewell, groups: str) -> None:
    other = Client(handle=members.handle, subject="sub-other", groups=groups)
    before = farewell.world.snapshot()

    assert farewell.asks(other).code in {"forbidden", "unknown_member"}

    assert farewell.world.snapshot() == before
    operator = Client(handle=members.handle, subject="sub-operator", groups="[operator]")
    assert farewell.asks(operator).status == 202


def test_nobody_is_erased_under_an_id_nobody_has(farewell: Farewell) -> None:
    before = farewell.world.snapshot()

    assert farewell.app("m9").post(f"{ME}/erasure").code == "unknown_member"

    assert farewell.world.snapshot() == before


def test_more_sales_than_one_invocation_takes_are_handed_on(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales = [sale(transaction=each, totalizer_ml=each) for each in range(1, 6)]
    for each in sales:
        farewell.sold(each)
    handed: list[dict[str, Any]] = []

    def hand_on(event: dict[str, Any], rest: tuple[str, str], *, function: str) -> None:
        assert function == farewell.context.invoked_function_arn
        handed.append({**event, "rest": list(rest)})

    monkeypatch.setattr(farewell.erasure, "PAGE", 2)
    monkeypatch.setattr(farewell.erasure, "hand_on", hand_on)  # 10 s are left of the test's time
    farewell.forgotten()
    assert len(handed) == 1
    assert farewell.app().get(ME).body["status"] == "erasing"

    for event in handed:
        farewell.erasure.handle(event, farewell.context)

    assert len(handed) == 2
    assert all(farewell.world.stored(each).evidence == () for each in sales)
    assert farewell.app().get(ME).body["status"] == "erased"


def test_more_waiting_sales_than_one_invocation_takes_are_handed_on(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales = [sale(transaction=each, totalizer_ml=each) for each in range(1, 4)]
    for each in sales:
        farewell.weighed(each)
    handed: list[Any] = []

    def hand_on(event: dict[str, Any], rest: Any, *, function: str) -> None:
        assert function == farewell.context.invoked_function_arn
        handed.append((event, rest))

    orphans = farewell.erasure.decided.orphans
    monkeypatch.setattr(farewell.erasure, "ORPHANS_MAX", 2)
    monkeypatch.setattr(farewell.erasure.decided, "orphans", lambda key: orphans(key, at_most=2))
    monkeypatch.setattr(farewell.erasure, "hand_on", hand_on)  # 10 s are left of the test's time
    farewell.forgotten()
    ((event, rest),) = handed
    assert rest is None
    assert len(orphans(key_of(PLATE))) == 1
    assert farewell.app().get(ME).body["status"] == "erasing"

    farewell.erasure.handle(event, farewell.context)

    assert len(handed) == 1
    assert orphans(key_of(PLATE)) == []
    assert all(farewell.world.stored(each).evidence == () for each in sales)
    assert farewell.app().get(ME).body["status"] == "erased"


@pytest.mark.parametrize(("rest", "handed_on"), [(("m1", "x"), {"rest": ["m1", "x"]}), (None, {})])
def test_the_rest_is_handed_to_the_function_itself(
    farewell: Farewell,
    monkeypatch: pytest.MonkeyPatch,
    rest: tuple[str, str] | None,
    handed_on: dict[str, Any],
) -> None:
    invoked: list[dict[str, Any]] = []

    class Invoker:
        def invoke(self, **arguments: Any) -> None:
            invoked.append(arguments)

    monkeypatch.setattr(farewell.erasure.boto3, "client", lambda _: Invoker())

    farewell.erasure.hand_on({"detail": {"member_id": "m1"}}, rest, function="erasure")

    (call,) = invoked
    assert (call["FunctionName"], call["InvocationType"]) == ("erasure", "Event")
    assert json.loads(call["Payload"]) == {"detail": {"member_id": "m1"}} | handed_on


# --- the login --------------------------------------------------------------------------------


def signs_up(pool_id: str, username: str, *groups: str) -> str:
    """Make a user of these groups; return the `sub`, which is the member's id."""
    cognito = client("cognito-idp")
    user = {"UserPoolId": pool_id, "Username": username}
    attributes = cognito.admin_create_user(**user)["User"]["Attributes"]
    for group in groups:
        cognito.admin_add_user_to_group(**user, GroupName=group)
    sub: str = next(each["Value"] for each in attributes if each["Name"] == "sub")
    return sub


def users(pool_id: str) -> list[str]:
    listed = client("cognito-idp").list_users(UserPoolId=pool_id)["Users"]
    return sorted(each["Username"] for each in listed)


def groups_of(pool_id: str, username: str) -> list[str]:
    user = {"UserPoolId": pool_id, "Username": username}
    listed = client("cognito-idp").admin_list_groups_for_user(**user)["Groups"]
    return sorted(each["GroupName"] for each in listed)


def forgotten_twice(farewell: Farewell, member_id: str) -> None:
    """Let a member ask to be forgotten, and the bus tell it again."""
    farewell.app(member_id).post(f"{ME}/erasure")
    for _ in range(2):
        farewell.erasure.handle({"detail": {"member_id": member_id}}, farewell.context)


def test_who_is_forgotten_cannot_sign_in_any_more(farewell: Farewell, user_pool: str) -> None:
    li = signs_up(user_pool, "li", "member")
    signs_up(user_pool, "other", "member")
    farewell.world.enrol(li)

    forgotten_twice(farewell, li)

    assert users(user_pool) == ["other"]
    assert farewell.world.members.member(li).status == "erased"


def test_who_works_here_as_well_is_no_member_any_more_and_signs_in(
    farewell: Farewell, user_pool: str
) -> None:
    li = signs_up(user_pool, "li", "member", "operator")
    farewell.world.enrol(li)

    forgotten_twice(farewell, li)

    assert users(user_pool) == ["li"]
    assert groups_of(user_pool, "li") == ["operator"]


def test_a_login_that_goes_meanwhile_is_gone(user_pool: str) -> None:
    li = signs_up(user_pool, "li", "member")
    cognito = client("cognito-idp")
    rival = Interrupting(
        cognito,
        "admin_delete_user",
        lambda: cognito.admin_delete_user(UserPoolId=user_pool, Username="li"),
    )

    assert not Logins(rival, pool_id=user_pool).forget(li)

    assert users(user_pool) == []


def test_while_the_user_pool_does_not_answer_nobody_is_said_to_be_erased(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch, user_pool: str
) -> None:
    refused = refusal("TooManyRequestsException")
    reluctant = Reluctant(client("cognito-idp"), "list_users", refused)
    pool = Logins(reluctant, pool_id=user_pool)
    monkeypatch.setattr(farewell.erasure, "logins", lambda: pool)
    farewell.asks()

    with pytest.raises(ClientError) as caught:
        farewell.erasure.handle({"detail": {"member_id": "m1"}}, farewell.context)

    assert caught.value is refused
    assert farewell.world.members.member("m1").status == "erasing"
