"""The tree is the one of RFC 6962, and a proof holds for what it proves and for nothing else."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.ledger.chain import content_of
from forecourt.ledger.daybook import Leaves, leaf_of
from forecourt.ledger.merkle import leaf_hash, node_hash, path_to, root_of
from tests.unit.books import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "docs" / "check_proof.py"

# The tree heads that certificate-transparency's own tests publish for these eight leaves.
CONTENTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_proof", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_proof = loaded()


def root_as_the_rfc_splits_it(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(
        root_as_the_rfc_splits_it(leaves[:split]), root_as_the_rfc_splits_it(leaves[split:])
    )


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


@pytest.mark.parametrize("size", range(1, len(ROOTS) + 1))
def test_the_root_is_the_published_one(size: int) -> None:
    assert root_of([leaf_hash(content) for content in CONTENTS[:size]]).hex() == ROOTS[size - 1]


def test_a_day_without_entries_has_the_hash_of_nothing() -> None:
    assert root_of([]) == sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 71))
def test_pairing_from_below_gives_the_tree_that_splitting_from_above_gives(size: int) -> None:
    assert root_of(leaves_of(size)) == root_as_the_rfc_splits_it(leaves_of(size))


@pytest.mark.parametrize("size", range(1, 71))
def test_every_leaf_of_a_tree_of_any_size_is_proved_and_no_other_by_its_path(size: int) -> None:
    leaves = leaves_of(size)
    root = root_of(leaves)

    for index, leaf in enumerate(leaves):
        path = path_to(leaves, index)
        assert check_proof.root_from(leaf, index=index, size=size, path=path) == root
        assert len(path) <= (size - 1).bit_length()
        stranger = leaf_hash(b"stranger")
        assert check_proof.root_from(stranger, index=index, size=size, path=path) != root


@given(size=st.integers(1, 70), data=st.data())
def test_a_path_with_a_changed_added_or_missing_step_proves_nothing(
    size: int, data: st.DataObject
) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = path_to(leaves, index)
    changed = data.draw(
        st.one_of(
            st.just([*path, leaves[0]]),
            *([st.just(path[:-1]), st.just(path[1:])] if path else []),
            *(
                st.just([*path[:at], bytes([path[at][0] ^ 1]) + path[at][1:], *path[at + 1 :]])
                for at in range(len(path))
            ),
        )
    )

    reached = check_proof.root_from(leaves[index], index=index, size=size, path=changed)

    assert reached != root_of(leaves)


def test_a_node_cannot_be_passed_off_as_a_leaf() -> None:
    left, right = leaves_of(2)

    assert leaf_hash(left + right) != node_hash(left, right)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_path_from_outside_the_tree(index: int) -> None:
    with pytest.raises(IndexError):
        path_to(leaves_of(3), index)
    assert check_proof.root_from(leaves_of(1)[0], index=index, size=3, path=[]) is None


@given(contents=st.sets(st.binary(max_size=4), max_size=40), stranger=st.binary(max_size=4))
def test_a_leaf_is_found_in_its_book_by_its_hash_alone(
    contents: set[bytes], stranger: bytes
) -> None:
    hashes = sorted(map(leaf_hash, contents))
    leaves = Leaves(b"".join(hashes))

    assert [leaves.index(each) for each in hashes] == list(range(len(hashes)))
    assert (leaves.index(leaf_hash(stranger)) is None) == (stranger not in contents)
    with pytest.raises(IndexError):
        leaves[len(hashes)]


def proof_document() -> dict[str, Any]:
    ledger = Ledger()
    entries = [ledger.earn(10), ledger.earn(20, source="加油"), ledger.spend(15)]
    hashes = sorted(map(leaf_of, entries))
    proof = Leaves(b"".join(hashes)).prove(leaf_of(entries[1]))
    assert proof is not None
    return {
        "business_day": "2026-01-05",
        "content": content_of(entries[1]),
        "index": proof.index,
        "size": proof.size,
        "path": [each.hex() for each in proof.path],
        "root": root_of(hashes).hex(),
    }


def checked(folder: Path, document: Any, *arguments: str) -> tuple[int, str]:
    """Run the script as somebody does who has nothing else of ours."""
    file = folder / "proof.json"
    file.write_text(json.dumps(document))
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(file), *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def test_the_script_accepts_a_proof_by_the_root_it_is_given(tmp_path: Path) -> None:
    document = proof_document()

    code, said = checked(tmp_path, document, "--root", document["root"].upper())

    assert (code, "is in the book of 2026-01-05" in said) == (0, True)
    assert "the proof's own" not in said


def test_the_script_warns_when_the_root_is_the_proofs_own(tmp_path: Path) -> None:
    code, said = checked(tmp_path, proof_document())

    assert (code, "Compare it" in said) == (0, True)


@pytest.mark.parametrize(
    "tamper",
    [
        {"path": []},
        {"root": "00" * 32},
        {"index": 2**40},
        {"content": ["ann", "other", {}]},
    ],
    ids=str,
)
def test_the_script_refuses_a_tampered_proof(tmp_path: Path, tamper: dict[str, Any]) -> None:
    document = proof_document()

    code, said = checked(tmp_path, document | tamper)

    assert (code, "NOT" in said) == (1, True)


def test_the_script_refuses_another_number_of_points(tmp_path: Path) -> None:
    document = proof_document()
    document["content"][2]["legs"][0][1] += 1

    assert checked(tmp_path, document)[0] == 1


@pytest.mark.parametrize(
    "document", [[], {}, "text", {**proof_document(), "path": ["no hash"]}], ids=str
)
def test_the_script_says_what_is_no_proof(tmp_path: Path, document: Any) -> None:
    assert checked(tmp_path, document)[0] == 2
