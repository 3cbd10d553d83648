"""Cursors lead on in the list they were made for, and nowhere else."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.door_errors import InvalidCursor


def forged(content: bytes, *, scope: str) -> str:
    """Return what somebody makes who knows how cursors are made."""
    check = hashlib.sha256(scope.encode() + b"\n" + content).digest()[:9]
    return base64.urlsafe_b64encode(check + content).rstrip(b"=").decode()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4), st.text("ab/"))
def test_a_cursor_leads_back_to_its_position(position: list[str], scope: str) -> None:
    assert read_cursor(make_cursor(position, scope=scope), scope=scope, parts=len(position)) == (
        position
    )


@given(st.data())
def test_a_cursor_that_was_altered_anywhere_is_refused(data: st.DataObject) -> None:
    cursor = make_cursor(["20261123T081500Z.s0001"], scope="entries/m-1")
    at = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda each: each != cursor[at]))

    with pytest.raises(InvalidCursor):
        read_cursor(cursor[:at] + letter + cursor[at + 1 :], scope="entries/m-1", parts=1)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(text, scope="entries/m-1", parts=1)


def test_a_cursor_belongs_to_its_list() -> None:
    cursor = make_cursor(["a"], scope="entries/m-1")

    with pytest.raises(InvalidCursor):
        read_cursor(cursor, scope="entries/m-2", parts=1)


@pytest.mark.parametrize("content", [b"5", b"{}", b"[5]", b'["a","b"]', b'[ "a"]', b"[" * 700])
def test_a_forged_position_of_another_shape_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(forged(content, scope="s"), scope="s", parts=1)


def test_the_longest_position_fits() -> None:
    station_id = "s" * 32
    sale_id = f"20261123T081500Z.{station_id}.{'S' * 24}.999.4294967295.10000000000000"
    position = [f"STATION#{station_id}", f"SALE#{sale_id}", "2026-11-23T08:15:00.123456Z"]

    assert len(make_cursor(position, scope="sales/held")) <= MAX_CURSOR_LENGTH
