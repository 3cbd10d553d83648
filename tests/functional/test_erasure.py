"""Who asks to be forgotten leaves no trace but movements under an id that names nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.attributes import to_item
from forecourt.events import SOURCE, DetailType, events_of
from forecourt.questions_table import QuestionsTable
from forecourt.retellings import Source, Telling
from forecourt.retold_sales import RetoldSales
from forecourt.sales import Evidence, EvidenceKind
from forecourt.stored_identities import identity_key
from forecourt.stored_sales import Status, StoredSale
from forecourt.stored_tellings import StoredTelling
from functions.members import handler as members
from tests.functional.assigning import assignment
from tests.functional.clients import Paging
from tests.functional.conftest import LOYALTY_TABLE, SALES_TABLE, LambdaContext
from tests.functional.http import Client
from tests.functional.rotation import PROMOTED, hashes, observed, rekeyed_identities
from tests.functional.world import POLICIES, World, block_of, key_of, keyed
from tests.specimens import CARD, PLATE, RECEIVED_AT, SALE, credited_to, earned, nobodys, sale

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from forecourt.sales import Sale

PHONE = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
PERSONAL = (PLATE, CARD, PHONE)
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
        self.world.loyalty.record_evaluation(member_id, told, version=None, evaluation=None)
        return self.world.stored(told)

    def waiting(self, told: Sale, evidence: Sequence[Evidence] = PERSONAL) -> StoredSale:
        context = {"sale_id": told.sale_id}
        stored = StoredSale(
            sale=replace(told, evidence=()),
            status=Status.RECEIVED,
            received_at=RECEIVED_AT,
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
def farewell(world: World) -> Farewell:
    from functions.erasure import handler  # noqa: PLC0415 - its clients need the environment

    handler.identity_keys.forget()
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
    assert ledger(farewell.world) == books
    assert farewell.world.candidates.owners(map(key_of, PERSONAL)) == {}


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
    owners = farewell.erasure.candidates.owners

    def moved_meanwhile(keys: Any) -> Any:
        rekeyed_identities(world).rekey(walked, now=RECEIVED_AT)
        return owners(keys)

    monkeypatch.setattr(farewell.erasure.candidates, "owners", moved_meanwhile)

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
    telling = StoredTelling(
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
        evidence=keyed(CARD),
        sealed=b"sealed",
    )
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
    assert kinds == {"member", "unbound", "block", "erased"}


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
    assert app.post(f"{ME}/identities", plate).code == "unknown_member"
    assert app.get(f"{ME}/identities").body["identities"] == []
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


def test_the_rest_is_handed_to_the_function_itself(
    farewell: Farewell, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoked: list[dict[str, Any]] = []

    class Invoker:
        def invoke(self, **arguments: Any) -> None:
            invoked.append(arguments)

    monkeypatch.setattr(farewell.erasure.boto3, "client", lambda _: Invoker())

    farewell.erasure.hand_on({"detail": {"member_id": "m1"}}, ("m1", "x"), function="erasure")

    assert invoked == [
        {
            "FunctionName": "erasure",
            "InvocationType": "Event",
            "Payload": '{"detail": {"member_id": "m1"}, "rest": ["m1", "x"]}',
        }
    ]
