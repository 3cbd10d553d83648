"""Values in registers: whatever is written is read back, and what cannot be a value is refused."""

from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt_edge.errors import RegisterFault
from forecourt_edge.registers import (
    RegisterType,
    WordOrder,
    decode_number,
    decode_text,
    encode_number,
    encode_text,
    reorder,
)

ORDERS = st.sampled_from(list(WordOrder))
SCALES = st.sampled_from([Decimal(1), Decimal("0.1"), Decimal("0.01"), Decimal("0.001")])


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (WordOrder.ABCD, [0x4234, 0xEB85]),
        (WordOrder.CDAB, [0xEB85, 0x4234]),
        (WordOrder.BADC, [0x3442, 0x85EB]),
        (WordOrder.DCBA, [0x85EB, 0x3442]),
    ],
)
def test_45_23_litres_are_found_in_every_word_order(order: WordOrder, words: list[int]) -> None:
    scale = Decimal("0.01")

    assert decode_number(words, RegisterType.F32, order, scale) == Decimal("45.23")
    assert encode_number(Decimal("45.23"), RegisterType.F32, 2, order, scale) == words


@given(st.integers(0, 2**32 - 1), ORDERS, SCALES)
def test_an_unsigned_value_comes_back(steps: int, order: WordOrder, scale: Decimal) -> None:
    words = encode_number(steps * scale, RegisterType.U32, 2, order, scale)

    assert decode_number(words, RegisterType.U32, order, scale) == steps * scale


@given(st.integers(-(2**31), 2**31 - 1), ORDERS)
def test_a_signed_value_comes_back(value: int, order: WordOrder) -> None:
    words = encode_number(value, RegisterType.I32, 2, order)

    assert decode_number(words, RegisterType.I32, order) == value


@given(st.integers(1, 6), st.data(), ORDERS)
def test_packed_decimals_come_back(words: int, data: st.DataObject, order: WordOrder) -> None:
    value = data.draw(st.integers(0, 10 ** (4 * words) - 1))

    encoded = encode_number(value, RegisterType.BCD, words, order)

    assert decode_number(encoded, RegisterType.BCD, order) == value


@given(st.integers(0, 9_999_999), ORDERS)
def test_a_float_of_up_to_seven_digits_comes_back_exactly(steps: int, order: WordOrder) -> None:
    value = steps * Decimal("0.01")
    words = encode_number(value, RegisterType.F32, 2, order, Decimal("0.01"))

    assert decode_number(words, RegisterType.F32, order, Decimal("0.01")) == value


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=24), ORDERS)
def test_text_comes_back_without_its_padding(text: str, order: WordOrder) -> None:
    assert decode_text(encode_text(text, 12, order), order) == text


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=6), ORDERS)
def test_reordering_twice_changes_nothing(words: list[int], order: WordOrder) -> None:
    assert reorder(reorder(words, order), order) == words


def test_a_single_register_has_no_word_order() -> None:
    for order in WordOrder:
        assert decode_number([0x1234], RegisterType.U16, order) == 0x1234


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (65_536, RegisterType.U16, 1),
        (-1, RegisterType.U32, 2),
        (2**31, RegisterType.I32, 2),
        (10_000, RegisterType.BCD, 1),
        (-1, RegisterType.BCD, 2),
        (2**24 + 1, RegisterType.F32, 2),
    ],
)
def test_a_value_that_does_not_fit_is_refused_not_cut(
    value: int, kind: RegisterType, words: int
) -> None:
    with pytest.raises(RegisterFault):
        encode_number(value, kind, words)


def test_a_value_between_two_steps_is_refused_not_rounded() -> None:
    with pytest.raises(RegisterFault):
        encode_number(Decimal("45.235"), RegisterType.U32, 2, scale=Decimal("0.01"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -3.2e26, 1e-30, 1e-8])
def test_a_float_no_meter_shows_is_refused(value: float) -> None:
    high, low = struct.unpack(">HH", struct.pack(">f", value))

    with pytest.raises(RegisterFault):
        decode_number([high, low], RegisterType.F32, scale=Decimal("0.01"))


@pytest.mark.parametrize("words", [[0x00A0], [0x1234, 0xF000]])
def test_nibbles_above_nine_are_no_decimals(words: list[int]) -> None:
    with pytest.raises(RegisterFault):
        decode_number(words, RegisterType.BCD)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(RegisterFault):
        decode_text([0x4107, 0x4200])
