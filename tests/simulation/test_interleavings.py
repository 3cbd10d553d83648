"""Many at once on the same points: whatever the interleaving, the books say who won."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.errors import StaleWrite
from forecourt.ledger import Policies, carry_out
from forecourt.ledger import commands as c
from forecourt.ledger.procedure import AccountKey, Commit, Found, Keep, Read
from tests.simulation.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt.ledger import Answer

NOW = datetime(2026, 1, 5, tzinfo=UTC)
POLICIES = Policies()


def command(kind: type[c.Command], number: int, owner: str = "ann", **values: Any) -> c.Command:
    common: dict[str, Any] = {
        "entry_id": f"20260105T000000Z.{number}",
        "owner": owner,
        "source": "doc",
        "reason": "test",
        "actor": "till",
        "occurred_at": NOW,
    }
    return kind(**(common | values))


def interleaved(store: Store, commands: Sequence[c.Command], *, seed: int) -> list[Answer | None]:
    """Carry all out at once, one request at a time, in an order drawn from *seed*."""
    chance = random.Random(seed)
    answers: list[Answer | None] = [None] * len(commands)
    waiting = list(enumerate(commands))
    while waiting:
        running = {number: carry_out(each, policies=POLICIES) for number, each in waiting}
        requests: dict[int, Any] = {number: next(each) for number, each in running.items()}
        again = []
        while requests:
            number = chance.choice(list(requests))
            try:
                response = respond(store, requests[number])
                requests[number] = running[number].send(response)
            except StopIteration as stop:
                answers[number] = stop.value
                del requests[number]
            except StaleWrite:  # the platform brings it again
                again.append((number, commands[number]))
                del requests[number]
        waiting = again
    return answers


def respond(store: Store, request: Any) -> Any:
    if isinstance(request, Read):
        return Found({key: store.get(key) for key in request.keys}, NOW)
    if isinstance(request, Commit):
        return store.commit(request.decision)
    return store.keep(request.refusal) if isinstance(request, Keep) else ()


def points(store: Store, owner: str) -> int:
    account = store.get(AccountKey(owner, "points"))
    return account.available(NOW.date()) if account else 0


@pytest.mark.parametrize("seed", range(10))
def test_of_twenty_spends_of_a_whole_balance_one_wins(seed: int) -> None:
    store = Store()
    interleaved(store, [command(c.Earn, 0, points=100, expires_on=None)], seed=seed)

    answers = interleaved(
        store, [command(c.Spend, number, points=100) for number in range(1, 21)], seed=seed
    )

    refusals = [each.refusal.code for each in answers if each and each.refusal]
    assert refusals == ["insufficient_points"] * 19
    assert points(store, "ann") == 0


@pytest.mark.parametrize("seed", range(10))
def test_of_twenty_gifts_of_a_whole_balance_one_arrives(seed: int) -> None:
    store = Store()
    interleaved(store, [command(c.Earn, 0, points=100, expires_on=None)], seed=seed)
    gifts = [
        command(c.Transfer, number, receiver=f"m{number}", points=100) for number in range(1, 21)
    ]

    interleaved(store, gifts, seed=seed)

    assert sum(points(store, f"m{number}") for number in range(1, 21)) == 100
    assert points(store, "ann") == 0


@pytest.mark.parametrize("seed", range(10))
def test_transfers_both_ways_end_and_lose_nothing(seed: int) -> None:
    store = Store()
    for number, owner in enumerate(("ann", "bo")):
        earn = command(c.Earn, number, owner, points=100, expires_on=None)
        interleaved(store, [earn], seed=seed)
    there = [command(c.Transfer, number, "ann", receiver="bo", points=7) for number in range(2, 12)]
    back = [command(c.Transfer, number, "bo", receiver="ann", points=7) for number in range(12, 22)]

    answers = interleaved(store, [*there, *back], seed=seed)

    assert all(answer and answer.entry for answer in answers)
    assert (points(store, "ann"), points(store, "bo")) == (100, 100)


@pytest.mark.parametrize("seed", range(10))
def test_parallel_refunds_of_one_sale_take_no_more_than_it_gave(seed: int) -> None:
    store = Store()
    sale = command(c.Earn, 0, points=100, expires_on=None)
    interleaved(store, [sale], seed=seed)
    refunds = [
        command(
            c.Reverse,
            number,
            reverses=sale.entry_id,
            document=f"refund:{number}",
            part=c.Exactly(points=30),
        )
        for number in range(1, 9)
    ]

    interleaved(store, refunds, seed=seed)

    assert points(store, "ann") == 10


@pytest.mark.parametrize("seed", range(20))
def test_a_hold_that_is_captured_and_released_at_once_is_resolved_once(seed: int) -> None:
    store = Store()
    interleaved(store, [command(c.Earn, 0, points=100, expires_on=None)], seed=seed)
    until = datetime(2026, 1, 6, tzinfo=UTC)
    hold = command(c.SetAside, 1, points=100, hold_expires_at=until)
    interleaved(store, [hold], seed=seed)

    answers = interleaved(
        store,
        [
            command(c.Capture, 2, hold_id=hold.entry_id, points=60),
            command(c.Release, 3, hold_id=hold.entry_id),
        ],
        seed=seed,
    )

    refused = [bool(answer and answer.refusal) for answer in answers]
    assert sorted(refused) == [False, True]
    assert points(store, "ann") == (40 if refused[1] else 100)


@pytest.mark.parametrize("seed", range(10))
def test_two_commands_of_one_id_at_once_have_one_effect(seed: int) -> None:
    store = Store()
    earn = command(c.Earn, 0, points=100, expires_on=None)

    answers = interleaved(store, [earn] * 5, seed=seed)

    assert points(store, "ann") == 100
    assert sorted(bool(answer and answer.repeated) for answer in answers) == [False] + [True] * 4
