"""
Pictures small enough to draw without an imaging library.

A baseline grey JPEG in which every 8 × 8 block has one shade, so that only the block's mean
has to be coded. Any viewer and any parser takes it for what it is: a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STEP = 8  # Quantisation; 8 times a shade's distance from mid-grey is its block's mean term.
_MID_GREY = 128
_DARK, _LIGHT = 40, 215
_CHARACTER_ROWS = 6
_CHARACTER_COLUMNS = 4
_COMMENT_MAX = 65_533  # The length field of a segment is 16 bits and counts itself.

# ITU-T T.81, table K.3: how many codes of each length, and the sizes they stand for.
_DC_LENGTHS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_DC_SIZES = bytes(range(12))
# Of the other terms only "all further ones are zero" is needed: one code, the bit 0.
_AC_LENGTHS = bytes([1] + [0] * 15)
_AC_SIZES = bytes([0])
_END_OF_BLOCK = "0"


def plate_picture(plate: str) -> bytes:
    """Return a picture that differs from plate to plate, with the plate as its comment."""
    rows: list[list[int]] = [[_LIGHT] for _ in range(_CHARACTER_ROWS)]
    for character in plate:
        bits = f"{ord(character) * 2_654_435_761 & 0xFFFFFF:024b}"
        for row in range(_CHARACTER_ROWS):
            part = bits[row * _CHARACTER_COLUMNS : (row + 1) * _CHARACTER_COLUMNS]
            rows[row] += [_DARK if bit == "1" else _LIGHT for bit in part] + [_LIGHT]
    return grey_jpeg(rows, comment=plate)


def grey_jpeg(shades: Sequence[Sequence[int]], *, comment: str = "") -> bytes:
    """Return a JPEG with one 8 × 8 block per shade (0 black to 255 white), row by row."""
    height, width = 8 * len(shades), 8 * len(shades[0])
    frame = bytes([8]) + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xFE, comment.encode()[:_COMMENT_MAX]),
            _segment(0xDB, bytes([0]) + bytes([_STEP] * 64)),
            _segment(0xC0, frame + bytes([1, 1, 0x11, 0])),
            _segment(0xC4, bytes([0x00]) + _DC_LENGTHS + _DC_SIZES),
            _segment(0xC4, bytes([0x10]) + _AC_LENGTHS + _AC_SIZES),
            _segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
            _scan(shade for row in shades for shade in row),
            b"\xff\xd9",
        ]
    )


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def _scan(shades: Iterable[int]) -> bytes:
    """Code each block's difference to the one before it."""
    codes = _huffman_codes(_DC_LENGTHS, _DC_SIZES)
    bits: list[str] = []
    previous = 0
    for shade in shades:
        level = shade - _MID_GREY
        difference, previous = level - previous, level
        size = abs(difference).bit_length()
        # A negative difference is written as its value minus one, cut to the size.
        value = difference if difference > 0 else difference + (1 << size) - 1
        bits += [codes[size], f"{value:0{size}b}" if size else "", _END_OF_BLOCK]
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    packed = int(stream, 2).to_bytes(len(stream) // 8, "big")
    # 0xFF begins a marker; inside the scan it is followed by a zero.
    return packed.replace(b"\xff", b"\xff\x00")


def _huffman_codes(lengths: bytes, symbols: bytes) -> dict[int, str]:
    codes: dict[int, str] = {}
    code = index = 0
    for bits, count in enumerate(lengths, start=1):
        for symbol in symbols[index : index + count]:
            codes[symbol] = f"{code:0{bits}b}"
            code += 1
        index += count
        code <<= 1
    return codes
