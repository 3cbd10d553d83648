"""The whole ledger is verified in steps, and whatever was done to it is found."""

from __future__ import annotations

import io
import json
from collections import Counter
from contextlib import redirect_stdout
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError
from rich.console import Console

from forecourt.attributes import to_item
from forecourt.bus import DetailType
from forecourt.events import events_of
from forecourt.ledger_reader import LedgerReader
from forecourt.loyalty_table import account_key, timeline_entry_key
from forecourt.verification import SEGMENTS, Position, Tally, VerificationFiles, report_of
from infra import verify
from tests.functional.bookkeeping import TUESDAY, TUESDAY_NOON, WEDNESDAY, Till
from tests.functional.clients import Before
from tests.functional.conftest import (
    LOYALTY_TABLE,
    SEGMENTS_QUEUE,
    WORKINGS_BUCKET,
    client,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.functional.world import World

RUN = "2026-11-22T20:00:00Z"
LONG_AFTER = TUESDAY_NOON + timedelta(days=30)


@pytest.fixture
def verification(aws: None) -> ModuleType:  # noqa: ARG001 - its queue is in it
    from functions.verification import handler  # noqa: PLC0415 - it needs the environment

    return handler


@pytest.fixture
def till(world: World) -> Till:
    """Let two members have a past, and enrol somebody who has no points at all."""
    till = Till(world)
    world.enrol("cat")
    for owner in ("ann", "bo"):
        till.earn(owner=owner)
        till.spend(30, owner=owner)
    return till


@pytest.fixture
def run(verification: ModuleType, context: Any) -> Callable[..., dict[str, Any]]:
    """Return what has a whole run made, as Lambda would; returns its report."""

    def whole(*, twice: bool = False) -> dict[str, Any]:
        assert verification.start(RUN, now=LONG_AFTER)["run_id"] == RUN
        while messages := received():
            for record in messages * 2 if twice else messages:
                verification.handle({"Records": [record]}, context)
        report = files().report()
        assert report is not None
        return report

    return whole


def received() -> list[dict[str, Any]]:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=SEGMENTS_QUEUE)["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [{"body": message["Body"]} for message in messages]


def files(run_id: str = RUN) -> VerificationFiles:
    return VerificationFiles(client("s3"), bucket=WORKINGS_BUCKET, run_id=run_id)


def remove(till: Till, owner: str) -> None:
    """Take all that is *owner*'s out of the table."""
    dynamodb = till.world.dynamodb
    for item in dynamodb.scan(TableName=LOYALTY_TABLE)["Items"]:
        if item["pk"] == account_key(owner)["pk"]:
            key = {name: item[name] for name in ("pk", "sk")}
            dynamodb.delete_item(TableName=LOYALTY_TABLE, Key=key)


def position(run_id: str) -> Position:
    return Position(run_id=run_id, segment=0, segments=1, settled_before=WEDNESDAY.isoformat())


def found() -> list[tuple[str, str]]:
    return [(each["owner"], each["kind"]) for each in files().differences()]


def change_account(till: Till, owner: str, **values: Any) -> None:
    for name, value in values.items():
        till.world.dynamodb.update_item(
            TableName=LOYALTY_TABLE,
            Key=account_key(owner),
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues=to_item({":value": value}),
        )


def test_an_honest_ledger_is_verified_whole_and_found_right(till: Till, run: Any) -> None:
    report = run()

    assert found() == []
    assert report == {
        "run_id": RUN,
        "owners": 3,
        "accounts": 2,
        "entries": 4,
        "differences": 0,
        "owners_different": 0,
        "waiting": 0,
        "books": 0,
        "days_not_as_booked": [],
        "not_at_zero": {},
    }
    assert till.books == []


def test_a_step_takes_as_much_as_there_is_time_for_and_the_next_goes_on(
    verification: ModuleType, till: Till, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One item a page; the time is always short in these tests.
    small = LedgerReader(client("dynamodb"), name=LOYALTY_TABLE, items_a_page=1)
    monkeypatch.setattr(verification, "reader", small)
    till.forge(till.earn(owner="bo"))

    report = run()

    assert (report["owners"], report["entries"], report["owners_different"]) == (3, 5, 1)
    assert set(found()) == {("bo", "chain_broken")}
    assert len(files().progress()[1]) > SEGMENTS


def test_steps_that_are_done_twice_leave_the_same_files(till: Till, run: Any, world: World) -> None:
    till.forge(till.earn(owner="bo"))

    report = run(twice=True)

    assert (report["owners"], report["differences"]) == (3, len(found()))
    told = [
        event.detail["run_id"]
        for record in world.records(LOYALTY_TABLE)
        for event in events_of(record)
        if event.detail_type is DetailType.LEDGER_VERIFIED
    ]
    assert told == [RUN]


def test_a_time_with_enough_left_is_used_for_the_next_page(
    verification: ModuleType, till: Till, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = LedgerReader(client("dynamodb"), name=LOYALTY_TABLE, items_a_page=1)
    monkeypatch.setattr(verification, "reader", small)
    monkeypatch.setattr(verification, "TIME_RESERVED_MS", 0)
    till.earn()

    verification.step(position(RUN), context)

    assert files().progress()[0] == 1
    assert len(files().progress()[1]) == 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"buckets": {"2027-11-30": 7_000}}, "account_differs"),
        ({"version": 1}, "account_differs"),
        ({"debt": -5}, "unreadable"),
        ({"buckets": "many"}, "unreadable"),
    ],
)
def test_an_account_that_was_edited_is_found(
    till: Till,
    run: Any,
    counted: Callable[[], dict[str, int]],
    values: dict[str, Any],
    kind: str,
) -> None:
    change_account(till, "ann", **values)
    counted()

    report = run()

    assert ("ann", kind) in found()
    assert {owner for owner, _ in found()} == {"ann"}
    assert report["owners_different"] == 1
    assert counted()["AccountsDifferent"] == 1


