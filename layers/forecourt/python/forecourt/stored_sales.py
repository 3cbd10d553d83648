"""
What the Sales table holds, and how it is written down.

`sales_table` has the design of the table and the access to it; here are types and codecs.
"""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, from_item, to_item
from forecourt.decisions import UNSEEN, Decision, Outcome, Piece, Reason
from forecourt.errors import UnknownSale
from forecourt.fills import Fill, mark_of
from forecourt.hashes import EvidenceKey, Observation
from forecourt.instants import format_instant, parse_instant
from forecourt.rulings import Holding, Share
from forecourt.sales import EvidenceKind, Sale, is_unsure, parse_sale_id
from forecourt.stored_baskets import told_basket_from_map
from forecourt.stored_rulings import applied_from_map
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.baskets import Basket
    from forecourt.keyring import KeyRing
    from forecourt.stored_baskets import ToldBasket
    from forecourt.stored_rulings import AppliedRuling


class Status(StrEnum):
    """Where a sale stands."""

    RECEIVED = "received"
    HELD = "held"
    VOID = "void"
    MATCHED = "matched"
    PENDING = "pending"
    UNMATCHED = "unmatched"
    NOBODYS = "nobodys"
    REJECTED = "rejected"


class Queue(StrEnum):
    """What waits for a person."""

    HELD = "held"
    PENDING = "pending"
    UNMATCHED = "unmatched"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedEvidence:
    """
    One piece of evidence as it is stored: by its keyed hash, never in clear.

    `block` is the keyed hash of the block of numbers a typed phone is in. `loose` is what came with
    a telling that names no nozzle: it may be of another sale. While two keys of the hashes are
    accepted, `others` and `other_blocks` are the hashes by the second.
    """

    key: EvidenceKey
    confidence: int | None = None
    source: str | None = None
    block: str | None = None
    loose: bool = False
    others: tuple[str, ...] = ()
    other_blocks: tuple[str, ...] = ()

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the hashes by every key, that of the key current at the time first."""
        return (self.key.digest, *self.others)

    @property
    def keys(self) -> tuple[EvidenceKey, ...]:
        """Return everything to look up for this piece."""
        return tuple(EvidenceKey(kind=self.key.kind, digest=each) for each in self.digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A telling that joined a sale, and the values it brought, sealed under its own id."""

    telling_id: str
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSale:
    """
    A sale and what became of it.

    `sale.evidence` is empty here: `evidence` has the hashes and `sealed` the values.
    `told` are the tellings of till and payment provider that joined it, `basket` the receipt
    one of them brought, `local_hour` is the hour of the day at the station, `decision` what came
    of weighing.
    `claimed_by` and `denied_by` are members who said that the sale is theirs, or is not;
    `ruled` is what a person decided last, by which weighing is over.
    """

    sale: Sale
    status: Status
    received_at: datetime
    local_hour: int = 0
    evidence: tuple[KeyedEvidence, ...] = ()
    sealed: bytes | None = None
    told: tuple[Told, ...] = ()
    basket: ToldBasket | None = None
    doubts: tuple[str, ...] = ()
    member_id: str | None = None
    decision: Decision | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    claimed_by: frozenset[str] = frozenset()
    denied_by: frozenset[str] = frozenset()
    ruled: AppliedRuling | None = None

    @property
    def sealed_values(self) -> tuple[tuple[str, bytes], ...]:
        """Return what is sealed of the sale: under which id, and the ciphertext."""
        every = (
            (self.sale.sale_id, self.sealed),
            *((each.telling_id, each.sealed) for each in self.told),
        )
        return tuple((name, sealed) for name, sealed in every if sealed is not None)

    @property
    def evidence_keys(self) -> tuple[EvidenceKey, ...]:
        """Return the hashes to look up."""
        return tuple(key for evidence in self.evidence for key in evidence.keys)

    @property
    def cars(self) -> tuple[EvidenceKey, ...]:
        """Return the hashes of the plates that were read for certain."""
        return tuple(
            key
            for each in self.evidence
            if each.key.kind == EvidenceKind.PLATE and not is_unsure(each.confidence)
            for key in each.keys
        )

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Return the evidence as it is weighed."""
        return tuple(
            Observation(
                kind=each.key.kind,
                digest=each.key.digest,
                unsure=is_unsure(each.confidence),
                loose=each.loose,
                others=each.others,
            )
            for each in self.evidence
        )

    @property
    def phone_blocks(self) -> tuple[str, ...]:
        """Return the block of the first phone that was typed, by each key of its hashes."""
        return next(((each.block, *each.other_blocks) for each in self.evidence if each.block), ())

    @property
    def fill(self) -> Fill:
        """Return what the sale tells about habits."""
        return Fill(
            station_id=self.sale.key.station_id,
            grade=self.sale.grade,
            volume_ml=self.sale.volume_ml,
            hour=self.local_hour,
            at=int(self.sale.key.completed_at.timestamp()),
            paid_with=tuple(
                mark_of(digest)
                for each in self.observations
                if each.kind == EvidenceKind.PAYMENT
                for digest in each.digests
            ),
        )

    @property
    def asked(self) -> str | None:
        """Return which member is asked whether the sale is theirs."""
        if self.status is not Status.PENDING:
            return None
        if self.ruled is not None:
            return self.ruled.ruling.asked
        return self.decision.member_id if self.decision else None

    @property
    def held(self) -> tuple[Holding, ...]:
        """Return who has what of the sale, and by which entry of the ledger."""
        if self.ruled is not None:
            return self.ruled.held
        if self.member_id is None:
            return ()
        whole = Share(
            member_id=self.member_id,
            volume_ml=self.sale.volume_ml,
            amount_fen=self.sale.amount_fen,
        )
        return (Holding(share=whole, entry_id=self.sale.sale_id),)

    @property
    def paid_fen(self) -> int:
        """Return what was paid for the sale and all that was bought along, as far as we know."""
        return self.basket.basket.total_fen if self.basket else self.sale.amount_fen

    def basket_for(self, entry_id: str) -> Basket | None:
        """Return the receipt an entry is judged with, `None` when it came after the entry."""
        if self.basket is None or entry_id in self.basket.after:
            return None
        return self.basket.basket

    @property
    def matched_by(self) -> tuple[str, ...]:
        """Return what spoke for the member whose sale it is."""
        return self.decision.by if self.decision and self.member_id else ()

    @property
    def undecided_because(self) -> str | None:
        """Return why the sale was not credited, when it was weighed and was not."""
        return str(self.decision.reason) if self.decision and self.decision.reason else None


def keyed_under(
    ring: KeyRing,
    kind: EvidenceKind,
    spelt: str,
    *,
    confidence: int | None = None,
    source: str | None = None,
) -> KeyedEvidence:
    """Return a piece of evidence, in its one spelling, hashed by every key of *ring*."""
    key, *others = ring.hashes(kind, spelt)
    blocks = ring.blocks(spelt) if kind is EvidenceKind.PHONE else ()
    return KeyedEvidence(
        key=key,
        confidence=confidence,
        source=source,
        block=next(iter(blocks), None),
        others=tuple(each.digest for each in others),
        other_blocks=blocks[1:],
    )


def sale_key(sale_id: str) -> Item:
    """Return the key of a sale; raise `UnknownSale` when the id is not one."""
    try:
        station_id = parse_sale_id(sale_id).station_id
    except ValueError:
        raise UnknownSale(sale_id) from None
    return to_item({"pk": f"STATION#{station_id}", "sk": f"SALE#{sale_id}"})


def sale_to_item(stored: StoredSale) -> Item:
    """Encode *stored*. What the id says (time, nozzle, totalizer ...) is not said twice."""
    sale = stored.sale
    queue = Queue.HELD if stored.status is Status.HELD else None
    return sale_key(sale.sale_id) | to_item(
        {
            "type": "sale",
            "status": str(stored.status),
            "grade": sale.grade,
            "unit_price": sale.unit_price_milli_per_litre,
            "volume_ml": sale.volume_ml,
            "amount_fen": sale.amount_fen,
            "resolution_ml": sale.volume_resolution_ml,
            "started_at": format_instant(sale.started_at) if sale.started_at else None,
            "recorded_at": format_instant(sale.recorded_at),
            "local_hour": stored.local_hour,
            "received_at": format_instant(stored.received_at),
            "clock_offset": sale.clock_offset_seconds,
            "clock_synchronised": sale.clock_synchronised,
            "test_delivery": sale.test_delivery or None,
            "evidence": [evidence_to_map(each) for each in stored.evidence] or None,
            "sealed": stored.sealed,
            "doubts": list(stored.doubts) or None,
            "queue": queue,
            "queued_at": format_instant(stored.received_at) if queue else None,
        }
    )


def sale_from_item(item: Mapping[str, Mapping[str, Any]]) -> StoredSale:
    """Decode what `sale_to_item` wrote and `SalesTable` changed since."""
    values = from_item(item)
    started_at, decided_at = values.get("started_at"), values.get("decided_at")
    return StoredSale(
        sale=Sale(
            key=parse_sale_id(values["sk"].removeprefix("SALE#")),
            grade=values["grade"],
            unit_price_milli_per_litre=values["unit_price"],
            volume_ml=values["volume_ml"],
            amount_fen=values["amount_fen"],
            volume_resolution_ml=values["resolution_ml"],
            started_at=parse_instant(started_at) if started_at else None,
            recorded_at=parse_instant(values["recorded_at"]),
            clock_offset_seconds=values.get("clock_offset"),
            clock_synchronised=values["clock_synchronised"],
            test_delivery=values.get("test_delivery", False),
        ),
        status=Status(values["status"]),
        received_at=parse_instant(values["received_at"]),
        local_hour=values.get("local_hour", 0),
        evidence=tuple(evidence_from_map(each) for each in values.get("evidence", ())),
        sealed=_bytes(values.get("sealed")),
        told=tuple(
            Told(telling_id=each["id"], sealed=_bytes(each.get("sealed")))
            for each in values.get("told", ())
        ),
        basket=told_basket_from_map(values["basket"]) if "basket" in values else None,
        doubts=tuple(values.get("doubts", ())),
        member_id=values.get("member_id"),
        decision=decision_from_map(values["decision"]) if "decision" in values else None,
        decided_at=parse_instant(decided_at) if decided_at else None,
        decided_by=values.get("decided_by"),
        claimed_by=values.get("claimed_by", frozenset()),
        denied_by=values.get("denied_by", frozenset()),
        ruled=(
            applied_from_map(values["ruling"], sale_id=values["sk"].removeprefix("SALE#"))
            if "ruling" in values
            else None
        ),
    )


def told_to_map(told: Told) -> dict[str, Any]:
    """Encode that a telling joined a sale."""
    values = {"id": told.telling_id, "sealed": told.sealed}
    return {name: value for name, value in values.items() if value is not None}


def _bytes(value: bytes | str | None) -> bytes | None:
    """Return a binary value as the table has it; Lambda spells those of a stream in base64."""
    return base64.b64decode(value) if isinstance(value, str) else value


def decision_to_map(decision: Decision) -> dict[str, Any]:
    """
    Encode a decision: integers and levels, and members by their ids.

    What was not seen (`none`) was weighed as well. It follows from what was seen and the
    version of the weights, and is left out: a sale has to fit into a kilobyte.
    """
    values = {
        "outcome": str(decision.outcome),
        "weights": decision.weights_version,
        "member": decision.member_id,
        "ppm": decision.posterior_ppm,
        "reason": str(decision.reason) if decision.reason else None,
        "pieces": [
            f"{each.field}:{each.level}:{each.centibits}"
            for each in decision.pieces
            if each.level != UNSEEN
        ]
        or None,
        "alternatives": [list(each) for each in decision.alternatives] or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def decision_from_map(values: Mapping[str, Any]) -> Decision:
    """Decode a decision."""
    reason = values.get("reason")
    pieces = (each.split(":") for each in values.get("pieces", ()))
    return Decision(
        outcome=Outcome(values["outcome"]),
        weights_version=values["weights"],
        member_id=values.get("member"),
        posterior_ppm=values["ppm"],
        reason=Reason(reason) if reason else None,
        pieces=tuple(Piece(field, level, int(worth)) for field, level, worth in pieces),
        alternatives=tuple((each[0], each[1]) for each in values.get("alternatives", ())),
    )


def evidence_to_map(evidence: KeyedEvidence) -> dict[str, Any]:
    """Encode one piece of evidence."""
    values = {
        "kind": evidence.key.kind,
        "digest": evidence.key.digest,
        "confidence": evidence.confidence,
        "source": evidence.source,
        "block": evidence.block,
        "loose": evidence.loose or None,
        "others": list(evidence.others) or None,
        "other_blocks": list(evidence.other_blocks) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def evidence_from_map(values: Mapping[str, Any]) -> KeyedEvidence:
    """Decode one piece of evidence."""
    return KeyedEvidence(
        key=EvidenceKey(kind=values["kind"], digest=values["digest"]),
        confidence=values.get("confidence"),
        source=values.get("source"),
        block=values.get("block"),
        loose=values.get("loose", False),
        others=tuple(values.get("others", ())),
        other_blocks=tuple(values.get("other_blocks", ())),
    )
