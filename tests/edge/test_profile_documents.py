"""Profiles as data: the built-in ones hold together, and a wrong one names its field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt_edge.errors import InvalidConfig, ProfileMismatch, RegisterFault
from forecourt_edge.layout import (
    Transaction,
    decode_transaction,
    encode_transaction,
)
from forecourt_edge.plausibility import checked_transaction, litres_between
from forecourt_edge.profile import Profile, load_profile
from forecourt_edge.registers import READ_REGISTERS_MAX, WordOrder

if TYPE_CHECKING:
    from pathlib import Path

BUILT_IN = sorted(
    path.name.removesuffix(".json")
    for path in (resources.files("forecourt_edge") / "profiles").iterdir()
)
SOLD_AT = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
SOLD = Transaction(
    transaction=4711,
    grade_code=2,
    started_at=SOLD_AT,
    completed_at=SOLD_AT,
    unit_price_milli_per_litre=7560,
    volume_ml=39_990,
    amount_fen=30_232,
    totalizer_ml=123_456_780,
)


def document(name: str = "forecourt-controller") -> dict[str, Any]:
    source = resources.files("forecourt_edge") / "profiles" / f"{name}.json"
    loaded: dict[str, Any] = json.loads(source.read_text("utf-8"))
    return loaded


def floating() -> Profile:
    """Return a profile whose meters speak float32, as flow computers do."""
    changed = document()
    for field in ("unit_price", "volume", "amount"):
        changed["ring"]["record"][field]["type"] = "f32"
    return Profile.model_validate(changed)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_profile_loads_and_every_block_is_one_read(name: str) -> None:
    profile = load_profile(name)

    blocks = (profile.controller, profile.status, profile.command, profile.ring.record)
    assert all(block.length <= READ_REGISTERS_MAX for block in blocks)
    assert profile.name == name


TRANSACTIONS = st.builds(
    Transaction,
    transaction=st.integers(1, 65_535),
    grade_code=st.integers(0, 65_535),
    started_at=st.none() | st.just(SOLD_AT),
    completed_at=st.none() | st.just(SOLD_AT),
    unit_price_milli_per_litre=st.integers(0, 50_000),
    volume_ml=st.integers(0, 200_000).map(lambda steps: steps * 10),
    amount_fen=st.integers(0, 3_000_000),
    totalizer_ml=st.integers(0, 2**32 - 1).map(lambda steps: steps * 10),
    test_delivery=st.booleans(),
    offline=st.booleans(),
    card=st.text("ABC0123456789-", max_size=20),
)


@pytest.mark.parametrize("name", BUILT_IN)
@given(sold=TRANSACTIONS)
def test_a_record_comes_back_as_it_was_written(name: str, sold: Transaction) -> None:
    profile = load_profile(name)

    assert decode_transaction(profile, encode_transaction(profile, sold)) == sold


@pytest.mark.parametrize("profile", [*map(load_profile, BUILT_IN), floating()])
@pytest.mark.parametrize("volume_ml", [10, 1_000, 39_990, 65_540, 999_990])
def test_every_wrong_word_order_of_a_sale_is_noticed(profile: Profile, volume_ml: int) -> None:
    """No sale may be taken over with figures from swapped words, whatever its size."""
    amount_fen = (volume_ml * 7560 + 5_000) // 10_000
    sold = Transaction(
        transaction=1,
        grade_code=2,
        started_at=SOLD_AT,
        completed_at=SOLD_AT,
        unit_price_milli_per_litre=7560,
        volume_ml=volume_ml,
        amount_fen=amount_fen,
        totalizer_ml=123_456_780,
    )
    words = encode_transaction(profile, sold)

    assert checked_transaction(profile, words) == sold
    for order in WordOrder:
        if order is profile.word_order:
            continue
        wrong = profile.model_copy(update={"word_order": order})
        with pytest.raises(ProfileMismatch) as caught:
            checked_transaction(wrong, words)
        assert caught.value.fitting_order == profile.word_order


def test_nonsense_in_every_order_is_the_records_fault_not_the_profiles() -> None:
    profile = load_profile("forecourt-controller")
    words = [0xFFFF] * profile.ring.record.length

    with pytest.raises(RegisterFault):
        checked_transaction(profile, words)


@pytest.mark.parametrize(
    ("before", "sold", "after", "missing"),
    [
        (100_000, 20_000, 120_000, 0),
        (100_000, 20_000, 120_010, 0),
        (100_000, 20_000, 150_000, 30_000),
        (100_000, 20_000, 50_000, -70_000),
        (2**32 * 10 - 5_000, 20_000, 15_000, 0),
    ],
)
def test_the_totalizer_tells_what_no_sale_explains(
    before: int, sold: int, after: int, missing: int
) -> None:
    profile = load_profile("forecourt-controller")

    assert litres_between(profile, before, sold, after) == missing


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("word_order",), "ABDC", "word_order"),
        (("status", "stride"), 6, "status"),
        (("status", "state", "type"), "u8", "status.state.type"),
        (("status", "totalizer", "type"), "f32", "totalizer"),
        (("status", "transaction", "type"), "u32", "status"),
        (("ring", "size"), 2_000, "ring"),
        (("ring", "record", "volume", "address"), 6, "ring.record"),
        (("ring", "record", "amount", "scale"), "0.001", "record.amount"),
        (("ring", "record", "card", "words"), 0, "ring.record.card"),
        (("controller", "address"), 60, "controller and status overlap"),
        (("controller", "clock", "colour"), 1, "controller.clock.colour"),
        (("times", "zone"), "Asia/Atlantis", "times.zone"),
        (("states", "9"), "sleeping", "states.9"),
    ],
)
def test_a_wrong_profile_names_the_field(
    tmp_path: Path, path: tuple[str, ...], value: object, named: str
) -> None:
    changed = document()
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(changed), "utf-8")

    with pytest.raises(InvalidConfig) as caught:
        load_profile(file)

    assert named in "; ".join(caught.value.findings)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\u0000"])
def test_a_file_that_is_no_profile_says_so(tmp_path: Path, content: str) -> None:
    file = tmp_path / "profile.json"
    file.write_text(content, "utf-8")

    with pytest.raises(InvalidConfig):
        load_profile(file)


def test_a_profile_nobody_wrote_is_named() -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_profile("no-such-pump")

    assert caught.value.source == "no-such-pump"


@given(st.integers(0, 65_535), st.integers(1, 65_535))
def test_the_distance_is_the_number_of_steps_to_the_head(cursor: int, head: int) -> None:
    profile = load_profile("forecourt-controller")
    steps = profile.distance(cursor, head)

    if cursor == 0:
        assert steps == head
    else:
        assert (cursor + steps - head) % 65_535 == 0
        assert 0 <= steps < 65_535