@pytest.mark.parametrize(("attribute", "kind"), [("actor", "chain_broken"), ("legs", "unreadable")])
def test_an_entry_that_was_edited_is_found(till: Till, run: Any, attribute: str, kind: str) -> None:
    till.forge(till.earn(owner="bo"), attribute)

    run()

    assert ("bo", kind) in found()


def test_an_entry_that_was_deleted_is_found(world: World, till: Till, run: Any) -> None:
    entry = till.earn()
    key = timeline_entry_key("ann", entry.entry_id)
    world.dynamodb.delete_item(TableName=LOYALTY_TABLE, Key=key)

    run()

    assert set(found()) == {("ann", "account_differs")}


def test_an_account_that_was_deleted_is_found_by_its_entries(till: Till, run: Any) -> None:
    till.world.dynamodb.delete_item(TableName=LOYALTY_TABLE, Key=account_key("ann"))

    run()

    assert found() == [("ann", "account_missing")]


def test_whatever_is_posted_between_any_two_reads_is_no_difference(
    world: World, till: Till
) -> None:
    # Every read is a page of one item, and before every page ann earns.
    class OneByOne(Before):
        def query(self, **arguments: Any) -> Any:
            if len(posted) < 6:
                posted.append(till.earn())
            return self._client.query(**arguments, Limit=1)

    posted: list[Any] = []
    reader = LedgerReader(OneByOne(world.dynamodb, "", list), name=LOYALTY_TABLE)

    holdings, differences = reader.audit("ann")

    assert differences == []
    # One of them came behind the place where it would have been read.
    assert len(posted) == 6
    assert holdings.accounts["points"].version < len(holdings.entries) < 2 + len(posted)


def test_an_account_that_is_made_while_we_read_is_not_missing(world: World) -> None:
    till = Till(world)
    pages = iter(range(100))

    class NewMember(Before):
        def query(self, **arguments: Any) -> Any:
            answer = self._client.query(**arguments)
            if next(pages) == 0:
                # Read before the account was there; the entry was seen a page later.
                till.earn()
                entry = self._client.query(**arguments)["Items"][-1]
                return {"Items": [entry]}
            return answer

    reader = LedgerReader(NewMember(world.dynamodb, "", list), name=LOYALTY_TABLE)

    holdings, differences = reader.audit("ann")

    assert differences == []
    assert holdings.accounts["points"].version == 1


