"""
Identities: a plate, phone, card, payment account or ETC tag as a keyed hash.

A value is normalised, then hashed with HMAC-SHA256 (RFC 2104) under the operator's secret.
Only the hash is ever a key; equal values meet by an exact look-up, and whoever copies the
table learns neither plates nor phone numbers.

Plate grammar: GA 36-2018 of the Ministry of Public Security. Its serial leaves I and O out;
its new-energy form has eight characters, with a type letter from A to K without I.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from typing import assert_never

from forecourt.errors import InvalidIdentity
from forecourt.sales import EvidenceKind

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"

_SERIAL = "A-HJ-NP-Z0-9"
_PLATE = re.compile(
    rf"[{PROVINCES}][A-Z](?:"
    rf"[{_SERIAL}]{{5}}"  # ordinary
    rf"|[{_SERIAL}]{{4}}[学警挂港澳使领]"  # school, police, trailer, consulate ...
    r"|[A-HJK][A-HJ-NP-Z0-9][0-9]{4}"  # new energy, small car
    r"|[0-9]{5}[A-HJK]"  # new energy, large vehicle
    r")"
    rf"|WJ[{PROVINCES}]?[0-9]{{4}}[0-9A-Z]"  # armed police
    r"|[0-9]{6}使|使[0-9]{6}"  # embassy
)
# 黑 is a colour and a province: it is a prefix only where a plate still follows.
_COLOURS = re.compile(rf"^(?:渐变绿|黄绿|[蓝黄绿白黑])色?(?=[{PROVINCES}]|WJ|使|[0-9])")
_PHONE = re.compile(r"1[3-9][0-9]{9}")
_COUNTRY = re.compile(r"^(?:\+|00)?86(?=[0-9]{11}$)")
_CARD = re.compile(r"[0-9A-Z]{6,32}")
_TOKEN = re.compile(r"[0-9A-Za-z_-]{6,64}")
_SEPARATORS = re.compile(r"[\s·•・.\-‐-―]+")
_MASK = re.compile(r"[*•●]|([·・.\-‐-―])\1\1|X{4}")  # what tills put over a card's digits

DIGEST_BYTES = 16  # 128 bits: no accidental meeting among all plates and phones there are


def normalise(kind: EvidenceKind, value: str) -> str:
    """
    Return the one spelling of *value*; raise `InvalidIdentity` when it cannot be a *kind*.

    Full-width characters become ordinary ones, separators go, a camera's colour prefix
    goes. A masked value (`****1234`, `••••1234`) is refused: it stands for many cards at once.
    """
    text = unicodedata.normalize("NFKC", value).strip()
    if "*" in text:
        raise InvalidIdentity(kind=kind, reason="masked")
    match kind:
        case EvidenceKind.PLATE:
            text = _COLOURS.sub("", _SEPARATORS.sub("", text).upper())
            pattern = _PLATE
        case EvidenceKind.PHONE:
            text = _COUNTRY.sub("", _SEPARATORS.sub("", text))
            pattern = _PHONE
        case EvidenceKind.CARD | EvidenceKind.ETC_TAG:
            if _MASK.search(text.upper()):
                raise InvalidIdentity(kind=kind, reason="masked")
            text = _SEPARATORS.sub("", text).upper()
            pattern = _CARD
        case EvidenceKind.PAYMENT:
            pattern = _TOKEN
        case _:
            assert_never(kind)
    if not pattern.fullmatch(text):
        raise InvalidIdentity(kind=kind, reason="not_well_formed")
    return text


def digest(secret: bytes, kind: EvidenceKind, normalised: str) -> str:
    """Return the key under which *normalised* is looked up: 22 URL-safe characters."""
    return _keyed_hash(secret, f"{kind}:{normalised}")


def digest_of_block(secret: bytes, block: str) -> str:
    """
    Return the key under which the numbers of a *block* are counted.

    A block (`variants.phone_block`) has seven digits: without the secret all of them are tried
    in a second. Hashed apart from phones, so that a block is never taken for one.
    """
    return _keyed_hash(secret, f"block:{block}")


def _keyed_hash(secret: bytes, text: str) -> str:
    code = hmac.digest(secret, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(code[:DIGEST_BYTES]).rstrip(b"=").decode()


def mask(value: str) -> str:
    """Return *value* with its middle hidden, to be recognised by its owner only."""
    shown = 2 if len(value) > 6 else 1  # noqa: PLR2004
    return value[:shown] + "*" * (len(value) - 2 * shown) + value[-shown:]
