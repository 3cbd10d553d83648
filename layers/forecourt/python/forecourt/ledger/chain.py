"""
The chain: every entry's digest covers its content and the digest before it.

An entry that was edited, left out or put in afterwards does not fit its neighbours any more.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from forecourt.ledger.canonical import canonical
from forecourt.ledger.records import entry_to_record
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecourt.ledger.entries import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Where a chain does not hold, and why."""

    entry_id: str
    account_version: int
    reason: str


def seal(entry: Entry) -> Entry:
    """Return *entry* with its digest: SHA-256 over owner, id, content and `previous`."""
    return replace(entry, digest=digest_of(entry))


def digest_of(entry: Entry) -> str:
    """Return the digest *entry* ought to have, in hexadecimal."""
    return sha256(canonical(content_of(entry))).hexdigest()


def intact(entry: Entry) -> bool:
    """Return whether *entry* says what it said when it was posted; older ones had no digest."""
    return not entry.digest or entry.digest == digest_of(entry)


def content_of(entry: Entry) -> list[Any]:
    """Return all that *entry* says, its place in the chain included: what is hashed."""
    return [entry.member_id, entry.entry_id, entry_to_record(entry)]


def faults(entries: Iterable[Entry]) -> list[Fault]:
    """
    Return where the entries of one account do not follow from each other.

    Entries older than the chain have no digest; once one has, all later ones must.
    """
    found: list[Fault] = []
    previous, version = "", 0
    for entry in sorted(entries, key=lambda entry: entry.account_version):
        version += 1
        reason = None
        if entry.account_version != version:
            reason = "version"
            version = entry.account_version
        elif entry.previous != previous:
            reason = "previous"
        elif (entry.digest or previous) and entry.digest != digest_of(entry):
            reason = "digest"
        if reason:
            found.append(Fault(entry_id=entry.entry_id, account_version=version, reason=reason))
        previous = entry.digest
    return found
