"""One spelling for each identity, a keyed hash for each spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.errors import InvalidIdentity
from forecourt.identity import PROVINCES, digest, digest_of_block, mask, normalise
from forecourt.sales import EvidenceKind

PLATE, PHONE, CARD = EvidenceKind.PLATE, EvidenceKind.PHONE, EvidenceKind.CARD
PAYMENT, ETC_TAG = EvidenceKind.PAYMENT, EvidenceKind.ETC_TAG

SERIAL = st.text(alphabet="ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=5, max_size=5)


def refusal(kind: EvidenceKind, value: str) -> str:
    with pytest.raises(InvalidIdentity) as caught:
        normalise(kind, value)
    assert value not in str(caught.value) or not value
    return caught.value.reason


@pytest.mark.parametrize("province", PROVINCES)
def test_plates_of_every_province_are_plates(province: str) -> None:
    assert normalise(PLATE, f"{province}A12345") == f"{province}A12345"


@pytest.mark.parametrize("province", PROVINCES)
@pytest.mark.parametrize("colour", ["蓝", "黄色", "绿", "白", "黑", "黑色", "黄绿", "渐变绿"])
def test_a_cameras_colour_prefix_goes_whatever_the_province(province: str, colour: str) -> None:
    assert normalise(PLATE, f"{colour}{province}A12345") == f"{province}A12345"


def test_there_are_thirty_one_provinces() -> None:
    assert len(set(PROVINCES)) == 31


@given(province=st.sampled_from(PROVINCES), serial=SERIAL)
def test_a_normalised_plate_stays_as_it_is(province: str, serial: str) -> None:
    plate = normalise(PLATE, f"{province}B{serial}")

    assert normalise(PLATE, plate) == plate


@pytest.mark.parametrize(
    ("spelling", "plate"),
    [
        ("浙A·12345", "浙A12345"),
        ("浙A•12345", "浙A12345"),
        ("浙A・12345", "浙A12345"),
        ("浙A･12345", "浙A12345"),
        ("浙A-12345", "浙A12345"),
        ("浙A–12345", "浙A12345"),
        (" 浙A 12345\u3000", "浙A12345"),
        ("浙ａ１２３４５", "浙A12345"),
        ("浙Ａ·１２３４５", "浙A12345"),
        ("蓝 浙A12345", "浙A12345"),
        ("浙A1234学", "浙A1234学"),
        ("浙A1234警", "浙A1234警"),
        ("粤Z1234港", "粤Z1234港"),
        ("粤Z1234澳", "粤Z1234澳"),
        ("京A1234领", "京A1234领"),
        ("浙AD12345", "浙AD12345"),
        ("浙AF12345", "浙AF12345"),
        ("浙AKZ2345", "浙AKZ2345"),
        ("浙A12345D", "浙A12345D"),
        ("wj浙1234x", "WJ浙1234X"),
        ("WJ12345", "WJ12345"),
        ("224001使", "224001使"),
        ("黑224001使", "224001使"),
        ("使224001", "使224001"),
    ],
)
def test_a_plate_has_one_spelling(spelling: str, plate: str) -> None:
    assert normalise(PLATE, spelling) == plate


@pytest.mark.parametrize(
    "value",
    [
        *("", "A12345", "浙12345", "浙A1234", "浙A1234I", "浙A1234O", "浙A123456", "浙AI12345"),
        *("浙AD1234A5", "浙A12345L", "无牌车", "蓝A12345", "台A12345", "浙A12345浙A12345"),
        "浙A•••45",
    ],
)
def test_what_no_plate_looks_like_is_refused(value: str) -> None:
    assert refusal(PLATE, value) == "not_well_formed"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (PLATE, "浙A***45"),
        (PHONE, "138****5678"),
        (CARD, "****123456"),
        (CARD, "＊＊＊＊123456"),
        (CARD, "••••123456"),
        (CARD, "●●●●123456"),
        (CARD, "····123456"),
        (CARD, "----123456"),
        (CARD, "…123456"),
        (CARD, "621700XXXXXX7890"),
        (CARD, "xxxx123456"),
        (ETC_TAG, "xxxxxxxx12345678"),
        (PAYMENT, "oX***********abc"),
    ],
)
def test_a_masked_value_is_no_identity(kind: EvidenceKind, value: str) -> None:
    assert refusal(kind, value) == "masked"


@pytest.mark.parametrize(
    "spelling",
    [
        *("13812345678", "+86 138 1234 5678", "0086-138-1234-5678", "8613812345678"),
        *("１３８１２３４５６７８", "138.1234.5678", " 13812345678\n"),
    ],
)
def test_a_phone_number_has_one_spelling(spelling: str) -> None:
    assert normalise(PHONE, spelling) == "13812345678"


@pytest.mark.parametrize(
    "value",
    [
        *("", "12812345678", "1381234567", "138123456789", "+8513812345678", "23812345678"),
        *("13٨12345678", "138••••5678", "86138123456789"),
    ],
)
def test_what_is_no_mobile_number_is_refused(value: str) -> None:
    assert refusal(PHONE, value) == "not_well_formed"


@pytest.mark.parametrize(
    ("kind", "spelling", "normal"),
    [
        (CARD, "6217 0012-3456.7890", "6217001234567890"),
        (CARD, "ab12cd", "AB12CD"),
        (CARD, "A" * 32, "A" * 32),
        (ETC_TAG, "３３０１ 2345 6789 0123 4567", "33012345678901234567"),
        (PAYMENT, "oXy_7-AbCdEfGh", "oXy_7-AbCdEfGh"),
        (PAYMENT, "xxxxAAAA", "xxxxAAAA"),
    ],
)
def test_cards_ignore_case_and_payment_accounts_do_not(
    kind: EvidenceKind, spelling: str, normal: str
) -> None:
    assert normalise(kind, spelling) == normal


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (CARD, "12345"),
        (CARD, "A" * 33),
        (CARD, "62170012345678é0"),
        (ETC_TAG, ""),
        (PAYMENT, "abc"),
        (PAYMENT, "a" * 65),
        (PAYMENT, "openid with spaces"),
    ],
)
def test_a_value_too_short_too_long_or_of_other_characters_is_refused(
    kind: EvidenceKind, value: str
) -> None:
    assert refusal(kind, value) == "not_well_formed"


@given(kind=st.sampled_from(EvidenceKind), value=st.text(max_size=64))
def test_any_text_is_normalised_for_good_or_refused(kind: EvidenceKind, value: str) -> None:
    try:
        normal = normalise(kind, value)
    except InvalidIdentity:
        return

    assert normalise(kind, normal) == normal


def test_a_digest_is_the_hmac_of_kind_and_value_cut_to_128_bits() -> None:
    # printf 'plate:浙A12345' | openssl dgst -sha256 -hmac secret -binary | head -c 16 | base64
    assert digest(b"secret", PLATE, "浙A12345") == "4m-W-HqlB7ZqajeKFU3mOQ"


def test_kind_value_and_secret_all_decide_the_digest() -> None:
    digests = {
        digest(secret, kind, value)
        for secret in (b"one", b"other")
        for kind in (CARD, PAYMENT)
        for value in ("ABCDEF", "ABCDEG")
    }

    assert len(digests) == 8


@pytest.mark.parametrize(
    ("value", "masked"),
    [("浙A12345", "浙A***45"), ("13812345678", "13*******78"), ("ABCDEF", "A****F")],
)
def test_a_mask_shows_its_owner_enough(value: str, masked: str) -> None:
    assert mask(value) == masked


def test_a_block_is_hashed_apart_from_phones_and_under_the_secret() -> None:
    block = digest_of_block(b"secret", "1381234")

    assert block == digest_of_block(b"secret", "1381234")
    assert block not in {
        digest_of_block(b"another", "1381234"),
        digest_of_block(b"secret", "1381235"),
        digest(b"secret", EvidenceKind.PHONE, "1381234"),
    }
