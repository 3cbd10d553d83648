"""Members who are in another zone than the program: told at the door, counted in the ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest

from forecourt.keeping import Keeping
from forecourt.ledger import commands as c
from forecourt.ledger.policy import Midnight
from forecourt.ledger.refusals import InsufficientPoints, LedgerRefusal
from forecourt.ledger_table import LedgerTable
from forecourt.program import program_from_document
from functions.members import handler
from tests.functional.clients import Counting, Killed, Killing
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.nights import Nights
from tests.functional.world import with_wallets

if TYPE_CHECKING:
    from forecourt.ledger import Account, Answer
    from tests.functional.http import Client
    from tests.functional.world import World

PROGRAM = "Asia/Shanghai"
HOMES = ["Asia/Shanghai", "America/New_York", "Asia/Kolkata"]
MORNING = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
YEAR_END = date(2026, 12, 31)
ANNA = "sub-anna"


def midnight_in(zone: str) -> datetime:
    """Return the instant at which the year is over in *zone*."""
    return datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


class Books:
    """A program in force, a clock, and accounts; the members API reads the same clock."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = MORNING
        self.world = world
        self._patch = monkeypatch
        self._count = 0
        monkeypatch.setattr(handler.wallets, "_now", lambda: self.now)
        monkeypatch.setattr(handler.homes, "_now", lambda: self.now)
        self.reach_through(world.dynamodb)

    def reach_through(self, dynamodb: Any) -> None:
        self.ledger = LedgerTable(dynamodb, name=LOYALTY_TABLE, now=lambda: self.now)
        self._patch.setattr(handler.homes, "_ledger", self.ledger)

    def under(self, midnight: str) -> None:
        document = with_wallets(points={"midnight": midnight})
        self.world.activate(document)
        self.policies = program_from_document(document, version=1).policies()
        keeping = Keeping(handler.loyalty)
        self._patch.setattr(handler.wallets, "_keeping", keeping)
        self._patch.setattr(handler.homes, "_keeping", keeping)

    def run(self, kind: type[c.Command], **values: Any) -> Answer:
        self._count += 1
        common: dict[str, Any] = {
            "entry_id": f"{self.now:%Y%m%dT%H%M%SZ}.{self._count}",
            "owner": ANNA,
            "source": "doc",
            "reason": "test",
            "actor": "till",
            "occurred_at": self.now,
        }
        return self.ledger.execute(kind(**(common | values)), policies=self.policies)

    def earn(self, points: int = 20, **values: Any) -> Answer:
        return self.run(c.Earn, points=points, expires_on=YEAR_END, **values)

    def spend(self, points: int) -> LedgerRefusal | None:
        return self.run(c.Spend, points=points).refusal

    def account(self, wallet: str = "points") -> Account:
        return self.world.loyalty.account(ANNA, wallet)

    def kinds(self) -> list[str]:
        """Return what was written of anna's movements, in order."""
        items = [each for each in self.world.items(LOYALTY_TABLE) if each["sk"].startswith("T#")]
        return [str(each["kind"]) for each in sorted(items, key=lambda each: each["sk"])]


@pytest.fixture
def shelf(world: World, monkeypatch: pytest.MonkeyPatch) -> Books:
    """Return books that no program is in force for yet."""
    return Books(world, monkeypatch)


@pytest.fixture
def books(shelf: Books) -> Books:
    shelf.under("member")
    return shelf


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("midnight", list(Midnight))
def test_points_are_there_and_spent_until_the_midnight_that_counts_and_no_job_has_run(
    anna: Client, shelf: Books, midnight: str, home: str
) -> None:
    shelf.under(midnight)
    anna.post("/members", {})
    shelf.earn()
    anna.patch("/members/me", {"zone": home})
    counts = home if midnight == "member" else PROGRAM

    shelf.now = midnight_in(counts) - timedelta(milliseconds=1)
    shown = anna.get("/members/me/points").body
    assert (shown["points"], shown["zone"], shown["as_of_on"]) == (20, counts, "2026-12-31")
    assert shelf.spend(5) is None
    shelf.now = midnight_in(counts)
    before = shelf.account()

    shown = anna.get("/members/me/points").body
    assert (shown["points"], shown["zone"], shown["as_of_on"]) == (0, counts, "2027-01-01")
    refusal = shelf.spend(5)
    assert isinstance(refusal, InsufficientPoints)
    assert (refusal.available, shelf.account()) == (0, before)


def test_a_zone_is_told_to_every_wallet_and_shown_in_the_profile(
    anna: Client, books: Books
) -> None:
    anna.post("/members", {"name": "Li"})
    books.earn()
    books.earn(wallet="growth")

    reply = anna.patch("/members/me", {"zone": "America/New_York"})

    assert reply.status == 200
    assert anna.get("/members/me").body["profile"]["zone"] == "America/New_York"
    assert {books.account(each).zone for each in ("points", "growth")} == {"America/New_York"}
    listed = anna.get("/members/me/wallets").body["wallets"]
    assert {each["wallet"]: each["zone"] for each in listed} == {
        "growth": PROGRAM,  # it is counted by the program's days
        "points": "America/New_York",
    }


def test_null_lets_a_member_go_by_the_programs_zone_again(anna: Client, books: Books) -> None:
    anna.post("/members", {"zone": "America/New_York"})
    books.earn()
    assert books.account().zone == "America/New_York"

    anna.patch("/members/me", {"zone": None})

    assert books.account().zone is None
    assert anna.get("/members/me").body["profile"]["zone"] is None


