"""A sale still on its way when its member is forgotten is forgotten with them, and asks nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.decisions import Reason
from forecourt.stored_identities import portrait_key
from forecourt.stored_sales import Status
from functions.habits import handler as habits
from tests.functional.assigning import assignment
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.hearing import hear, heard
from tests.functional.world import POLICIES
from tests.specimens import PLATE, RECEIVED_AT, SALE, credited_to, earned

if TYPE_CHECKING:
    from forecourt.sales import Sale
    from tests.functional.erasure.farewell import Farewell

POINTS_IN_TIME = ("asked", "portrait", "searched", "finished")


class InFlight:
    """A sale that is matched and not yet judged, when its member is forgotten."""

    def __init__(self, farewell: Farewell) -> None:
        self.farewell, self.world = farewell, farewell.world
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
        assert hear(habits, self.messages, self.farewell.context) == []

    def forgotten(self) -> None:
        self.farewell.asks()
        self.farewell.erasure.handle({"detail": {"member_id": "m1"}}, self.farewell.context)

    def left(self, told: Sale = SALE) -> tuple[Any, ...]:
        stored = self.world.stored(told)
        return (*stored.evidence, *stored.sealed_values)


@pytest.fixture
def in_flight(farewell: Farewell) -> InFlight:
    return InFlight(farewell)


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
