"""What a till tells of a sale is safe once it is answered, and reaches the cloud once."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.messages import TellingMessage
from forecourt.sales import Evidence, EvidenceKind
from tests.edge.stand_in_cloud import Cloud
from tests.edge.stations import Station, config_for, controller_for, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

TOKEN = "a-token-of-the-till"
TOLD: dict[str, Any] = {
    "told_id": "R-0815",
    "told_at": "2026-11-23T16:17:30+08:00",
    "amount_fen": 30232,
    "nozzle": 1,
    "volume_ml": 39990,
    "evidence": [{"kind": "phone", "value": "13812345678"}],
}
RECEIPT: dict[str, Any] = {
    **TOLD,
    "amount_fen": 30832,
    "lines": [
        {"category": "fuel", "amount_fen": 30232, "grade": "92", "volume_ml": 39990},
        {"category": "shop", "amount_fen": 1100},
        {"category": "discount", "amount_fen": -500},
    ],
    "payments": [{"by": "points", "amount_fen": 832}, {"by": "card", "amount_fen": 30000}],
}
TELLING_ID = "20261123T081730Z.s0001.till.R-0815"


@asynccontextmanager
async def listening(
    directory: Path,
    *,
    cloud: Cloud | None = None,
    outbox: Mapping[str, Any] | None = None,
    **listen: Any,
) -> AsyncIterator[Station]:
    path = str(directory / "outbox.db")
    async with running(
        directory,
        controller_for(),
        cloud=cloud,
        configure=lambda port: config_for(
            directory, port, listen={"port": 0, **listen}, outbox={"path": path, **(outbox or {})}
        ),
    ) as station:
        yield station


async def tell(
    station: Station, told: Any = TOLD, *, token: str | None = None, method: str = "POST"
) -> tuple[int, dict[str, str]]:
    """Send *told* as a till does; return the status and the document it is answered with."""
    assert station.component.listener is not None
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    lines = [f"{method} /tellings HTTP/1.1", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    reader, writer = await asyncio.open_connection("127.0.0.1", station.component.listener.port)
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    async with asyncio.timeout(5):
        reply = await reader.read()
    writer.close()
    head, _, content = reply.partition(b"\r\n\r\n")
    document: dict[str, str] = json.loads(content)
    return int(head.split()[1]), document


def waiting(station: Station) -> list[dict[str, Any]]:
    """Return the bodies of the tellings in the outbox."""
    return [each.body for each in station.component.outbox.after(0, 99) if each.lane == "tellings"]


async def settled(station: Station) -> None:
    async with asyncio.timeout(10):
        await station.component.drained()


def test_what_the_till_tells_is_what_the_cloud_reads(tmp_path: Path) -> None:
    async def story() -> None:
        async with listening(tmp_path) as station:
            assert await tell(station) == (200, {"code": "ok"})
            await settled(station)

            (told,) = station.cloud.tellings
            assert isinstance(told, TellingMessage)
            assert told.message_id == TELLING_ID
            assert (told.telling.amount_fen, told.telling.nozzle, told.telling.volume_ml) == (
                30232,
                1,
                39990,
            )
            phone = Evidence(kind=EvidenceKind.PHONE, value="13812345678", source="till")
            assert told.evidence == (phone,)
            assert waiting(station) == []

    asyncio.run(story())


def test_what_a_till_does_not_know_it_leaves_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with listening(tmp_path) as station:
            least = {
                "source": "payment",
                "told_id": "P-1",
                "told_at": "2026-11-23T08:17:30.9Z",
                "amount_fen": 0,
                "evidence": [
                    {"kind": "plate", "value": "蓝浙A·12345"},
                    {"kind": "plate", "value": "无车牌"},
                ],
            }
            assert (await tell(station, least))[0] == 200
            await settled(station)

            (told,) = station.cloud.tellings
            assert told.message_id == "20261123T081730Z.s0001.payment.P-1"
            assert (told.telling.nozzle, told.telling.volume_ml) == (None, None)
            assert [each.value for each in told.evidence] == ["浙A12345"]

    asyncio.run(story())


def test_a_telling_told_again_is_one_and_answered_alike(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = Cloud(connected=False)
        async with listening(tmp_path, cloud=cloud) as station:
            first = await tell(station)
            again = await tell(station)

            assert first == again == (200, {"code": "ok"})
            assert len(waiting(station)) == 1
            cloud.connected = True
            await settled(station)
            # The till did not hear the answer: told to the cloud again, under the same id.
            assert await tell(station) == first
            await settled(station)
            assert [each.message_id for each in cloud.tellings] == [TELLING_ID]

    asyncio.run(story())


def test_another_telling_under_the_same_number_is_refused_and_the_first_kept(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            await tell(station)

            status, document = await tell(station, {**TOLD, "amount_fen": 1})

            assert (status, document["code"]) == (409, "told_otherwise")
            (kept,) = waiting(station)
            assert kept["amount_fen"] == 30232

    asyncio.run(story())


def test_offline_it_waits_and_survives_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            assert (await tell(station))[0] == 200
        async with listening(tmp_path) as station:
            await settled(station)
            assert [each.message_id for each in station.cloud.tellings] == [TELLING_ID]

    asyncio.run(story())


def test_what_the_cloud_refuses_is_kept_with_its_reason(tmp_path: Path) -> None:
    async def story() -> None:
        cloud = Cloud()
        cloud.refusing = {TELLING_ID: "unknown_station"}
        async with listening(tmp_path, cloud=cloud) as station:
            await tell(station)
            await settled(station)

            (refused,) = station.component.outbox.quarantined()
            assert (refused.lane, refused.message_id, refused.reason) == (
                "tellings",
                TELLING_ID,
                "unknown_station",
            )

    asyncio.run(story())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"told_id": "R 0815"}, "told_id"),
        ({"told_id": "R" * 49}, "told_id"),
        ({"told_id": 815}, "told_id"),
        ({"told_at": "2026-11-23T08:17:30"}, "told_at"),
        ({"told_at": "yesterday"}, "told_at"),
        ({"told_at": 1_764_000_000}, "told_at"),
        ({"told_at": "1764000000"}, "told_at"),
        ({"told_at": "1970-01-01T00:00:00Z"}, "told_at"),
        ({"amount_fen": 302.32}, "amount_fen"),
        ({"amount_fen": "30232"}, "amount_fen"),
        ({"amount_fen": True}, "amount_fen"),
        ({"amount_fen": -1}, "amount_fen"),
        ({"amount_fen": 10**9 + 1}, "amount_fen"),
        ({"nozzle": 0}, "nozzle"),
        ({"nozzle": 1000}, "nozzle"),
        ({"volume_ml": 10**8 + 1}, "volume_ml"),
        ({"source": "pump"}, "source"),
        ({"evidence": [{"kind": "face", "value": "x"}]}, "evidence.0.kind"),
        ({"evidence": [{"kind": "phone", "value": ""}]}, "evidence.0.value"),
        ({"evidence": [{"kind": "phone", "value": "1" * 65}]}, "evidence.0.value"),
        ({"evidence": [{"kind": "phone", "value": "1\u0000"}]}, "evidence.0.value"),
        ({"evidence": [{"kind": "phone"}]}, "evidence.0.value"),
        ({"evidence": [{"kind": "phone", "value": "1"}] * 9}, "evidence"),
        ({"litres": 39.99}, "litres"),
    ],
)
def test_what_is_wrong_is_said_by_its_name_and_nothing_is_stored(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            status, document = await tell(station, {**TOLD, **changes})

            assert (status, document["code"]) == (400, "invalid")
            assert document["detail"].startswith(f"{field}: ")
            assert waiting(station) == []
            assert (await tell(station))[0] == 200

    asyncio.run(story())


def test_a_receipt_reaches_the_cloud_as_the_till_printed_it(tmp_path: Path) -> None:
    cloud = Cloud()

    async def story() -> None:
        async with listening(tmp_path, cloud=cloud) as station:
            assert (await tell(station, RECEIPT))[0] == 200
            await settled(station)

    asyncio.run(story())

    (message,) = cloud.tellings
    assert isinstance(message, TellingMessage)
    basket = message.telling.basket
    assert basket is not None
    assert [(each.category, each.amount_fen) for each in basket.lines] == [
        ("fuel", 30232),
        ("shop", 1100),
        ("discount", -500),
    ]
    assert (basket.fuel.grade, basket.fuel.volume_ml) == ("92", 39990)
    assert [(each.by, each.amount_fen) for each in basket.payments] == [
        ("points", 832),
        ("card", 30000),
    ]


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"amount_fen": 30232}, "lines: does_not_add_up"),
        ({"volume_ml": 39980}, "volume_ml: does_not_add_up"),
        ({"payments": [{"by": "cash", "amount_fen": 1}]}, "payments: does_not_add_up"),
        ({"lines": RECEIPT["lines"][1:]}, "lines: not_one_fill"),
        ({"lines": [{"category": "beer", "amount_fen": 1}]}, "lines[0].category: unknown_kind"),
        ({"source": "payment"}, "lines: unexpected"),
    ],
)
def test_a_receipt_that_the_cloud_would_not_take_is_refused_beside_the_till(
    tmp_path: Path, wrong: dict[str, Any], detail: str
) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            status, document = await tell(station, {**RECEIPT, **wrong})

            assert (status, document["code"], document["detail"]) == (400, "invalid", detail)
            assert waiting(station) == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b"\xff", 400, "not_json"),
        (b"[" * 8_000, 400, "not_json"),
        (b"[]", 400, "invalid"),
        (b"{}", 400, "invalid"),
        (b" " * 8_193, 413, "too_large"),
    ],
)
def test_what_is_no_telling_at_all_is_refused(
    tmp_path: Path, body: bytes, status: int, code: str
) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            answered, document = await tell(station, body)

            assert (answered, document["code"]) == (status, code)
            assert waiting(station) == []

    asyncio.run(story())


def test_a_refusal_names_few_faults_in_few_words(tmp_path: Path) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            _, document = await tell(station, {str(each) * 200: each for each in range(30)})

            assert len(document["detail"]) < 700

    asyncio.run(story())


@pytest.mark.parametrize("token", [None, "another-token-of-a-till"])
def test_without_its_token_the_till_is_not_believed(tmp_path: Path, token: str | None) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False), till_token=TOKEN) as station:
            status, document = await tell(station, token=token)
            assert (status, document["code"]) == (401, "unauthorised")
            assert waiting(station) == []
            assert (await tell(station, token=TOKEN))[0] == 200

    asyncio.run(story())


def test_a_telling_is_posted(tmp_path: Path) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            assert (await tell(station, method="PUT"))[0] == 405
            assert waiting(station) == []

    asyncio.run(story())


def test_a_full_outbox_leaves_the_telling_with_the_till_and_the_pumps_alone(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        cloud = Cloud(connected=False)
        async with listening(tmp_path, cloud=cloud, outbox={"tellings_max": 1}) as station:
            await tell(station)

            status, document = await tell(station, {**TOLD, "told_id": "R-0816"})

            assert (status, document["code"]) == (503, "full")
            assert [each["told_id"] for each in waiting(station)] == ["R-0815"]
            station.controller.dispense(1, 10_000)
            cloud.connected = True
            await station.settle()
            assert len(cloud.sales) == 1
            assert (await tell(station, {**TOLD, "told_id": "R-0816"}))[0] == 200

    asyncio.run(story())


def test_a_full_disk_is_said_and_nothing_is_half_stored(tmp_path: Path) -> None:
    async def story() -> None:
        async with listening(tmp_path, cloud=Cloud(connected=False)) as station:
            database = station.component.outbox.connection
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {pages}")
            answers = []
            for number in range(200):
                answers.append((await tell(station, {**TOLD, "told_id": f"R-{number}"}))[0])
                if answers[-1] != 200:
                    break

            assert answers[-1] == 503
            assert len(waiting(station)) == answers.count(200)

    asyncio.run(story())


def test_whom_a_till_named_is_never_logged_nor_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "13812345678"

    async def story() -> list[dict[str, str]]:
        async with listening(tmp_path) as station:
            wrong = {**TOLD, "nozzle": secret, "evidence": [{"kind": secret, "value": secret}]}
            answers = [
                (await tell(station, each))[1]
                for each in (TOLD, wrong, {**TOLD, "amount_fen": 1}, secret)
            ]
            await settled(station)
            return answers

    with caplog.at_level("DEBUG"):
        answers = asyncio.run(story())
    said = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "telling_taken" in said
    assert secret not in said
    assert secret not in str(answers)