def test_a_closed_day_that_lost_an_entry_or_got_one_is_reported(
    till: Till, run: Any, counted: Callable[[], dict[str, int]]
) -> None:
    lost = till.earn(owner="dee")
    till.archive(losing=[lost])
    till.close()
    till.now = TUESDAY_NOON
    till.earn()
    till.archive()
    till.close(WEDNESDAY)
    counted()

    report = run()

    # All that dee has was lost on its way: no other entry of hers could tell.
    assert report["days_not_as_booked"] == [{"day": "2026-11-23", "counted": 5, "booked": 4}]
    assert report["books"] == 3
    assert list(files().differences()) == [
        {
            "owner": "dee",
            "kind": "not_booked",
            "facts": {"entry_id": lost.entry_id, "day": "2026-11-23"},
        }
    ]
    assert counted()["DaysNotAsBooked"] == 1


def test_what_somebody_got_from_nobody_is_found_though_all_that_is_left_agrees(
    till: Till, run: Any, counted: Callable[[], dict[str, int]]
) -> None:
    till.earn(70, owner="ghost")
    till.give(50, owner="ghost", receiver="ann")
    remove(till, "ghost")
    counted()

    report = run()

    assert (report["differences"], report["not_at_zero"]) == (0, {"program:transfer": -50})
    assert counted()["PassagesNotAtZero"] == 1


def test_what_is_given_while_a_run_goes_on_is_for_the_next_run(
    till: Till, verification: ModuleType, context: Any
) -> None:
    verification.start(RUN, now=till.now)
    till.give(50, owner="ann", receiver="bo")
    remove(till, "ann")  # as if only the other one had been read since

    while messages := received():
        for record in messages:
            verification.handle({"Records": [record]}, context)

    report = files().report()
    assert report is not None
    assert report["not_at_zero"] == {}


def test_what_the_verification_missed_in_the_books_comes_into_the_next(
    till: Till, run: Any
) -> None:
    lost = till.earn(owner="dee")
    till.archive(losing=[lost])
    till.close()

    assert till.archive_again("dee", "ann") == 3
    till.close(TUESDAY)

    monday, tuesday = till.books
    assert (monday.entries, tuesday.entries) == (4, 1)
    assert till.entry_ids(tuesday) == {lost.entry_id}
    assert (run()["days_not_as_booked"], found()) == ([], [])


@pytest.mark.parametrize("run_id", [None, RUN])
def test_a_run_is_started_once_for_each_segment(
    verification: ModuleType, context: Any, run_id: str | None
) -> None:
    answer = verification.handle({} if run_id is None else {"run_id": run_id}, context)

    assert run_id in {None, answer["run_id"]}
    positions = []
    while messages := received():
        positions += [Position.from_text(message["body"]) for message in messages]
    assert answer["segments"] == SEGMENTS
    assert sorted(each.segment for each in positions) == list(range(SEGMENTS))
    assert {each.run_id for each in positions} == {answer["run_id"]}


class Deployed:
    """The stack as the command finds it: outputs, and a function that runs to its end."""

    def __init__(self, run: Callable[[], object]) -> None:
        self._run = run
        self.failure: dict[str, str] = {}

    def client(self, service: str) -> Any:
        return self if service in {"cloudformation", "lambda"} else client(service)

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803 - AWS's
        assert StackName == "Forecourt"
        outputs = {"VerificationFunctionName": "v", "WorkingsBucketName": WORKINGS_BUCKET}
        pairs = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        return {"Stacks": [{"Outputs": pairs}]}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803
        assert (FunctionName, Payload) == ("v", b"{}")
        self._run()
        return {"Payload": io.BytesIO(json.dumps({"run_id": RUN}).encode()), **self.failure}


