"""What waits for a person: listed, shown and decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.baskets import Basket, Category, Line, Means, Payment
from forecourt.decided_sales import DecidedSales
from forecourt.hashes import EvidenceKey
from forecourt.sales_table import SalesTable
from forecourt.stored_messages import QuarantinedMessage
from forecourt.stored_sales import KeyedEvidence, Status, StoredSale
from functions.operator import handler
from tests.functional.conftest import (
    LOYALTY_TABLE,
    SALES_TABLE,
)
from tests.functional.head_office.documents import NOW, SALE, items, walk
from tests.specimens import credited_to, nobodys, probably

if TYPE_CHECKING:
    from tests.functional.http import Client
    from tests.functional.world import World


PLATE = EvidenceKey(kind="plate", digest="a" * 22)


def held(transaction: int = 1, *, sealed: bytes | None = None) -> StoredSale:
    return StoredSale(
        sale=replace(SALE, key=replace(SALE.key, transaction=transaction)),
        status=Status.HELD,
        received_at=NOW + timedelta(seconds=transaction),
        evidence=(KeyedEvidence(key=PLATE, confidence=97, source="camera-1"),),
        sealed=sealed,
        doubts=("amount_mismatch",),
    )


@pytest.fixture
def sales(dynamodb: Any) -> SalesTable:
    return SalesTable(dynamodb, name=SALES_TABLE)


@pytest.fixture
def decided(dynamodb: Any) -> DecidedSales:
    return DecidedSales(dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)


def test_held_sales_show_their_doubts_and_masked_evidence(
    manager: Client, auditor: Client, sales: SalesTable
) -> None:
    sealed = handler.reviews._sealer.seal(
        [["plate", "浙A12345"]], context={"sale_id": SALE.sale_id}
    )
    sales.add(held(sealed=sealed))

    (shown,) = manager.get("/sales", queue="held").body["sales"]
    (audited,) = auditor.get("/sales", queue="held").body["sales"]

    assert shown["sale_id"] == SALE.sale_id
    assert shown["doubts"] == ["amount_mismatch"]
    assert shown["evidence"] == [{"kind": "plate", "confidence": 97, "source": "camera-1"}]
    assert shown["observed"] == [{"kind": "plate", "masked": "浙A***45"}]
    assert audited == {**shown, "observed": None}


def test_pending_sales_are_listed_and_say_why(
    manager: Client, sales: SalesTable, decided: DecidedSales
) -> None:
    stored = replace(held(), status=Status.RECEIVED, doubts=())
    sales.add(stored)
    decided.decide(stored, probably("m-1"), decided_at=NOW)

    (shown,) = manager.get("/sales", queue="pending").body["sales"]

    assert (shown["status"], shown["undecided_because"]) == ("pending", "unsure")


def test_unmatched_sales_say_why(manager: Client, sales: SalesTable, decided: DecidedSales) -> None:
    stored = replace(held(), status=Status.RECEIVED, doubts=())
    sales.add(stored)
    decided.decide(stored, nobodys(), decided_at=NOW)

    (shown,) = manager.get("/sales", queue="unmatched").body["sales"]

    assert (shown["status"], shown["undecided_because"]) == ("unmatched", "unknown")
    assert shown["decided_at"] == "2026-11-23T08:15:00Z"
    assert shown["observed"] == []


def test_quarantined_messages_show_the_reason_and_not_the_content(
    manager: Client, sales: SalesTable
) -> None:
    sales.quarantine(
        QuarantinedMessage(
            station_id="s0001",
            message_id="m-1",
            topic="forecourt/s0001/up/sales",
            reason="wrong_type",
            field="sale.volume_ml",
            payload='{"value":"浙A12345"}'.encode(),
            received_at=NOW,
        )
    )

    reply = manager.get("/sales", queue="quarantined")

    assert reply.body["messages"] == [
        {
            "station_id": "s0001",
            "message_id": "m-1",
            "topic": "forecourt/s0001/up/sales",
            "reason": "wrong_type",
            "field": "sale.volume_ml",
            "size_bytes": 21,
            "received_at": "2026-11-23T08:15:00Z",
        }
    ]
    assert "12345" not in reply.text


def test_a_sale_is_shown_with_what_was_bought_along(manager: Client, world: World) -> None:
    world.sales.add(held())
    fill = Line(
        category=Category.FUEL, amount_fen=SALE.amount_fen, grade="92", volume_ml=SALE.volume_ml
    )
    assert manager.get(f"/sales/{SALE.sale_id}").body["receipt"] is None

    world.tell(
        SALE,
        Basket(
            lines=(fill, Line(category=Category.SHOP, amount_fen=1_000)),
            payments=(Payment(by=Means.CASH, amount_fen=SALE.amount_fen + 1_000),),
        ),
    )

    assert manager.get(f"/sales/{SALE.sale_id}").body["receipt"] == {
        "telling_id": "20261123T081500Z.s0001.till.R-1",
        "lines": [
            {"category": "fuel", "amount_fen": SALE.amount_fen},
            {"category": "shop", "amount_fen": 1_000},
        ],
        "payments": [{"by": "cash", "amount_fen": SALE.amount_fen + 1_000}],
    }


def test_a_queue_comes_in_pages_oldest_first(manager: Client, sales: SalesTable) -> None:
    for transaction in (3, 1, 2):
        sales.add(held(transaction))

    pages = walk(manager, "/sales", "sales", queue="held", limit=2)

    assert [[each["sale_id"].split(".")[4] for each in page] for page in pages] == [
        ["1", "2"],
        ["3"],
    ]
    cursor = manager.get("/sales", queue="held", limit=1).body["next_cursor"]
    other = manager.get("/sales", queue="unmatched", cursor=cursor)
    assert (other.status, other.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("query", [{}, {"queue": "all"}, {"queue": "held", "limit": 51}])
def test_a_queue_has_to_be_named(manager: Client, query: dict[str, Any]) -> None:
    assert manager.get("/sales", **query).code == "invalid_request"


@pytest.mark.parametrize(
    ("path", "status", "decision"),
    [
        ("release", Status.RECEIVED, "released"),
        ("rejection", Status.REJECTED, "rejected"),
    ],
)
def test_a_held_sale_is_decided_and_the_same_person_may_say_so_again(
    manager: Client, sales: SalesTable, path: str, status: Status, decision: str
) -> None:
    sales.add(held())

    reply = manager.post(f"/sales/{SALE.sale_id}/{path}")
    # Under a new key: what a retry after a crash looks like.
    again = manager.post(f"/sales/{SALE.sale_id}/{path}")

    assert reply.body == again.body
    assert reply.body == {
        "sale_id": SALE.sale_id,
        "decision": decision,
        "decided_by": "sub-manager",
    }
    stored = sales.sale(SALE.sale_id)
    assert (stored.status, stored.decided_by) == (status, "sub-manager")


@pytest.mark.parametrize(
    ("first", "who", "then"),
    [
        ("release", "operator", "release"),
        ("release", "operator", "rejection"),
        ("release", "manager", "rejection"),
        ("rejection", "operator", "rejection"),
        ("rejection", "manager", "release"),
    ],
)
def test_a_decided_sale_is_not_decided_again(
    request: pytest.FixtureRequest, dynamodb: Any, first: str, who: str, then: str
) -> None:
    SalesTable(dynamodb, name=SALES_TABLE).add(held())
    manager: Client = request.getfixturevalue("manager")
    manager.post(f"/sales/{SALE.sale_id}/{first}")
    before = items(dynamodb, SALES_TABLE)

    reply = request.getfixturevalue(who).post(f"/sales/{SALE.sale_id}/{then}")

    assert (reply.status, reply.code) == (409, "sale_not_held")
    assert items(dynamodb, SALES_TABLE) == before


@pytest.mark.parametrize("sale_id", [SALE.sale_id, "nonsense", "20261123T081500Z.s0001"])
def test_an_unknown_sale_cannot_be_decided(operator: Client, dynamodb: Any, sale_id: str) -> None:
    for path in ("release", "rejection"):
        reply = operator.post(f"/sales/{sale_id}/{path}")
        assert (reply.status, reply.code) == (404, "unknown_sale")

    assert items(dynamodb, SALES_TABLE) == []


def test_an_earlier_decision_is_replayed_with_its_key(
    manager: Client, sales: SalesTable, decided: DecidedSales
) -> None:
    sales.add(held())
    first = manager.post(f"/sales/{SALE.sale_id}/release", key="1")
    decided.decide(sales.sale(SALE.sale_id), credited_to("m-1"), decided_at=NOW)

    again = manager.post(f"/sales/{SALE.sale_id}/release", key="1")

    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
