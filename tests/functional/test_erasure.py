"""Who asks to be forgotten leaves no trace but movements under an id that names nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from forecourt.attributes import to_item
from forecourt.bus import SOURCE, DetailType
from forecourt.decisions import Outcome, Reason
from forecourt.events import events_of
from forecourt.identity import normalise
from forecourt.parted_sales import PartedSales
from forecourt.questions_table import QuestionsTable
from forecourt.retellings import Source, Telling
from forecourt.retold_sales import RetoldSales
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_identities import drivers_from_item, drivers_key, identity_key, portrait_key
from forecourt.stored_sales import Status, StoredSale, keyed_under
from forecourt.stored_tellings import StoredTelling
from functions.erasure.logins import Logins
from functions.members import handler as members
from tests.functional.assigning import assignment
from tests.functional.clients import (
    Interrupting,
    Killed,
    Killing,
    Paging,
    Reluctant,
    refusal,
)
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE, LambdaContext, client
from tests.functional.hearing import hear, heard
from tests.functional.http import Client
from tests.functional.rotation import INTRODUCED, PROMOTED, hashes, observed, rekeyed_identities
from tests.functional.world import POLICIES, RING, World, block_of, key_of, keyed
from tests.specimens import (
    CARD,
    PLATE,
    RECEIVED_AT,
    SALE,
    credited_to,
    earned,
    nobodys,
    probably,
    sale,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from forecourt.keyring import KeyRing
    from forecourt.sales import Sale

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
OTHER_PHONE = Evidence(kind=EvidenceKind.PHONE, value="13987654321")
PERSONAL = (PLATE, CARD, PHONE)
TILL_TOLD = StoredTelling(
    telling=Telling(
        source=Source.TILL,
        told_id="receipt-1",
        station_id="s0001",
        at=SALE.key.completed_at + timedelta(minutes=1),
        amount_fen=SALE.amount_fen,
        nozzle=SALE.key.nozzle,
        volume_ml=SALE.volume_ml,
    ),
    received_at=RECEIVED_AT,
)
ME = "/members/me"


class Farewell:
    """A member who has sold, been asked, and wants to be forgotten."""

    def __init__(self, world: World, erasure: ModuleType) -> None:
        self.world = world
        self.erasure = erasure
        self.context: Any = LambdaContext()

    def app(self, member_id: str = "m1") -> Client:
        return Client(handle=members.handle, subject=member_id, groups="[member]")

    def sold(self, told: Sale = SALE, member_id: str = "m1") -> StoredSale:
        stored = self.waiting(told, PERSONAL)
        assert self.world.decided.decide(stored, credited_to(member_id), decided_at=RECEIVED_AT)
        self.world.earn_nothing(member_id, told)
        return self.world.stored(told)

    def bare(self, told: Sale) -> StoredSale:
        return StoredSale(
            sale=replace(told, evidence=()), status=Status.RECEIVED, received_at=RECEIVED_AT
        )

    def waiting(self, told: Sale, evidence: Sequence[Evidence] = PERSONAL) -> StoredSale:
        context = {"sale_id": told.sale_id}
        stored = replace(
            self.bare(told),
            evidence=keyed(*evidence),
            sealed=self.world.sealer.seal(
                [[str(each.kind), each.value] for each in evidence], context=context
            ),
        )
        self.world.sales.add(stored)
        return stored

    def asks(self, client: Client | None = None) -> Any:
        return (client or self.app()).post("/members/m1/erasure")

    def events(self) -> list[dict[str, Any]]:
        return [
            {"source": SOURCE, "detail-type": str(each.detail_type), "detail": dict(each.detail)}
            for record in self.world.records(LOYALTY_TABLE)
            for each in events_of(record)
            if each.detail_type is DetailType.MEMBER_ERASED
        ]

    def forgotten(self) -> None:
        self.asks()
        (event,) = self.events()
        self.erasure.handle(event, self.context)


@pytest.fixture
def user_pool(aws: None) -> str:  # noqa: ARG001 - what exists while it does
    cognito = client("cognito-idp")
    pool_id: str = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]
    for group in ("member", "operator"):
        cognito.create_group(UserPoolId=pool_id, GroupName=group)
    return pool_id


@pytest.fixture
def farewell(world: World, user_pool: str, monkeypatch: pytest.MonkeyPatch) -> Farewell:
    from functions.erasure import handler  # noqa: PLC0415 - its clients need the environment

    handler.identity_keys.forget()
    pool = Logins(client("cognito-idp"), pool_id=user_pool)
    monkeypatch.setattr(handler, "logins", lambda: pool)
    world.enrol("m1", *PERSONAL)
    return Farewell(world, handler)


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


def test_a_sale_that_waits_is_forgotten_though_its_card_is_hashed_anew_meanwhile(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = farewell.world
    (card, *_) = PERSONAL
    stored = observed(world, SALE, PROMOTED, card)
    world.decided.decide(
        stored, nobodys(), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )
    walked = identity_key(key_of(card)) | to_item({"type": "identity"})
    identities = farewell.erasure.identities()
    owners = identities.owners

    def moved_meanwhile(*of: Any) -> Any:
        rekeyed_identities(world).rekey(walked, now=RECEIVED_AT)
        return owners(*of)

    monkeypatch.setattr(identities, "owners", moved_meanwhile)

    farewell.forgotten()

    assert (world.stored(SALE).evidence, world.stored(SALE).sealed) == ((), None)
    assert list(world.decided.orphans(hashes(PROMOTED, card)[0])) == []


def test_a_sale_of_theirs_stays_with_litres_money_and_an_id_that_names_nobody(
    farewell: Farewell,
) -> None:
    before = farewell.sold()

    farewell.forgotten()

    assert farewell.world.stored(SALE) == replace(before, evidence=(), sealed=None)


def test_what_till_and_payment_provider_told_is_stripped_too(farewell: Farewell) -> None:
    stored = farewell.sold()
    telling = replace(TILL_TOLD, evidence=keyed(CARD), sealed=b"sealed")
    retold = RetoldSales(farewell.world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    retold.add(telling)
    retold.reunite(telling.telling, now=RECEIVED_AT)
    assert len(farewell.world.stored(SALE).told) == 1

    farewell.forgotten()

    after = farewell.world.stored(SALE)
    assert [(each.telling_id, each.sealed) for each in after.told] == [(telling.telling_id, None)]
    (left,) = (each for each in farewell.world.items(SALES_TABLE) if each["type"] == "telling")
    assert not {"evidence", "sealed"} & left.keys()
    assert after.held == stored.held


def test_a_sale_that_waits_with_their_plate_waits_with_nothing(farewell: Farewell) -> None:
    stored = farewell.waiting(SALE, [PLATE])
    judge = assignment(farewell.world)
    (weighed,) = judge.weigh([stored])
    judge.assign(stored, weighed)
    assert farewell.world.stored(SALE).asked == "m1"

    farewell.forgotten()

    after = farewell.world.stored(SALE)
    assert (after.status, after.evidence, after.sealed) == (Status.UNMATCHED, (), None)
    assert list(farewell.world.decided.orphans(key_of(PLATE))) == []
    kinds = {item["type"] for item in farewell.world.items(LOYALTY_TABLE)}
    assert kinds == {"member", "unbound", "block", "erased", "account", "entry"}


def test_of_a_sale_that_another_is_asked_about_only_theirs_goes_and_the_other_gets_it(
    farewell: Farewell,
) -> None:
    """Both drive the car, one has bound it; the phone is the other's."""
    world = farewell.world
    world.enrol("m2", OTHER_PHONE)
    for weeks in (3, 2, 1):  # they have filled up before, or nobody would believe their word
        at = SALE.key.completed_at - timedelta(weeks=weeks)
        before = replace(farewell.bare(sale(completed_at=at, totalizer_ml=weeks)), local_hour=16)
        assert world.portraits.count("m2", before.sale.sale_id, before.fill)
    stored = farewell.waiting(SALE, [PLATE, OTHER_PHONE])
    world.decided.decide(
        stored, probably("m2"), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )

    farewell.forgotten()

    after = world.stored(SALE)
    assert (after.status, after.asked, after.evidence) == (
        Status.PENDING,
        "m2",
        keyed(OTHER_PHONE),
    )
    assert key_of(PLATE).digest not in str(world.items(SALES_TABLE))
    assert world.decided.orphans(key_of(OTHER_PHONE)) == [SALE.sale_id]
    decision = assignment(world).claim(after, claimed_by="m2")
    assert decision is not None
    assert (decision.outcome, decision.member_id) == (Outcome.CREDITED, "m2")


