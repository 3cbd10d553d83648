"""
No event names anybody: the bus keeps them for months, and who was forgotten is in them by id only.

An id says nothing once the profile behind it is destroyed; a hash needs the secret and a value
to compare with.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from forecourt.bus import DetailType
from forecourt.events import events_of
from tests.functional.conftest import LOYALTY_TABLE
from tests.functional.erasure.farewell import PERSONAL
from tests.functional.functions import DESCRIBED
from tests.functional.test_relay import CAUSES
from tests.specimens import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.world import World

# What may be any text in an event, and why it names nobody.
IDS = {
    *("member_id", "into", "members", "taken_from"),  # of accounts, whose profile can be destroyed
    *("actor", "asked_by", "decided_by", "answered_by", "opened_by"),  # subjects of tokens
    *("sale_id", "entry_id", "adjustment_id", "run_id", "before", "after"),
    *("wallet", "not_at_zero"),  # accounts of the program
}
WORDS = {"reason"}  # a word of the company's own list, as the doors see to
NAMES = ("Li Lei", "Han Meimei", "Li Tao")


def texts(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what may be text below *schema*, by the name of its property; objects are closed."""
    for each in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from texts(name, each)
    if "items" in schema:
        yield from texts(name, schema["items"])
    if "properties" in schema:
        assert schema["additionalProperties"] is False, name
    for inner, each in schema.get("properties", {}).items():
        yield from texts(inner, each)
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    if "string" in ([kinds] if isinstance(kinds, str) else kinds) and "oneOf" not in schema:
        yield name, schema


@pytest.mark.parametrize("detail_type", DetailType)
def test_what_may_be_any_text_in_an_event_is_an_id_or_a_word(detail_type: DetailType) -> None:
    detail = sample(f"bus/{detail_type}.schema")["properties"]["detail"]
    bounded = {"enum", "const", "format", "pattern"}

    free = {name for name, schema in texts("detail", detail) if not bounded & schema.keys()}

    assert free <= IDS | WORDS


@pytest.mark.parametrize("detail_type", DetailType)
def test_an_event_says_nothing_of_whom_it_is_about_in_clear(
    world: World, detail_type: DetailType
) -> None:
    CAUSES[detail_type](world)
    events = [
        dict(each.detail) for record in world.records(LOYALTY_TABLE) for each in events_of(record)
    ]

    assert events
    said = json.dumps(events, ensure_ascii=False)
    for personal in (*NAMES, *(each.value for each in PERSONAL)):
        assert personal not in said


def test_a_reason_is_a_word_at_every_door() -> None:
    reasons = {
        name: schema["properties"]["reason"]
        for name, schema in DESCRIBED["components"]["schemas"].items()
        if "reason" in schema.get("properties", {}) and not name.endswith("View")
    }

    assert len(reasons) >= 4
    for name, schema in reasons.items():
        pattern = re.compile(schema["pattern"])
        for sentence in ("Li Lei was here", "13812345678", "浙A12345", "Li"):
            assert not pattern.search(sentence), name
