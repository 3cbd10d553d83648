"""Events of members: who they are, who is one of two, and which sales are theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.attributes import from_item
from forecourt.bus import DetailType, after, at_first, event
from forecourt.merges import Stage, merge_from_item
from forecourt.stored_identities import evidence_key_from_item
from forecourt.stored_rulings import ruling_from_item

if TYPE_CHECKING:
    from forecourt.bus import Derivation, Event, Image


def _member(new: Image | None, old: Image | None) -> list[Event]:
    if new is None:
        return []
    member_id = after(new, "pk")
    version = from_item(new)["version"]
    kind = DetailType.MEMBER_ENROLLED if old is None else DetailType.MEMBER_CHANGED
    if old is not None and new["status"] == {"S": "erasing"} != old["status"]:
        kind = DetailType.MEMBER_ERASED
    return [event(kind, f"{member_id}.{version}", member_id=member_id, version=version)]


def _bound(new: Image | None, old: Image | None) -> list[Event]:
    """Return that a member got or lost an identity: what others have of it is not their news."""
    events = []
    for image, other, kind in (
        (old, new, DetailType.IDENTITY_UNBOUND),
        (new, old, DetailType.IDENTITY_BOUND),
    ):
        # An unbound identity has no `bound_at`; bound again, it has another.
        if not image or "bound_at" not in image:
            continue
        # Hashed anew it has another key. For its member nothing has changed.
        if image is new and "rekeyed_at" in image:
            continue
        if (other or {}).get("bound_at") == image["bound_at"]:
            continue
        member_id, key = after(image, "pk"), evidence_key_from_item(image)
        bound_at = image["bound_at"]["S"]
        events.append(
            event(
                kind,
                f"{member_id}.{key.kind}.{key.digest}.{bound_at}",
                member_id=member_id,
                kind=key.kind,
                digest=key.digest,
                bound_at=bound_at,
            )
        )
    return events


def _merge(new: Image | None, old: Image | None) -> list[Event]:
    if new is None or (old is not None and old["stage"] == new["stage"]):
        return []
    record = merge_from_item(new)
    kinds = {Stage.MERGED: DetailType.MEMBERS_MERGED, Stage.UNDONE: DetailType.MERGE_UNDONE}
    refused_to_undo = old is not None and old["stage"]["S"] == Stage.UNDOING
    if record.stage not in kinds or (refused_to_undo and record.stage is Stage.MERGED):
        return []
    undone = record.stage is Stage.UNDONE
    return [
        event(
            kinds[record.stage],
            f"{record.closing}.{record.number}",
            member_id=record.closing,
            into=record.into,
            number=record.number,
            actor=record.undone_by if undone else record.merged_by,
            reason=record.undone_because if undone else record.reason,
            at=new["undone_at" if undone else "merged_at"]["S"],
        )
    ]


def _question(new: Image | None, _old: Image | None) -> list[Event]:
    if new is None:
        return []
    member_id, sale_id = after(new, "pk"), after(new, "sk")
    asked_at = new["asked_at"]["S"]
    return [
        event(
            DetailType.CONFIRMATION_ASKED,
            f"{member_id}.{sale_id}.{asked_at}",
            member_id=member_id,
            sale_id=sale_id,
            asked_at=asked_at,
        )
    ]


def _answer(new: Image | None, old: Image | None) -> list[Event]:
    if new is None or (old is not None and old["type"] == new["type"]):
        return []
    member_id, sale_id = after(new, "pk"), after(new, "sk")
    return [
        event(
            DetailType.CONFIRMATION_ANSWERED,
            f"{member_id}.{sale_id}.{new['answered_at']['S']}",
            member_id=member_id,
            sale_id=sale_id,
            answer=new["answer"]["S"],
            answered_by=new["answered_by"]["S"],
            answered_at=new["answered_at"]["S"],
        )
    ]


@at_first
def _ruling(new: Image) -> list[Event]:
    applied = ruling_from_item(new)
    ruling = applied.ruling
    return [
        event(
            DetailType.SALE_RULED,
            f"{ruling.sale_id}.{ruling.number}",
            sale_id=ruling.sale_id,
            number=ruling.number,
            verdict=str(ruling.verdict),
            members=[each.member_id for each in ruling.shares],
            taken_from=[each.share.member_id for each in applied.moved if each.reverses],
            actor=ruling.actor,
            reason=ruling.reason,
            ruled_at=new["ruled_at"]["S"],
        )
    ]


DERIVATIONS: dict[str, Derivation] = {
    "member": _member,
    "bound": _bound,
    "unbound": _bound,
    "merge": _merge,
    "question": _question,
    "answer": _answer,
    "ruling": _ruling,
}
