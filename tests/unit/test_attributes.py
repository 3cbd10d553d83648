"""Plain values survive DynamoDB's spelling, and anything inexact is refused."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import given, settings
from hypothesis import strategies as st

from forecourt.attributes import decode, encode, from_item, to_item

SCALARS = st.none() | st.booleans() | st.integers(-(10**37), 10**37) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


class Colour(StrEnum):
    RED = "red"


@given(VALUES | st.binary(max_size=8))
def test_a_value_survives_encoding(value: Any) -> None:
    assert decode(encode(value)) == value


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_boto3_understands_what_was_encoded(values: dict[str, Any]) -> None:
    understood = TypeDeserializer().deserialize({"M": to_item(values)})

    assert understood == {name: value for name, value in values.items() if value is not None}


def test_a_boolean_is_no_number() -> None:
    assert encode(True) == {"BOOL": True}  # noqa: FBT003 - that is the case


def test_a_member_of_an_enumeration_is_its_text() -> None:
    assert encode(Colour.RED) == {"S": "red"}


def test_a_tuple_is_a_list() -> None:
    assert encode((1, "a")) == {"L": [{"N": "1"}, {"S": "a"}]}


def test_a_set_of_strings_is_a_set_again() -> None:
    assert encode(frozenset({"b", "a"})) == {"SS": ["a", "b"]}
    assert decode({"SS": ["b", "a"]}) == frozenset({"a", "b"})


def test_what_is_none_is_left_out_of_an_item() -> None:
    assert to_item({"a": None, "b": 0, "c": ""}) == {"b": {"N": "0"}, "c": {"S": ""}}
    assert from_item({"b": {"N": "0"}}) == {"b": 0}


@pytest.mark.parametrize("value", [1.0, Decimal(1), {1, 2}, object()], ids=type)
def test_a_float_is_never_stored(value: Any) -> None:
    with pytest.raises(TypeError):
        to_item({"amount_fen": value})


def test_a_kind_that_is_never_written_is_never_read() -> None:
    with pytest.raises(TypeError, match="NS"):
        decode({"NS": ["1"]})


def test_a_number_that_is_no_integer_is_never_read() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        decode({"N": "1.5"})