@pytest.fixture
def command(run: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Return the operator's command: arguments in, exit code and what it printed out."""

    def execute(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(verify, "boto3", Deployed(run))
        with redirect_stdout(io.StringIO()) as printed:
            code = verify.main(list(arguments))
        return code, printed.getvalue()

    return execute


def test_the_command_ends_with_zero_when_everything_agrees(till: Till, command: Any) -> None:
    assert till.books == []

    code, printed = command()

    assert (code, "entries: 4" in printed, "differences: 0" in printed) == (0, True, True)


def test_the_command_prints_what_differs_and_fails(till: Till, command: Any) -> None:
    entry = till.earn(owner="bo")
    till.forge(entry)

    code, printed = command()

    assert code == 1
    assert '"kind": "chain_broken"' in printed
    assert entry.entry_id in printed


def test_the_command_fails_for_a_day_that_is_not_as_booked(till: Till, command: Any) -> None:
    lost = till.earn(owner="dee")
    till.archive(losing=[lost])
    till.close()

    code, printed = command()

    assert (code, "2026-11-23: 5 entries in the table, 4 in the books" in printed) == (1, True)


def test_the_command_fails_for_what_somebody_got_from_nobody(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Tally(passing=Counter({"program:transfer": -50, "budget:spring": 0}))
    monkeypatch.setattr(verify, "follow", lambda *_: report_of(lost, [], run_id=RUN))

    code, printed = command()

    assert code == 1
    assert "program:transfer: -50 over all owners instead of 0" in printed
    assert "not at zero: 1" in printed


def test_the_command_follows_a_run_that_goes_on(till: Till, run: Any, command: Any) -> None:
    till.forge(till.earn())
    run()

    code, printed = command("--run", RUN)

    assert (code, f"run {RUN}" in printed) == (1, True)


@pytest.mark.parametrize(
    "failure",
    [
        NoRegionError(),
        NoCredentialsError(),
        ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks"),
    ],
    ids=type,
)
def test_the_command_says_when_there_is_no_stack_to_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    def client(_: str) -> None:
        raise failure

    monkeypatch.setattr(verify, "boto3", SimpleNamespace(client=client))

    code = verify.main(["--stack", "Elsewhere"])

    assert code == 3
    assert f"No stack Elsewhere could be asked: {failure}" in capsys.readouterr().err


@pytest.mark.parametrize("stack", [{}, {"Outputs": []}], ids=["no outputs", "none of ours"])
def test_the_command_says_when_the_stack_is_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stack: dict[str, Any]
) -> None:
    other = SimpleNamespace(describe_stacks=lambda **_: {"Stacks": [stack]})
    monkeypatch.setattr(verify, "boto3", SimpleNamespace(client=lambda _: other))

    code = verify.main(["--stack", "Elsewhere"])

    assert code == 3
    assert capsys.readouterr().err == (
        "No stack Elsewhere could be asked: it has no output VerificationFunctionName\n"
    )


def test_the_command_says_when_a_run_stands_still(
    till: Till, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert till.books == []
    files("r1").begin(segments=SEGMENTS, started_at=TUESDAY_NOON)
    monkeypatch.setattr(verify, "follow", lambda *_: None)

    code, printed = command("--run", "r1")

    assert (code, "--run r1" in printed) == (2, True)


def test_the_command_says_at_once_that_there_is_no_such_run(
    till: Till, command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert till.books == []

    def follow(*_: object) -> None:
        raise AssertionError("it waits for a run that nobody started")

    monkeypatch.setattr(verify, "follow", follow)

    code, printed = command("--run", "r9")

    assert (code, printed) == (4, "")
    assert "knows no run r9" in capsys.readouterr().err


def test_a_run_is_known_before_its_first_step_is_done(verification: ModuleType) -> None:
    assert not files("r1").begun()

    verification.start("r1", now=TUESDAY_NOON)

    assert files("r1").begun()


def test_a_run_without_a_new_step_is_waited_for_as_long_as_patience_lasts(aws: None) -> None:  # noqa: ARG001
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            files("r1").keep(position("r1"), Tally(), [], last=False)

    console = Console(file=io.StringIO())
    report = verify.follow(files("r1"), console, patience_seconds=10, sleep=sleep)

    assert report is None
    assert sum(slept) == 3 * verify.POLL_SECONDS + 10


def test_a_function_that_cannot_start_a_run_is_no_run(
    aws: None,  # noqa: ARG001
) -> None:
    deployed = Deployed(lambda: None)
    deployed.failure = {"FunctionError": "Unhandled"}

    with pytest.raises(verify.FunctionFailed, match="v failed"):
        verify.start(deployed, "v")
