"""The operator's command: what it does next, what it says, and what it never does unasked."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from rich.console import Console

from forecourt.keyring import KeyRing
from forecourt.sales import Evidence, EvidenceKind
from infra import rotate
from infra.rotate import Ending, Rotation, StandsStill, Step, next_step
from infra.verify import FunctionFailed, OutputMissing
from tests.functional.clients import refusal
from tests.functional.conftest import IDENTITY_SECRET_ID, client
from tests.functional.rotation import Operator, hashes, operating
from tests.functional.world import RING
from tests.specimens import PLATE, RECEIVED_AT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.world import World

STATES = ("1", "1-2", "2-1", "2")


class Function:
    """The function as the command invokes it; between two calls its own invocations are done."""

    def __init__(self, operator: Operator, *, alive: bool = True) -> None:
        self._operator = operator
        self._alive = alive
        self.fails = False

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "rekeying"
        if self.fails:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "X"}')}
        told = self._operator.asks(**json.loads(Payload))
        if self._alive:
            self._operator.work()
        return {"Payload": io.BytesIO(json.dumps(told).encode())}


@pytest.fixture
def operator(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    world.enrol("m1", PLATE)
    yield from operating(monkeypatch)


def rotation(operator: Operator, *, alive: bool = True) -> tuple[Rotation, Console]:
    console = Console(file=io.StringIO(), width=200)
    return Rotation(
        lambda_=Function(operator, alive=alive),
        vault=client("secretsmanager"),
        function="rekeying",
        secret_id=IDENTITY_SECRET_ID,
        console=console,
        sleep=lambda _: None,
        patience_seconds=10,
    ), console


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def ring() -> KeyRing:
    text = client("secretsmanager").get_secret_value(SecretId=IDENTITY_SECRET_ID)["SecretString"]
    return KeyRing.from_text(text)


def go(operator: Operator, **asked: bool) -> tuple[Ending, str]:
    command, console = rotation(operator)
    return command.go(**asked), said(console)


def test_without_a_rotation_nothing_is_begun_by_asking(operator: Operator, world: World) -> None:
    before = world.snapshot()

    ending, text = go(operator)

    assert ending is Ending.DONE
    assert "No rotation is under way. Key 1 is the only one." in text
    assert (ring(), world.snapshot()) == (RING, before)


def test_begun_it_goes_on_until_the_old_key_can_be_dropped_and_drops_it_only_when_told(
    operator: Operator, world: World
) -> None:
    ending, text = go(operator, begin=True)

    assert ending is Ending.DONE
    assert "Everything is found by key 2, and nothing by the key before." in text
    assert ring().state == "2-1"
    (key, _) = hashes(ring(), PLATE)
    assert world.candidates.owners([key]) == {key: ("m1",)}

    assert go(operator)[0] is Ending.DONE
    assert ring().state == "2-1"

    ending, text = go(operator, drop=True)

    assert ending is Ending.DONE
    assert "No rotation is under way. Key 2 is the only one." in text
    assert ring().state == "2"


def test_no_secret_is_shown(operator: Operator) -> None:
    shown = [go(operator, begin=True)[1], go(operator, drop=True)[1]]

    for secret in (*RING.keys.values(), *ring().keys.values()):
        assert secret.decode() not in "".join(shown)


def test_a_rotation_is_not_begun_while_another_is_under_way(operator: Operator) -> None:
    go(operator, begin=True)
    before = ring()

    assert go(operator, begin=True)[0] is Ending.NOT_NOW
    assert ring() == before


def test_where_there_is_no_old_key_none_is_dropped(operator: Operator) -> None:
    assert go(operator, drop=True)[0] is Ending.NOT_NOW
    assert ring() == RING


def test_broken_off_anywhere_it_goes_on_from_there(operator: Operator) -> None:
    command, _ = rotation(operator, alive=False)
    with pytest.raises(StandsStill):
        command.go(begin=True)
    assert ring().state == "1-2"

    assert go(operator)[0] is Ending.DONE
    assert ring().state == "2-1"


def test_with_something_left_behind_the_old_key_stays(operator: Operator, world: World) -> None:
    phone = Evidence(kind=EvidenceKind.PHONE, value="13812345678")
    (key,) = hashes(RING, phone)
    world.identities.bind("m1", key, "13999999999", bound_at=RECEIVED_AT)

    ending, text = go(operator, begin=True)

    assert ending is Ending.LEFT_BEHIND
    assert "1 items could not be hashed anew" in text
    assert go(operator, drop=True)[0] is Ending.LEFT_BEHIND
    assert ring().state == "2-1"

    world.identities.unbind("m1", key, unbound_at=RECEIVED_AT)
    assert go(operator, anew=True)[0] is Ending.DONE


def test_it_waits_until_every_container_knows_the_ring(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [0, 90]  # before it is begun, and right after
    monkeypatch.setattr(
        operator.handler, "seconds_to_settle", lambda *_, **__: left.pop(0) if left else 0
    )

    ending, text = go(operator, begin=True)

    assert ending is Ending.DONE
    assert "all containers learn of it within 90 seconds" in text


def test_a_function_that_fails_is_not_taken_for_one_that_is_done(operator: Operator) -> None:
    command, _ = rotation(operator)
    command._lambda.fails = True

    with pytest.raises(FunctionFailed, match=r"rekeying failed: .*errorType"):
        command.go(begin=True)
    assert ring() == RING


def told(state: str, *, finished: bool, clean: bool) -> dict[str, Any]:
    accepted = state.split("-")
    return {"current": accepted[0], "accepted": accepted, "finished": finished, "clean": clean}


@pytest.mark.parametrize(
    ("finished", "clean", "steps"),
    [
        (False, False, [Step.BEGIN, Step.REKEY, Step.REKEY, Step.REKEY]),
        (True, False, [Step.BEGIN, Step.MEND, Step.MEND, Step.MEND]),
        (True, True, [Step.BEGIN, Step.PROMOTE, Step.DROP, Step.BEGIN]),
    ],
)
def test_no_step_is_taken_before_the_one_before_it_is_over(
    finished: bool,  # noqa: FBT001
    clean: bool,  # noqa: FBT001
    steps: list[Step],
) -> None:
    assert [next_step(told(each, finished=finished, clean=clean)) for each in STATES] == steps


def test_the_tenth_key_comes_after_the_ninth() -> None:
    assert next_step(told("9-10", finished=True, clean=True)) is Step.PROMOTE
    assert next_step(told("10-9", finished=True, clean=True)) is Step.DROP


@pytest.mark.parametrize(("asked", "ending"), [([], Ending.DONE), (["--drop"], Ending.NOT_NOW)])
def test_the_command_finds_the_stack_by_its_outputs(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, asked: list[str], ending: Ending
) -> None:
    clients = {
        "cloudformation": None,
        "lambda": Function(operator),
        "secretsmanager": client("secretsmanager"),
    }
    outputs = {"RekeyingFunctionName": "rekeying", "IdentitySecretArn": IDENTITY_SECRET_ID}
    monkeypatch.setattr(boto3, "client", clients.__getitem__)
    monkeypatch.setattr(rotate, "outputs_of", lambda *names: [outputs[each] for each in names[2:]])

    assert rotate.main(asked) == ending


def test_what_stands_still_says_where_to_look(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stand_still(*_: Any, **__: Any) -> Ending:
        raise StandsStill

    monkeypatch.setattr(rotate, "outputs_of", lambda *_: ("rekeying", "secret"))
    monkeypatch.setattr(rotate.Rotation, "go", stand_still)

    assert rotate.main([]) == Ending.STANDS_STILL
    assert "NotRekeyed" in capsys.readouterr().out
    assert operator.invoked == []


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (refusal("ValidationError"), "No stack Forecourt could be asked: "),
        (
            OutputMissing("RekeyingFunctionName"),
            "No stack Forecourt could be asked: it has no output RekeyingFunctionName",
        ),
        (
            FunctionFailed("rekeying", {"errorType": "X"}),
            'The stack Forecourt was asked in vain: rekeying failed: {"errorType": "X"}',
        ),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_keeps_it_from_asking_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: Exception,
    said: str,
) -> None:
    def refuse(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(rotate, "outputs_of", refuse)

    assert rotate.main([]) == Ending.NOT_REACHED
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("\n") == 1
