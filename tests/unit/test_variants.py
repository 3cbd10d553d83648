from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.errors import InvalidIdentity
from forecourt.identity import normalise
from forecourt.sales import EvidenceKind
from forecourt.variants import (
    PHONE_KEYS_MAX,
    PLATE_VARIANTS_MAX,
    meant_phones,
    phone_block,
    phone_neighbours,
    plate_variants,
    read_plate,
)

PHONES = st.from_regex(re.compile(r"1[3-9][0-9]{9}", re.ASCII), fullmatch=True)
PLATES = st.from_regex(re.compile(r"[京浙云皖][A-HJ-NP-Z][A-HJ-NP-Z0-9]{5}"), fullmatch=True)


@given(PHONES, st.integers(1, 10), st.sampled_from("0123456789"))
def test_every_substitution_of_one_digit_is_a_neighbour_in_both_directions(
    phone: str, place: int, digit: str
) -> None:
    typed = phone[:place] + digit + phone[place + 1 :]

    assert typed == phone or (typed in phone_neighbours(phone) and phone in phone_neighbours(typed))


@given(PHONES, st.integers(1, 9))
def test_every_swap_of_adjacent_digits_is_a_neighbour(phone: str, place: int) -> None:
    typed = phone[:place] + phone[place + 1] + phone[place] + phone[place + 2 :]

    assert typed == phone or typed in phone_neighbours(phone)


@given(PHONES)
def test_a_phone_and_its_neighbours_fit_into_one_batch(phone: str) -> None:
    keys = meant_phones(phone)

    assert keys[0] == phone
    assert len(keys) == len(set(keys)) <= PHONE_KEYS_MAX


def test_a_number_without_equal_neighbouring_digits_has_exactly_99_neighbours() -> None:
    assert len(phone_neighbours("13812345678")) == 99


@given(PHONES, st.integers(1, 10))
def test_a_missing_digit_is_found_with_at_most_91_keys(phone: str, place: int) -> None:
    meant = meant_phones(phone[:place] + phone[place + 1 :])

    assert phone in meant
    assert len(meant) <= 91


@given(PHONES, st.integers(1, 10))
def test_a_doubled_digit_is_found_with_at_most_11_keys(phone: str, place: int) -> None:
    meant = meant_phones(phone[:place] + phone[place] + phone[place:])

    assert phone in meant
    assert len(meant) <= 11


def test_full_width_digits_and_a_country_code_are_no_typing_errors() -> None:
    assert meant_phones("＋86 １３８-1234-5678")[0] == "13812345678"


@pytest.mark.parametrize("typed", ["", "138", "021-6543 2100", "1381234****", "9381234567"])
def test_what_no_single_slip_makes_a_mobile_number_is_refused(typed: str) -> None:
    with pytest.raises(InvalidIdentity):
        meant_phones(typed)


def test_a_block_has_ten_thousand_numbers() -> None:
    assert phone_block("13812345678") == "1381234"


@pytest.mark.parametrize(
    ("told", "plate"),
    [
        ("蓝浙A12345", "浙A12345"),
        ("绿色浙AD12345", "浙AD12345"),
        ("渐变绿浙AD12345", "浙AD12345"),
        ("黄绿浙A12345D", "浙A12345D"),
        ("浙A·1234O", "浙A12340"),
        ("浙Ａ Ｉ２３４５", "浙A12345"),
        ("象A12345", "豫A12345"),
        ("WJ浙1234X", "WJ浙1234X"),
        ("123456使", "123456使"),
    ],
)
def test_a_plate_has_one_spelling_however_the_camera_writes_it(told: str, plate: str) -> None:
    assert read_plate(told) == plate


@pytest.mark.parametrize("told", ["", "_无_", "浙A1234", "浙A1234567"])
def test_what_the_grammar_forbids_is_no_plate(told: str) -> None:
    with pytest.raises(InvalidIdentity):
        read_plate(told)


@given(PLATES)
def test_variants_are_plates_few_and_never_the_plate_itself(plate: str) -> None:
    variants = plate_variants(plate, [50] * len(plate))

    assert plate not in variants
    assert len(variants) <= PLATE_VARIANTS_MAX
    assert all(normalise(EvidenceKind.PLATE, each) == each for each in variants)


@pytest.mark.parametrize(("read", "true"), [("云A12345", "皖A12345"), ("浙A8888B", "浙A88888")])
def test_a_confusion_of_one_character_is_among_the_variants(read: str, true: str) -> None:
    assert true in plate_variants(read)


def test_the_least_sure_character_is_doubted_first() -> None:
    variants = plate_variants("浙A80123", [99, 99, 99, 40, 99, 99, 99])

    assert variants[:3] == ("浙A8D123", "浙A8Q123", "浙A88123")


def test_two_unsure_characters_may_both_be_wrong() -> None:
    assert "浙AB0D23" in plate_variants("浙A80023", [99, 99, 40, 99, 50, 99, 99])


def test_confidences_of_another_length_are_not_believed() -> None:
    assert plate_variants("浙A80123", [1]) == plate_variants("浙A80123")