@pytest.mark.parametrize("method", ["post", "patch"])
def test_a_zone_that_nobody_knows_is_refused_and_nothing_written(
    anna: Client, books: Books, method: str
) -> None:
    path = "/members" if method == "post" else "/members/me"
    if method == "patch":
        anna.post("/members", {})
        books.earn()
    before = books.world.items(LOYALTY_TABLE)

    reply = getattr(anna, method)(path, {"zone": "Asia/Atlantis"})

    assert (reply.status, reply.code) == (422, "invalid_request")
    assert reply.facts == {"findings": [{"at": "/body/zone", "reason": "unknown_zone"}]}
    assert books.world.items(LOYALTY_TABLE) == before


def test_a_zone_that_is_known_already_writes_nothing(anna: Client, books: Books) -> None:
    anna.post("/members", {})
    books.earn()
    anna.patch("/members/me", {"zone": "Asia/Kolkata"})
    before = books.world.items(LOYALTY_TABLE)

    anna.patch("/members/me", {"zone": "Asia/Kolkata"})
    anna.patch("/members/me", {"name": None})

    assert books.world.items(LOYALTY_TABLE) == before


def test_a_change_that_died_half_way_is_made_good_when_it_comes_again(
    anna: Client, books: Books
) -> None:
    anna.post("/members", {})
    books.earn()
    books.earn(wallet="growth")
    books.reach_through(Killing(books.world.dynamodb, "transact_write_items", calls=1))
    with pytest.raises(Killed):
        anna.patch("/members/me", {"zone": "Asia/Kolkata"}, key="k-1")
    books.reach_through(books.world.dynamodb)

    anna.patch("/members/me", {"zone": "Asia/Kolkata"}, key="k-2")

    assert {books.account(each).zone for each in ("points", "growth")} == {"Asia/Kolkata"}
    assert books.kinds().count("set_zone") == 2


def test_of_two_changes_at_once_the_one_in_the_profile_counts(anna: Client, books: Books) -> None:
    anna.post("/members", {})
    books.earn()
    execute = books.ledger.execute

    def overtaken(command: c.SetZone, **more: Any) -> Answer:
        with patch.object(books.ledger, "execute", execute):
            anna.patch("/members/me", {"zone": "Asia/Kolkata"})
        return execute(command, **more)

    with patch.object(books.ledger, "execute", overtaken):
        anna.patch("/members/me", {"zone": "America/New_York"})

    assert anna.get("/members/me").body["profile"]["zone"] == "Asia/Kolkata"
    assert books.account().zone == "Asia/Kolkata"


def test_an_account_that_begins_later_goes_by_its_members_zone_from_the_first_entry(
    anna: Client, bert: Client, books: Books
) -> None:
    anna.post("/members", {"zone": "America/New_York"})
    bert.post("/members", {"zone": "Asia/Kolkata"})

    books.earn(activates_on=date(2026, 12, 1))
    books.earn(owner="sub-bert")
    books.run(c.Transfer, owner="sub-bert", receiver="sub-carl", points=1)

    assert books.account().zone == "America/New_York"
    assert books.world.loyalty.account("sub-bert").zone == "Asia/Kolkata"
    assert books.world.loyalty.account("sub-carl").zone is None  # nobody is enrolled there
    assert books.kinds().count("set_zone") == 0
    entry = books.world.loyalty.entry(ANNA, f"{MORNING:%Y%m%dT%H%M%SZ}.1")
    assert entry.effect.zone == "America/New_York"


@pytest.mark.parametrize(("midnight", "reads"), [("program", [1, 1]), ("member", [2, 1])])
def test_the_zone_costs_one_read_when_an_account_begins_and_none_after(
    anna: Client, shelf: Books, midnight: str, reads: list[int]
) -> None:
    shelf.under(midnight)
    anna.post("/members", {"zone": "America/New_York"})
    counted = []

    for _ in reads:
        client = Counting(shelf.world.dynamodb)
        shelf.reach_through(client)
        shelf.earn()
        assert client.calls["transact_write_items"] == 1
        counted.append(client.calls["get_item"])

    assert counted == reads


def test_nothing_is_left_of_the_zone_of_who_is_erased(anna: Client, books: Books) -> None:
    anna.post("/members", {"zone": "America/New_York"})

    anna.post("/members/me/erasure")

    (item,) = [each for each in books.world.items(LOYALTY_TABLE) if each["sk"] == "PROFILE"]
    assert not {"sealed", "zone"} & item.keys()


@pytest.mark.parametrize("home", [*HOMES, "Pacific/Kiritimati"])
@pytest.mark.parametrize("every", [None, 1, 5, 24])
def test_the_job_gives_the_same_for_members_before_and_behind_the_program(
    world: World, context: Any, monkeypatch: pytest.MonkeyPatch, home: str, every: int | None
) -> None:
    nights = Nights(world, context, monkeypatch)
    nights.under(points={"midnight": "member"})
    nights.run(c.SetZone, zone=home)
    nights.earn(40, YEAR_END)
    nights.earn(5, YEAR_END + timedelta(days=1))
    nights.earn(7, None, activates_on=YEAR_END + timedelta(days=1))
    nights.earn(3, date(2027, 6, 30))
    ends = midnight_in(home)
    first = min(ends, midnight_in(PROGRAM)) - timedelta(hours=3)

    for hours in range(72):
        nights.now = first + timedelta(hours=hours)
        if every is not None and hours % every == 0:
            nights.night()
        days_over = sum(nights.now >= ends + timedelta(days=ahead) for ahead in range(2))
        assert sum(nights.view().buckets.values()) == (48, 15, 10)[days_over], nights.now
    nights.night()

    assert nights.account().buckets == {None: 7, date(2027, 6, 30): 3}
    assert nights.ran_out() == 45
    assert nights.find() == 0
