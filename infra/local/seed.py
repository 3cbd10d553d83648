"""What a program needs before its first sale: rules, stations, members. All through the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from infra.local.api_client import ApiClient

PROGRAM: dict[str, Any] = {
    "zone": "Asia/Shanghai",
    "validity": {"months": 12, "end_of": "month"},
    "rules": [
        {
            "rule_id": "premium",
            "grades": ["98"],
            "basis": "volume",
            "points": 15,
            "per": 1000,
            "minimum": 0,
            "rounding": "floor",
        },
        {
            "rule_id": "petrol",
            "grades": ["92", "95"],
            "basis": "volume",
            "points": 10,
            "per": 1000,
            "minimum": 1000,
            "rounding": "floor",
        },
        {
            "rule_id": "diesel",
            "grades": ["0"],
            "basis": "amount",
            "points": 1,
            "per": 100,
            "minimum": 0,
            "rounding": "half_up",
        },
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where a station's certificate and private key lie."""

    certificate_path: Path
    key_path: Path


def activate_program(
    operator: ApiClient, document: Mapping[str, Any], *, effective_at: datetime | None = None
) -> int:
    """Draft, validate and activate *document*, at once unless told when; return its version."""
    version: int = operator.post("/programs", document)["version"]
    operator.post(f"/programs/{version}/validation")
    at = {"effective_at": format_instant(effective_at)} if effective_at is not None else {}
    operator.post(f"/programs/{version}/activation", at)
    return version


def register_station(
    operator: ApiClient,
    *,
    station_id: str,
    name: str,
    zone: str,
    grades: Iterable[str],
    open_since: datetime,
    folder: Path,
) -> Credentials:
    """Register a station and keep what proves that a gateway is its in *folder*."""
    answer = operator.post(
        "/stations",
        {
            "station_id": station_id,
            "name": name,
            "zone": zone,
            "grades": sorted(grades),
            "open_since": format_instant(open_since),
        },
    )
    if answer["private_key_pem"] is None:
        # The first answer got lost, and with it the key: nobody keeps it for us.
        answer = operator.post(answer["renewal"], {})
    credentials = Credentials(
        certificate_path=folder / f"{station_id}.pem", key_path=folder / f"{station_id}.key"
    )
    credentials.certificate_path.write_text(answer["certificate"]["certificate_pem"])
    credentials.key_path.touch(mode=0o600)
    credentials.key_path.write_text(answer["private_key_pem"])
    return credentials


def enrol(staff: ApiClient, identities: Mapping[str, str], *, name: str) -> str:
    """Enrol a member with these *identities* (kind to value); return the member's id."""
    member_id: str = staff.post("/members", {"name": name})["member_id"]
    for kind, value in identities.items():
        staff.post(f"/members/{member_id}/identities", {"kind": kind, "value": value})
    return member_id
