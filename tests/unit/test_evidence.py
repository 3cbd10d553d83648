"""Ingest and matching spell evidence alike, and what is sealed is what was seen."""

from __future__ import annotations

import pytest

from forecourt.errors import InvalidIdentity
from forecourt.evidence import before_a_slip, evidence_from_document, evidence_to_document, spelling
from forecourt.identity import normalise
from forecourt.sales import Evidence, EvidenceKind, is_unsure


def seen(kind: EvidenceKind, value: str, *confidences: int) -> Evidence:
    return Evidence(kind=kind, value=value, character_confidences=confidences)


PHONE, PLATE = EvidenceKind.PHONE, EvidenceKind.PLATE


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (seen(PHONE, "+86 138-1234-5678"), "13812345678"),
        (seen(PHONE, "1381234567"), "1381234567"),
        (seen(PHONE, "１３８ 1234 56789"), "138123456789"),
        (seen(PLATE, "蓝浙A·IO123"), "浙A10123"),
        (seen(EvidenceKind.CARD, "6217 0012 3456"), "621700123456"),
        (
            seen(EvidenceKind.PAYMENT, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
            "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
        ),
    ],
)
def test_an_observation_has_one_spelling(evidence: Evidence, expected: str) -> None:
    assert spelling(evidence) == expected


@pytest.mark.parametrize("kind", EvidenceKind)
def test_what_can_be_bound_is_spelled_as_it_is_bound(kind: EvidenceKind) -> None:
    value = {"phone": "13812345678", "plate": "浙A12345"}.get(kind, "6217001234567")

    assert spelling(seen(kind, value)) == normalise(kind, value)


@pytest.mark.parametrize(
    "evidence",
    [
        seen(PHONE, "138"),
        seen(PHONE, "02087654321"),
        seen(PLATE, "unknown"),
        seen(EvidenceKind.CARD, "****1234"),
    ],
)
def test_what_no_single_slip_makes_an_identity_tells_nothing(evidence: Evidence) -> None:
    with pytest.raises(InvalidIdentity):
        spelling(evidence)
    assert before_a_slip(evidence) == ()


def test_a_phone_was_meant_a_slip_away() -> None:
    assert "13812345678" in before_a_slip(seen(PHONE, "13812345687"))
    assert "13812345678" in before_a_slip(seen(PHONE, "1381234567"))
    assert "13812345678" in before_a_slip(seen(PHONE, "138123456788"))


def test_the_character_a_camera_doubts_is_the_first_to_be_another() -> None:
    plain = before_a_slip(seen(PLATE, "浙A88123"))
    doubted = before_a_slip(seen(PLATE, "浙A88123", 99, 99, 99, 40, 99, 99, 99))

    assert set(doubted) >= {"浙A8B123", "浙A80123"}
    assert doubted[0][3] != "8"
    assert plain[0] != doubted[0]


def test_a_card_has_no_neighbours() -> None:
    assert before_a_slip(seen(EvidenceKind.CARD, "6217001234567")) == ()


@pytest.mark.parametrize(
    ("confidence", "unsure"), [(None, False), (90, False), (89, True), (0, True)]
)
def test_a_camera_doubts_below_ninety_percent(confidence: int | None, *, unsure: bool) -> None:
    assert is_unsure(confidence) is unsure


def test_what_is_sealed_opens_as_it_was_seen() -> None:
    evidence = (seen(PLATE, "浙A12345", 99, 98), seen(PHONE, "13812345678"))

    document = evidence_to_document(evidence)

    assert document == [["plate", "浙A12345", [99, 98]], ["phone", "13812345678"]]
    assert evidence_from_document(document) == evidence
