"""
Entries and accounts as plain values: text, whole numbers, lists and maps.

The one form they have in a table, in a file and under a digest. What has its default value is
left out, so what was written before a field existed reads as it always did.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from forecourt.instants import format_instant, parse_instant
from forecourt.ledger.accounts import Account, Hold
from forecourt.ledger.entries import (
    NO_EFFECT,
    POINTS_WALLET,
    Effect,
    Entry,
    EntryKind,
    Leg,
    wallet_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NEVER = "never"
OWN_WALLET = "."  # in a leg; the entry's key says whose it is

Record = dict[str, Any]


def entry_to_record(entry: Entry) -> Record:
    """Return *entry* without its key (owner and id) and its digest."""
    own = wallet_of(entry.member_id, entry.wallet)
    record = {
        "kind": str(entry.kind),
        "legs": [_leg_to_list(leg, own) for leg in entry.legs],
        "source": entry.source,
        "reason": entry.reason,
        "actor": entry.actor,
        "program_version": entry.program_version,
        "trace": [dict(each) for each in entry.trace],
        "occurred_at": format_instant(entry.occurred_at),
        "posted_at": format_instant(entry.posted_at),
        "account_version": entry.account_version,
    }
    optional = {
        "wallet": entry.wallet if entry.wallet != POINTS_WALLET else None,
        "upkeep": [_leg_to_list(leg, own) for leg in entry.upkeep],
        "posted_on": entry.posted_on and entry.posted_on.isoformat(),
        "effect": _effect_to_record(entry.effect) if entry.effect is not NO_EFFECT else None,
        "checker": entry.checker,
        "refers_to": entry.refers_to,
        "items": dict(entry.items),
        "uncovered": entry.uncovered,
        "fingerprint": entry.fingerprint,
        "previous": entry.previous,
    }
    return record | {name: value for name, value in optional.items() if value}


def entry_from_record(
    record: Mapping[str, Any], *, member_id: str, entry_id: str, digest: str = ""
) -> Entry:
    """Return the entry that `entry_to_record` wrote."""
    wallet = record.get("wallet", POINTS_WALLET)
    own = wallet_of(member_id, wallet)
    return Entry(
        entry_id=entry_id,
        kind=EntryKind(record["kind"]),
        member_id=member_id,
        wallet=wallet,
        legs=tuple(_leg_from_list(leg, own) for leg in record["legs"]),
        upkeep=tuple(_leg_from_list(leg, own) for leg in record.get("upkeep", ())),
        source=record["source"],
        reason=record["reason"],
        actor=record["actor"],
        checker=record.get("checker"),
        program_version=record["program_version"],
        trace=tuple(record["trace"]),
        occurred_at=parse_instant(record["occurred_at"]),
        posted_at=parse_instant(record["posted_at"]),
        posted_on=_day(record.get("posted_on")),
        account_version=record["account_version"],
        effect=_effect_from_record(record["effect"]) if "effect" in record else NO_EFFECT,
        refers_to=record.get("refers_to"),
        items=record.get("items", {}),
        uncovered=record.get("uncovered", 0),
        fingerprint=record.get("fingerprint", ""),
        previous=record.get("previous", ""),
        digest=digest,
    )


def account_to_record(account: Account) -> Record:
    """Return *account* without its key."""
    record: Record = {"version": account.version, "buckets": _buckets_to_map(account.buckets)}
    optional = {
        "bonus": _buckets_to_map(account.bonus),
        "pending": {
            f"{since.isoformat()}/{_day_to_text(last)}": points
            for (since, last), points in account.pending.items()
        },
        "holds": {
            hold_id: {
                "expires_at": format_instant(hold.expires_at),
                "lots": [
                    [_day_to_text(last), points, *([True] if bonus else [])]
                    for (last, bonus), points in hold.lots.items()
                ],
                **_counter_to_record(hold),
            }
            for hold_id, hold in account.holds.items()
        },
        "debt": account.debt,
        "awarded": account.awarded,
        "frozen": account.frozen,
        "zone": account.zone,
        "merged_into": account.merged_into,
        "parked": account.parked,
        "counted_on": account.counted_on and account.counted_on.isoformat(),
        "used": dict(account.used),
        "last_active_on": account.last_active_on and account.last_active_on.isoformat(),
        "extended": {
            before.isoformat(): after.isoformat() for before, after in account.extended.items()
        },
        "ran_out": _ran_out_to_map(account.ran_out),
        "digest": account.digest,
    }
    return record | {name: value for name, value in optional.items() if value}


def account_from_record(
    record: Mapping[str, Any], *, member_id: str, wallet: str = POINTS_WALLET
) -> Account:
    """Return the account that `account_to_record` wrote."""
    pending = {}
    for text, points in record.get("pending", {}).items():
        since, last = text.split("/")
        pending[date.fromisoformat(since), _day_from_text(last)] = points
    return Account(
        member_id=member_id,
        wallet=wallet,
        version=record["version"],
        buckets=_buckets_from_map(record["buckets"]),
        bonus=_buckets_from_map(record.get("bonus", {})),
        pending=pending,
        holds={
            hold_id: Hold(
                expires_at=parse_instant(hold["expires_at"]),
                lots={
                    (_day_from_text(last), bool(bonus)): points
                    for last, points, *bonus in hold["lots"]
                },
                counter=hold.get("counter"),
                counted_on=_day(hold.get("counted_on")),
            )
            for hold_id, hold in record.get("holds", {}).items()
        },
        debt=record.get("debt", 0),
        awarded=record.get("awarded", 0),
        frozen=record.get("frozen", False),
        zone=record.get("zone"),
        merged_into=record.get("merged_into"),
        parked=record.get("parked", 0),
        counted_on=_day(record.get("counted_on")),
        used=record.get("used", {}),
        last_active_on=_day(record.get("last_active_on")),
        extended={
            date.fromisoformat(before): date.fromisoformat(after)
            for before, after in record.get("extended", {}).items()
        },
        ran_out=_ran_out_from_map(record.get("ran_out", {})),
        digest=record.get("digest", ""),
    )


def _counter_to_record(hold: Hold) -> Record:
    if hold.counter is None or hold.counted_on is None:
        return {}
    return {"counter": hold.counter, "counted_on": hold.counted_on.isoformat()}


def _leg_to_list(leg: Leg, own: str) -> list[Any]:
    account = OWN_WALLET if leg.account == own else leg.account
    values = [account, leg.points, leg.expires_on and leg.expires_on.isoformat()]
    if leg.hold_id is not None:
        return [*values, leg.bonus, "", leg.hold_id]
    if leg.activates_on is not None:
        return [*values, leg.bonus, leg.activates_on.isoformat()]
    return [*values, True] if leg.bonus else values


def _leg_from_list(values: list[Any], own: str) -> Leg:
    account, points, last, *more = values
    bonus = bool(more and more[0])
    since = more[1] if len(more) > 1 else ""
    hold_id = more[2] if len(more) > 2 else None  # noqa: PLR2004 - the third after the first three
    return Leg(
        account=own if account == OWN_WALLET else account,
        points=points,
        expires_on=None if last == NEVER else _day(last),
        bonus=bonus,
        activates_on=_day(since),
        hold_id=hold_id,
    )


def _effect_to_record(effect: Effect) -> Record:
    values = {
        "hold_expires_at": effect.hold_expires_at and format_instant(effect.hold_expires_at),
        "uses": dict(effect.uses),
        "counter": effect.counter,
        "active": effect.active,
        "extends": effect.extends and [day.isoformat() for day in effect.extends],
        "merged_into": effect.merged_into,
        "unparks": effect.unparks,
        "ran_out": _ran_out_to_map(effect.ran_out),
        "zone": effect.zone,
    }
    return {name: value for name, value in values.items() if value}


def _effect_from_record(record: Mapping[str, Any]) -> Effect:
    expires_at, extends = record.get("hold_expires_at"), record.get("extends")
    return Effect(
        hold_expires_at=parse_instant(expires_at) if expires_at else None,
        uses=record.get("uses", {}),
        counter=record.get("counter"),
        active=record.get("active", False),
        extends=(
            (date.fromisoformat(extends[0]), date.fromisoformat(extends[1])) if extends else None
        ),
        merged_into=record.get("merged_into"),
        unparks=record.get("unparks", False),
        ran_out=_ran_out_from_map(record.get("ran_out", {})),
        zone=record.get("zone"),
    )


def _buckets_to_map(buckets: Mapping[date | None, int]) -> dict[str, int]:
    return {_day_to_text(day): points for day, points in buckets.items()}


def _buckets_from_map(buckets: Mapping[str, int]) -> dict[date | None, int]:
    return {_day_from_text(text): points for text, points in buckets.items()}


def _ran_out_to_map(ran_out: Mapping[date, int]) -> dict[str, int]:
    return {day.isoformat(): points for day, points in ran_out.items()}


def _ran_out_from_map(ran_out: Mapping[str, int]) -> dict[date, int]:
    return {date.fromisoformat(text): points for text, points in ran_out.items()}


def _day_to_text(day: date | None) -> str:
    return day.isoformat() if day else NEVER


def _day_from_text(text: str) -> date | None:
    return None if text == NEVER else date.fromisoformat(text)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