def test_a_sale_that_another_has_claimed_keeps_what_was_not_theirs(farewell: Farewell) -> None:
    world = farewell.world
    stored = farewell.waiting(SALE, [PLATE, OTHER_PHONE])
    world.decided.decide(
        stored, nobodys(), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )
    world.decided.note_claim(world.stored(SALE), "m2")

    farewell.forgotten()

    assert world.stored(SALE).evidence == keyed(OTHER_PHONE)
    assert world.decided.orphans(key_of(OTHER_PHONE)) == [SALE.sale_id]


def test_a_sale_that_is_told_more_while_its_evidence_goes_keeps_what_was_told(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecourt.contention.FIRST_PAUSE_SECONDS", 0)
    world = farewell.world
    stored = farewell.waiting(SALE, [PLATE])
    world.decided.decide(
        stored, probably("m2"), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )
    telling = replace(TILL_TOLD, evidence=keyed(OTHER_PHONE), sealed=b"sealed")
    retold = RetoldSales(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)

    def told() -> None:
        retold.add(telling)
        retold.reunite(telling.telling, now=RECEIVED_AT)

    crossing = Interrupting(world.dynamodb, "update_item", told)
    parted = PartedSales(crossing, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    monkeypatch.setattr(farewell.erasure, "parted", parted)

    farewell.forgotten()

    after = world.stored(SALE)
    assert (after.status, after.evidence) == (Status.RECEIVED, keyed(OTHER_PHONE))
    assert after.sealed_values == ((telling.telling_id, b"sealed"),)


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_deletion_that_ends_half_way_is_done_by_its_repeat(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    world = farewell.world
    stored = farewell.waiting(SALE, [PLATE, CARD])
    world.decided.decide(
        stored, nobodys(), filed_under=stored.evidence_keys, decided_at=RECEIVED_AT
    )
    farewell.asks()
    event = {"detail": {"member_id": "m1"}}
    forgetting = Killing(world.dynamodb, "delete_item", calls=killed_after)
    with monkeypatch.context() as patch:
        patch.setattr(farewell.erasure.decided, "_dynamodb", forgetting)
        with pytest.raises(Killed):
            farewell.erasure.handle(event, farewell.context)

    farewell.erasure.handle(event, farewell.context)

    after = world.stored(SALE)
    assert (after.evidence, after.sealed) == ((), None)
    assert [item for item in world.items(SALES_TABLE) if item["type"] == "orphan"] == []


def test_what_a_family_shares_stays_the_others(farewell: Farewell) -> None:
    farewell.world.enrol("m2", PLATE)
    stored = farewell.waiting(SALE, [PLATE])
    judge = assignment(farewell.world)
    (weighed,) = judge.weigh([stored])
    judge.assign(stored, weighed)

    farewell.forgotten()

    assert farewell.world.candidates.owners([key_of(PLATE)]) == {key_of(PLATE): ("m2",)}
    assert farewell.world.stored(SALE).evidence == keyed(PLATE)
    assert list(farewell.world.decided.orphans(key_of(PLATE))) == [SALE.sale_id]


def test_a_sale_that_went_to_somebody_else_keeps_their_evidence(farewell: Farewell) -> None:
    farewell.world.enrol("m2")
    before = farewell.sold()
    farewell.world.rule(SALE, "m2")

    farewell.forgotten()

    assert farewell.world.stored(SALE).evidence == before.evidence


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
    judge = assignment(farewell.world)
    for each in sales:
        stored = farewell.waiting(each, [PLATE])
        (weighed,) = judge.weigh([stored])
        judge.assign(stored, weighed)
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


def test_who_is_forgotten_cannot_sign_in_any_more(farewell: Farewell, user_pool: str) -> None:
    li = signs_up(user_pool, "li", "member")
    signs_up(user_pool, "other", "member")
    farewell.world.enrol(li)
    farewell.app(li).post(f"{ME}/erasure")

    for _ in range(2):
        farewell.erasure.handle({"detail": {"member_id": li}}, farewell.context)

    assert users(user_pool) == ["other"]
    assert farewell.world.members.member(li).status == "erased"


def test_who_works_here_as_well_is_no_member_any_more_and_signs_in(
    farewell: Farewell, user_pool: str
) -> None:
    li = signs_up(user_pool, "li", "member", "operator")
    farewell.world.enrol(li)
    farewell.app(li).post(f"{ME}/erasure")

    for _ in range(2):
        farewell.erasure.handle({"detail": {"member_id": li}}, farewell.context)

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


# --- in flight --------------------------------------------------------------------------------


class InFlight:
    """A sale that is matched and not yet judged, when its member is forgotten."""

    def __init__(self, farewell: Farewell, habits: ModuleType) -> None:
        self.farewell, self.world, self.habits = farewell, farewell.world, habits
        self.messages: list[dict[str, Any]] = []

    def matched(self, told: Sale = SALE, member_id: str = "m1") -> None:
        stored = self.farewell.waiting(told)
        assert self.world.decided.decide(stored, credited_to(member_id), decided_at=RECEIVED_AT)

    def judged(
        self, told: Sale = SALE, member_id: str = "m1", *, entry_id: str | None = None
    ) -> None:
        """Let accrual be through with the sale; the bus has the event from then on."""
        heard(self.world)  # whatever came before
        self.world.earn_nothing(member_id, told, entry_id=entry_id or told.sale_id)
        self.messages += heard(self.world, DetailType.SALE_EARNED_NOTHING)

    def told(self) -> None:
        assert self.messages
        assert hear(self.habits, self.messages, self.farewell.context) == []

    def forgotten(self) -> None:
        self.farewell.asks()
        self.farewell.erasure.handle({"detail": {"member_id": "m1"}}, self.farewell.context)

    def left(self, told: Sale = SALE) -> tuple[Any, ...]:
        stored = self.world.stored(told)
        return (*stored.evidence, *stored.sealed_values)


@pytest.fixture
def in_flight(farewell: Farewell) -> InFlight:
    from functions.habits import handler  # noqa: PLC0415 - its clients need the environment

    return InFlight(farewell, handler)


POINTS_IN_TIME = ("asked", "portrait", "searched", "finished")


@pytest.mark.parametrize(
    ("judged", "told"),
    [
        (judged, told)
        for place, judged in enumerate(POINTS_IN_TIME)
        for told in POINTS_IN_TIME[place:]
    ],
)
def test_a_sale_judged_at_any_moment_of_the_deletion_is_forgotten_with_its_member(
    in_flight: InFlight, monkeypatch: pytest.MonkeyPatch, judged: str, told: str
) -> None:
    """Judged just before *judged*, and heard of just before *told*, at the earliest."""

    def at(point: str) -> None:
        if point == judged:
            in_flight.judged()
        if point == told:
            in_flight.told()

    def before(point: str, owner: Any, name: str) -> None:
        method = getattr(owner, name)
        reached: list[str] = []

        def interrupted(*arguments: Any, **named: Any) -> Any:
            if not reached:
                reached.append(point)
                at(point)
            return method(*arguments, **named)

        monkeypatch.setattr(owner, name, interrupted)

    erasure = in_flight.farewell.erasure
    in_flight.matched()
    before("portrait", erasure.erasing, "close_portrait")
    before("searched", erasure.erasing, "sale_ids")
    before("finished", erasure.erasing, "finish")
    at("asked")

    in_flight.forgotten()

    assert in_flight.left() == ()
    portrait = in_flight.world.dynamodb.get_item(TableName=LOYALTY_TABLE, Key=portrait_key("m1"))[
        "Item"
    ]
    assert set(portrait) == {"pk", "sk", "type"}
    before_again = in_flight.world.snapshot()
    in_flight.told()
    assert in_flight.world.snapshot() == before_again


def test_a_sale_that_reaches_the_ledger_days_later_is_forgotten_then(in_flight: InFlight) -> None:
    in_flight.matched()
    in_flight.forgotten()
    assert in_flight.left() != ()

    in_flight.judged()
    in_flight.told()

    assert in_flight.left() == ()


def test_a_sale_that_a_full_wallet_refuses_is_forgotten_like_any_other(
    in_flight: InFlight,
) -> None:
    in_flight.matched()
    in_flight.forgotten()
    heard(in_flight.world)

    full = replace(POLICIES, default=replace(POLICIES.default, ceiling=10))
    in_flight.world.ledger.execute(earned("m1", 39), policies=full)
    in_flight.messages += heard(in_flight.world, DetailType.SALE_EARNED_NOTHING)
    in_flight.told()

    assert in_flight.left() == ()


def test_a_sale_that_a_ruling_gave_them_in_that_second_is_forgotten_too(
    in_flight: InFlight,
) -> None:
    in_flight.world.enrol("m2")
    in_flight.matched(member_id="m2")
    applied = in_flight.world.rule(SALE, "m1")
    in_flight.forgotten()

    in_flight.judged(entry_id=applied.held[0].entry_id)
    in_flight.told()

    assert in_flight.left() == ()


def test_a_sale_that_is_anothers_by_then_keeps_their_evidence(in_flight: InFlight) -> None:
    in_flight.world.enrol("m2")
    in_flight.matched()
    in_flight.world.rule(SALE, "m2")
    before = in_flight.left()
    in_flight.forgotten()

    in_flight.judged()
    in_flight.told()

    assert in_flight.left() == before != ()


@pytest.mark.parametrize("late", [False, True])
def test_a_sale_in_flight_when_two_became_one_is_forgotten_with_the_one(
    in_flight: InFlight, *, late: bool
) -> None:
    """Matched as the closed record's, and its entry is the other's."""
    in_flight.world.enrol("m2", PLATE)
    in_flight.matched(member_id="m2")
    in_flight.world.merged.merge(
        "m2", "m1", policies=POLICIES, merged_by="op", reason="twice", merged_at=RECEIVED_AT
    )
    if not late:
        in_flight.judged()

    in_flight.forgotten()

    if late:
        in_flight.judged()
        in_flight.told()
    assert in_flight.left() == ()


@pytest.mark.parametrize("asked", POINTS_IN_TIME)
def test_nobody_who_is_being_forgotten_stays_asked(
    in_flight: InFlight, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Weighed before the deletion, and written down just before *asked*."""
    stored = in_flight.farewell.waiting(SALE, [PLATE])
    judge = assignment(in_flight.world)
    (weighed,) = judge.weigh([stored])
    assert weighed.decision.member_id == "m1"
    erasing = in_flight.farewell.erasure.erasing
    points = {"portrait": "close_portrait", "searched": "sale_ids", "finished": "finish"}
    written: list[Any] = []

    def write_down() -> None:
        if not written:
            written.append(judge.assign(stored, weighed))

    if asked in points:
        method = getattr(erasing, points[asked])

        def interrupted(*arguments: Any, **named: Any) -> Any:
            write_down()
            return method(*arguments, **named)

        monkeypatch.setattr(erasing, points[asked], interrupted)
    else:
        write_down()
    in_flight.forgotten()

    after = in_flight.world.stored(SALE)
    assert written
    assert (after.status, after.asked) == (Status.UNMATCHED, None)
    assert in_flight.world.questions.everything("m1") == []
    assert judge.assign(stored, weighed) is None  # a repeat of the record


def test_between_portrait_and_unbinding_nobody_is_asked(in_flight: InFlight) -> None:
    stored = in_flight.farewell.waiting(SALE, [PLATE])
    judge = assignment(in_flight.world)
    in_flight.farewell.erasure.erasing.close_portrait("m1")

    (weighed,) = judge.weigh([stored])
    decision = judge.assign(stored, weighed)

    assert decision is not None
    assert decision.reason is Reason.DENIED
    assert in_flight.world.stored(SALE).asked is None
    assert in_flight.world.questions.everything("m1") == []


def test_what_a_till_told_of_them_and_found_no_sale_is_stripped_as_well(
    farewell: Farewell,
) -> None:
    world = farewell.world
    world.enrol("m2", PLATE)
    retold = RetoldSales(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    tellings = {
        told_id: StoredTelling(
            telling=Telling(
                source=Source.TILL,
                told_id=told_id,
                station_id="s0001",
                at=SALE.key.completed_at,
                amount_fen=1,
            ),
            received_at=RECEIVED_AT,
            evidence=keyed(evidence),
            sealed=b"sealed",
        )
        for told_id, evidence in (("theirs", CARD), ("familys", PLATE))
    }
    for each in tellings.values():
        retold.add(each)
        retold.reunite(each.telling, now=RECEIVED_AT)

    farewell.forgotten()

    left = {name: retold.telling(each.telling_id) for name, each in tellings.items()}
    assert (left["theirs"].evidence, left["theirs"].sealed) == ((), None)
    assert left["theirs"].queued
    assert (left["familys"].evidence, left["familys"].sealed) == (keyed(PLATE), b"sealed")


@pytest.mark.parametrize("ring", [RING, INTRODUCED, PROMOTED], ids=lambda ring: ring.state)
@pytest.mark.parametrize("moved", [False, True], ids=["identity waits", "identity moved"])
def test_what_a_till_told_is_stripped_by_whichever_key_it_and_its_member_are_hashed(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch, ring: KeyRing, *, moved: bool
) -> None:
    """A run walks by tellings and identities in any order; the deletion may come between."""
    world = farewell.world
    monkeypatch.setattr(farewell.erasure, "identity_keys", lambda: PROMOTED)
    retold = RetoldSales(world.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
    told = StoredTelling(
        telling=Telling(
            source=Source.TILL,
            told_id="receipt-1",
            station_id="s0001",
            at=SALE.key.completed_at,
            amount_fen=1,
        ),
        received_at=RECEIVED_AT,
        evidence=(keyed_under(ring, CARD.kind, normalise(CARD.kind, CARD.value)),),
        sealed=b"sealed",
    )
    retold.add(told)
    retold.reunite(told.telling, now=RECEIVED_AT)
    if moved:
        walked = identity_key(key_of(CARD)) | to_item({"type": "identity"})
        rekeyed_identities(world).rekey(walked, now=RECEIVED_AT)

    farewell.forgotten()

    left = retold.telling(told.telling_id)
    assert (left.evidence, left.sealed, left.queued) == ((), None, True)
