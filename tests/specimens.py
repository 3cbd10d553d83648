"""What a test begins with: sample messages, and a sale to be changed in what the test is about."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecourt.decisions import Decision, Outcome, Piece, Reason
from forecourt.instants import format_instant
from forecourt.ledger.commands import Earn, EarnNothing
from forecourt.messages import SaleMessage, read_message
from forecourt.proposals import Proposal
from forecourt.sales import Evidence, EvidenceKind, Sale, SaleKey
from forecourt.trials import Change, Comparison, Trial

if TYPE_CHECKING:
    from forecourt.weighing import Weights

EVENTS = Path(__file__).parents[1] / "events"

STATION_ID = "s0001"
OPEN_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
RECEIVED_AT = datetime(2026, 11, 23, 8, 15, 4, tzinfo=UTC)
PLATE = Evidence(kind=EvidenceKind.PLATE, value="浙A12345", confidence=97, source="camera-1")
CARD = Evidence(kind=EvidenceKind.CARD, value="6217001234567890")

_KEY_FIELDS = {field.name for field in fields(SaleKey)}


def sample(path: str) -> dict[str, Any]:
    """Return a sample by its path under `events/`, without the suffix."""
    document: dict[str, Any] = json.loads((EVENTS / f"{path}.json").read_text(encoding="utf-8"))
    return document


def payload(document: Any) -> bytes:
    """Return *document* as a station sends it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _sampled() -> Sale:
    message = read_message(payload(sample("station/samples/sale")))
    assert isinstance(message, SaleMessage)
    return message.sale


SALE = _sampled()


def sale(**changes: Any) -> Sale:
    """Return the sample sale with *changes*, of which some may be parts of its key."""
    of_key = {name: changes.pop(name) for name in list(changes) if name in _KEY_FIELDS}
    return replace(SALE, key=replace(SALE.key, **of_key), **changes)


def earned(member_id: str, points: int, *, sale_id: str = SALE.sale_id, **changes: Any) -> Earn:
    """Return the command by which accrual gives a sale's points, good for ever unless changed."""
    command = Earn(
        entry_id=sale_id,
        owner=member_id,
        points=points,
        expires_on=None,
        source=f"sale:{sale_id}",
        reason="fuel",
        actor="accrual",
        program_version=1,
        trace=({"rule": "petrol", "outcome": "earned", "points": points},),
        occurred_at=SALE.key.completed_at,
    )
    return replace(command, **changes)


def earned_nothing(member_id: str, sale: Sale = SALE, **changes: Any) -> EarnNothing:
    """Return the command by which accrual says that a sale earns nothing."""
    command = EarnNothing(
        entry_id=sale.sale_id,
        owner=member_id,
        source=f"sale:{sale.sale_id}",
        reason="fuel",
        actor="accrual",
        program_version=1,
        trace=({"rule": "", "outcome": "no_rule", "points": 0},),
        occurred_at=sale.key.completed_at,
    )
    return replace(command, **changes)


def sale_document(sale: Sale, *, sent_at: datetime | None = None) -> dict[str, Any]:
    """Return the message that tells *sale*, sent when it was recorded unless *sent_at* says."""
    return {
        "schema": "sale/1",
        "sent_at": format_instant(sent_at or sale.recorded_at),
        "sale": {
            "sale_id": sale.sale_id,
            "station_id": sale.key.station_id,
            "device_serial": sale.key.device_serial,
            "nozzle": sale.key.nozzle,
            "transaction": sale.key.transaction,
            "grade": sale.grade,
            "unit_price_milli_per_litre": sale.unit_price_milli_per_litre,
            "volume_ml": sale.volume_ml,
            "amount_fen": sale.amount_fen,
            "volume_resolution_ml": sale.volume_resolution_ml,
            "totalizer_ml": sale.key.totalizer_ml,
            "started_at": format_instant(sale.started_at) if sale.started_at else None,
            "completed_at": format_instant(sale.key.completed_at),
            "recorded_at": format_instant(sale.recorded_at),
            "clock_offset_seconds": sale.clock_offset_seconds,
            "clock_synchronised": sale.clock_synchronised,
            "test_delivery": sale.test_delivery,
            "evidence": [
                {
                    name: value
                    for name, value in (
                        ("kind", str(each.kind)),
                        ("value", each.value),
                        ("confidence", each.confidence),
                        ("character_confidences", list(each.character_confidences) or None),
                        ("source", each.source),
                    )
                    if value is not None
                }
                for each in sale.evidence
            ],
        },
    }


def credited_to(member_id: str) -> Decision:
    """Return the decision that a sale is *member_id*'s."""
    return Decision(
        outcome=Outcome.CREDITED,
        weights_version=1,
        member_id=member_id,
        posterior_ppm=999_999,
        pieces=(Piece("card", "same", 2656), Piece("plate", "differs.unsure", -385)),
        alternatives=(("m-other", 12),),
    )


def probably(member_id: str) -> Decision:
    """Return the decision that a sale is probably *member_id*'s, who has to be asked."""
    return Decision(
        outcome=Outcome.PENDING,
        weights_version=1,
        member_id=member_id,
        posterior_ppm=981_381,
        reason=Reason.UNSURE,
        pieces=(Piece("plate", "same", 2182),),
    )


def proposal(weights: Weights) -> Proposal:
    """Return the proposal of *weights*, which did a little better than version 1."""
    of_both = {"sales": 500, "confirmed": 25}
    return Proposal(
        weights=weights,
        sales=2_400,
        confirmed=130,
        comparison=Comparison(
            active=Trial(
                weights_version=1,
                credited=410,
                pending=50,
                unmatched=40,
                agreeing=22,
                wrong=1,
                **of_both,
            ),
            proposed=Trial(
                weights_version=2,
                credited=411,
                pending=52,
                unmatched=37,
                agreeing=23,
                wrong=0,
                **of_both,
            ),
            changed=4,
            examples=(
                Change(
                    sale_id=SALE.sale_id,
                    before=Outcome.PENDING,
                    after=Outcome.CREDITED,
                    same_member=True,
                ),
            ),
        ),
    )


def nobodys(reason: Reason = Reason.UNKNOWN) -> Decision:
    """Return the decision that a sale is nobody's for now."""
    return Decision(outcome=Outcome.UNMATCHED, weights_version=1, reason=reason)
