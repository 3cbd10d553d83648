#!/usr/bin/env python3
"""
Check that an entry is in the book of a closed day. Needs nothing but Python 3.

    python check_proof.py proof.json --root 5f3a...

`proof.json` is what the API answers to GET /members/{member_id}/entries/{entry_id}/proof.
The root is the one you were told of that day by somebody you trust more than the API: the event
DayClosed, or book.json in the bucket of closed days. Without --root you learn no more than
that the proof agrees with itself.

Ends with 0 when the proof holds, 1 when it does not, and 2 when it cannot be read.

A leaf is SHA-256 over a zero byte and the entry's content as JSON: keys sorted, no spaces, UTF-8.
A node is SHA-256 over a one byte and its two children (RFC 6962, section 2.1). The path is walked
as RFC 9162, section 2.1.3.2 says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import sys
from typing import Any


def leaf_of(content: Any) -> bytes:
    """Return the hash of an entry's content."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"\x00" + text.encode("utf-8")).digest()


def root_from(leaf: bytes, *, index: int, size: int, path: list[bytes]) -> bytes | None:
    """Return the root that *path* leads to, or None when it has not the right length."""
    if not 0 <= index < size:
        return None
    here, last, reached = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if here % 2 or here == last:
            reached = hashlib.sha256(b"\x01" + step + reached).digest()
            while here and not here % 2:
                here, last = here // 2, last // 2
        else:
            reached = hashlib.sha256(b"\x01" + reached + step).digest()
        here, last = here // 2, last // 2
    return reached if last == 0 else None


def holds(proof: dict[str, Any], *, root: str) -> bool:
    """Return whether *proof* leads from its content to *root*."""
    reached = root_from(
        leaf_of(proof["content"]),
        index=proof["index"],
        size=proof["size"],
        path=[bytes.fromhex(step) for step in proof["path"]],
    )
    return reached is not None and reached.hex() == root.lower()


def main() -> int:
    """Check the proof named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proof", help="the file with the proof")
    parser.add_argument("--root", help="the root of that day, from somewhere else")
    options = parser.parse_args()
    try:
        proof = json.loads(pathlib.Path(options.proof).read_text(encoding="utf-8"))
        good = holds(proof, root=options.root or proof["root"])
        member_id, entry_id, _ = proof["content"]
        day = proof["business_day"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.stdout.write(f"This is no proof: {error!r}\n")
        return 2
    if not good:
        sys.stdout.write(f"The proof does NOT hold: not in the book of {day} with that root.\n")
        return 1
    sys.stdout.write(f"Entry {entry_id} of {member_id} is in the book of {day}.\n")
    if not options.root:
        sys.stdout.write("The root was the proof's own. Compare it with the one you were told.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
