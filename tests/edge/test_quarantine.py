"""What the cloud refused can be sent again once the fault is mended, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from forecourt_edge.config import OutboxConfig
from forecourt_edge.errors import NothingRefused, OutboxFull, OutboxUnusable
from forecourt_edge.outbox import Lane, Message, Outbox, Refused
from forecourt_edge.quarantine import PutBack, Quarantine
from tests.edge.refusing import at, refuse, sale, telling, waiting
from tests.edge.stand_in_cloud import id_of
from tests.edge.stations import controller_for, running, sell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.edge.stations import Station

PLATE = "浙A12345"


@pytest.fixture
def config(tmp_path: Path) -> OutboxConfig:
    return OutboxConfig(path=tmp_path / "outbox.db")


@pytest.fixture
def outbox(config: OutboxConfig) -> Iterator[Outbox]:
    """Return the outbox as a running component holds it."""
    with closing(Outbox(config)) as opened:
        yield opened


@pytest.fixture
def quarantine(outbox: Outbox, config: OutboxConfig) -> Iterator[Quarantine]:  # noqa: ARG001 - it is there
    with closing(Quarantine(config)) as opened:
        yield opened


def kept(quarantine: Quarantine) -> list[tuple[str, str]]:
    return [(each.message_id, each.reason) for each in quarantine.kept()]


def test_what_was_refused_is_listed_in_its_order_with_the_reason(
    outbox: Outbox, quarantine: Quarantine
) -> None:
    refuse(outbox, "unknown_station", sale(1), sale(2))
    refuse(outbox, "unknown_schema", telling(1))
    outbox.take_over(at(3), messages=[sale(3)])

    listed = quarantine.kept()

    assert [(each.lane, each.message_id, each.reason, each.readable) for each in listed] == [
        ("sales", "sale-1", "unknown_station", True),
        ("sales", "sale-2", "unknown_station", True),
        ("tellings", "telling-1", "unknown_schema", True),
    ]
    assert all(each.refused_at.endswith("Z") for each in listed)
    assert waiting(outbox) == ["sale-3"]


def test_what_is_put_back_waits_as_it_was_stored_behind_all_that_waits(
    outbox: Outbox, quarantine: Quarantine
) -> None:
    refuse(outbox, "unknown_station", sale(1, evidence=[PLATE]), sale(2))
    outbox.take_over(at(3), messages=[sale(3)])

    outcome = quarantine.put_back()

    assert outcome == PutBack(count=2, unreadable=0, waiting_already=0)
    assert waiting(outbox) == ["sale-3", "sale-1", "sale-2"]
    assert outbox.after(0, 9)[1].body == {"n": 1, "evidence": [PLATE]}
    assert quarantine.kept() == []
    assert outbox.cursor(1, "SN1") == at(3)


def test_only_what_was_refused_for_the_reason_is_put_back(
    outbox: Outbox, quarantine: Quarantine
) -> None:
    refuse(outbox, "unknown_station", sale(1))
    refuse(outbox, "out_of_range", sale(2))

    outcome = quarantine.put_back(reason="unknown_station")

    assert outcome.count == 1
    assert waiting(outbox) == ["sale-1"]
    assert kept(quarantine) == [("sale-2", "out_of_range")]


def test_a_repeat_puts_nothing_back_twice(outbox: Outbox, quarantine: Quarantine) -> None:
    refuse(outbox, "unknown_station", sale(1))
    quarantine.put_back()

    assert quarantine.put_back() == PutBack(count=0, unreadable=0, waiting_already=0)
    assert waiting(outbox) == ["sale-1"]


def test_what_is_refused_again_can_be_put_back_again(
    outbox: Outbox, quarantine: Quarantine
) -> None:
    for reason in ("unknown_station", "unknown_schema"):
        refuse(outbox, reason, sale(1))
        assert kept(quarantine) == [("sale-1", reason)]
        assert quarantine.put_back().count == 1
        assert waiting(outbox) == ["sale-1"]


def test_a_reason_that_no_message_has_is_named_with_those_there_are(
    outbox: Outbox, quarantine: Quarantine
) -> None:
    refuse(outbox, "unknown_station", sale(1))
    refuse(outbox, "out_of_range", sale(2))

    with pytest.raises(NothingRefused) as caught:
        quarantine.put_back(reason="unknown_stations")

    assert caught.value.reason == "unknown_stations"
    assert caught.value.reasons == ["out_of_range", "unknown_station"]
    assert waiting(outbox) == []
    assert len(quarantine.kept()) == 2


def test_what_is_no_message_stays(outbox: Outbox, quarantine: Quarantine) -> None:
    """A message damaged as it waited, or since; and a record of the pump that makes no sense."""
    outbox.take_over(at(1), messages=[sale(1)])
    outbox.connection.execute("UPDATE messages SET body = ?", (b'{"n": 7}',))
    assert waiting(outbox) == []
    refuse(outbox, "unknown_station", sale(2), sale(3))
    outbox.connection.execute(
        "UPDATE quarantine SET body = ? WHERE message_id = 'sale-2'", (b'{"n":8}',)
    )
    record = Refused(lane=Lane.SALES, message_id="SN1.1.4", body=b"\0\1", reason="grade: no")
    outbox.take_over(at(4), refused=record)

    outcome = quarantine.put_back()

    assert outcome == PutBack(count=1, unreadable=3, waiting_already=0)
    assert waiting(outbox) == ["sale-3"]
    assert [each.message_id for each in quarantine.kept()] == ["sale-1", "sale-2", "SN1.1.4"]
    assert not any(each.readable for each in quarantine.kept())


def test_one_whose_id_waits_already_stays_and_neither_is_changed(
    outbox: Outbox, quarantine: Quarantine
) -> None:
    refuse(outbox, "unknown_station", sale(1, told="first"), sale(2))
    outbox.take_over(at(1), messages=[sale(1, told="again")])

    outcome = quarantine.put_back()

    assert outcome == PutBack(count=1, unreadable=0, waiting_already=1)
    assert kept(quarantine) == [("sale-1", "unknown_station")]
    assert [each.body for each in outbox.after(0, 9)] == [{"n": 1, "told": "again"}, {"n": 2}]


def test_what_the_till_told_goes_behind_the_sales(outbox: Outbox, quarantine: Quarantine) -> None:
    refuse(outbox, "unknown_station", telling(1), sale(1), telling(2), sale(2))

    quarantine.put_back()

    assert waiting(outbox) == ["sale-1", "sale-2", "telling-1", "telling-2"]


@pytest.mark.parametrize(
    ("caps", "message", "fits"),
    [
        ({"sales_max": 2}, sale(2), True),
        ({"sales_max": 1}, sale(2), False),
        ({"tellings_max": 1}, telling(2), True),
        ({"tellings_max": 0}, telling(2), False),
        ({"sales_max": 1}, telling(2), True),
    ],
)
def test_nothing_is_put_back_beyond_the_cap(
    config: OutboxConfig, outbox: Outbox, caps: dict[str, int], message: Message, *, fits: bool
) -> None:
    refuse(outbox, "unknown_station", message)
    outbox.take_over(at(1), messages=[sale(1)])

    with closing(Quarantine(config.model_copy(update=caps))) as quarantine:
        if fits:
            assert quarantine.put_back().count == 1
            return
        with pytest.raises(OutboxFull) as caught:
            quarantine.put_back()

        assert caught.value.reason == "cap"
        assert waiting(outbox) == ["sale-1"]
        assert kept(quarantine) == [(message.message_id, "unknown_station")]


def test_it_is_all_put_back_or_nothing(outbox: Outbox, quarantine: Quarantine) -> None:
    refuse(outbox, "unknown_station", *map(sale, range(1, 6)))
    outbox.connection.execute(
        "CREATE TRIGGER fault BEFORE INSERT ON messages WHEN NEW.message_id = 'sale-4'"
        " BEGIN SELECT RAISE(ABORT, 'a fault half-way'); END"
    )

    with pytest.raises(OutboxUnusable) as caught:
        quarantine.put_back()

    assert caught.value.reason == "a fault half-way"
    assert waiting(outbox) == []
    assert len(quarantine.kept()) == 5
    outbox.connection.execute("DROP TRIGGER fault")
    assert quarantine.put_back().count == 5


def test_what_is_put_back_is_synced_before_it_is_told(
    outbox: Outbox, quarantine: Quarantine
) -> None:
    refuse(outbox, "unknown_station", sale(1))
    statements: list[str] = []
    quarantine._db.set_trace_callback(statements.append)

    quarantine.put_back()

    assert statements[-1] == "COMMIT"
    begun = statements.index("BEGIN IMMEDIATE")
    assert statements[begun - 1] == "PRAGMA synchronous = FULL"


def test_two_technicians_at_once_put_each_message_back_once(
    config: OutboxConfig, outbox: Outbox
) -> None:
    refuse(outbox, "unknown_station", *map(sale, range(1, 201)))
    together = threading.Barrier(2)
    counts: list[int] = []

    def work() -> None:
        with closing(Quarantine(config)) as opened:
            together.wait()
            counts.append(opened.put_back().count)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 200
    assert waiting(outbox) == [f"sale-{number}" for number in range(1, 201)]


def test_the_file_of_an_older_program_gives_its_messages_back(
    config: OutboxConfig, outbox: Outbox
) -> None:
    refuse(outbox, "unknown_schema", sale(1))
    refuse(outbox, "corrupted", sale(2))
    outbox.connection.execute("ALTER TABLE quarantine DROP COLUMN checksum")

    with closing(Quarantine(config)) as quarantine:
        assert quarantine.put_back() == PutBack(count=1, unreadable=1, waiting_already=0)

    assert waiting(outbox) == ["sale-1"]


async def sold_and_refused(station: Station, reason: str) -> list[str]:
    """Sell twice while the cloud refuses everything; return the ids of the sales."""
    station.cloud.answering = False
    sell(station.controller, 2)
    await station.component.poll()
    sales = [each for each in station.component.outbox.after(0, 9) if each.lane is Lane.SALES]
    ids = [each.message_id for each in sales]
    async with asyncio.timeout(5):
        while not {id_of(told) for _, told in station.cloud.payloads} >= {*ids}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    station.cloud.say({"refused": [{"id": each, "reason": reason} for each in ids]})
    station.cloud.answering = True
    return ids


def test_a_running_component_sends_what_is_put_back_within_a_moment(
    tmp_path: Path, config: OutboxConfig
) -> None:
    async def story() -> None:
        async with running(tmp_path) as station:
            ids = await sold_and_refused(station, "unknown_station")
            await station.settle()
            assert station.cloud.sales == []

            with closing(Quarantine(config)) as quarantine:
                assert quarantine.put_back(reason="unknown_station").count == 2
                async with asyncio.timeout(5):
                    while station.component.outbox.count():  # noqa: ASYNC110 - it tells nobody
                        await asyncio.sleep(0.01)

                assert quarantine.kept() == []
            assert [each.sale_id for each in station.cloud.sales] == ids

    asyncio.run(story())


def test_what_is_put_back_while_the_component_stands_still_is_sent_at_its_next_start(
    tmp_path: Path, config: OutboxConfig
) -> None:
    async def story() -> None:
        controller = controller_for()
        async with running(tmp_path, controller) as station:
            ids = await sold_and_refused(station, "unknown_schema")
            await station.settle()

        with closing(Quarantine(config)) as quarantine:
            assert quarantine.put_back().count == 2

        async with running(tmp_path, controller) as station:
            await station.settle()
            assert [each.sale_id for each in station.cloud.sales] == ids

    asyncio.run(story())
