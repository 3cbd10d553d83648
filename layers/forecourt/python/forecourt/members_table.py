"""
Members in the Loyalty table (see `forecourt.loyalty_table`).

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| member | `MEMBER#<member>` | `PROFILE` | type `member`, version, sealed, zone, status, … |

A member was `enrolled_at` some time, `enrolled_by` a caller; `erased_at`, `erased_by` likewise.
`sealed` is the profile under KMS; its `zone` stands beside it as well, because the ledger opens
accounts by it and no seals. Of two records that are one person's, the one that was closed
names the other: `merged_into`. What is bound to a member is in `identities_table`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.contention import until_settled
from forecourt.errors import ForecourtError, StaleWrite, VersionMismatch
from forecourt.instants import format_instant, parse_instant
from forecourt.loyalty_table import member_key
from forecourt.member_errors import AlreadyEnrolled, MemberErased, MemberMerged, UnknownMember
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from forecourt.sealing import Sealer


# Whoever is to get something has to be there: never enrolled, erased and merged members are not.
PRESENT = "attribute_exists(sealed) AND attribute_not_exists(merged_into)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """
    Somebody enrolled. `profile` is personal and `None` while it is sealed.

    Who was erased has no profile any more and is told by `status`: `erasing`, then `erased`.
    `zone` is the profile's, in clear. `merged_into` says under which id the same person goes on,
    `absorbed` whose records went into this one.
    """

    member_id: str
    version: int
    status: str
    enrolled_at: datetime
    enrolled_by: str
    sealed: bytes | None
    zone: str | None = None
    erased_at: datetime | None = None
    merged_into: str | None = None
    absorbed: frozenset[str] = frozenset()
    profile: Mapping[str, Any] | None = None


def absence(member_id: str, item: Mapping[str, Any]) -> ForecourtError:
    """Return why somebody whose record is *item* (empty: there is none) gets nothing."""
    if "merged_into" in item:
        return MemberMerged(member_id=member_id, into=item["merged_into"])
    return MemberErased(member_id) if "erased_at" in item else UnknownMember(member_id)


def _require_unmerged(member: Member) -> None:
    if member.merged_into is not None:
        raise MemberMerged(member_id=member.member_id, into=member.merged_into)


def _member_from_item(item: Mapping[str, Mapping[str, Any]]) -> Member:
    values = from_item(item)
    return Member(
        member_id=values["pk"].removeprefix("MEMBER#"),
        version=values["version"],
        status=values["status"],
        enrolled_at=parse_instant(values["enrolled_at"]),
        enrolled_by=values["enrolled_by"],
        sealed=values.get("sealed"),
        zone=values.get("zone"),
        erased_at=parse_instant(values["erased_at"]) if "erased_at" in values else None,
        merged_into=values.get("merged_into"),
        absorbed=values.get("absorbed", frozenset()),
    )


def _member_to_item(member: Member) -> Item:
    return member_key(member.member_id) | to_item(
        {
            "type": "member",
            "version": member.version,
            "status": member.status,
            "enrolled_at": format_instant(member.enrolled_at),
            "enrolled_by": member.enrolled_by,
            "sealed": member.sealed,
            "zone": member.zone,
            "absorbed": member.absorbed or None,
        }
    )


def _profile_context(member_id: str) -> dict[str, str]:
    return {"member_id": member_id, "item": "PROFILE"}


class MembersTable:
    """The table *name* behind *dynamodb*; *sealer* closes and opens what is personal."""

    def __init__(self, dynamodb: Any, *, name: str, sealer: Sealer) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._sealer = sealer

    def enrol(
        self,
        member_id: str,
        profile: Mapping[str, Any],
        *,
        enrolled_by: str,
        enrolled_at: datetime,
    ) -> tuple[Member, bool]:
        """
        Return the member, and whether they are new.

        Somebody who is enrolled with the same profile is what a retry finds; with another
        profile it is `AlreadyEnrolled`.
        """
        member = Member(
            member_id=member_id,
            version=1,
            status="active",
            enrolled_at=enrolled_at,
            enrolled_by=enrolled_by,
            sealed=self._sealer.seal(dict(profile), context=_profile_context(member_id)),
            zone=profile.get("zone"),
            profile=profile,
        )
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=_member_to_item(member),
                # Excludes enrolling somebody twice, which would wipe their profile.
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            enrolled = self._present(member_id)
            if enrolled.profile != profile:
                raise AlreadyEnrolled(member_id) from None
            return enrolled, False
        return member, True

    def member(self, member_id: str) -> Member:
        """Return a member as of now, the profile sealed; raise `UnknownMember`."""
        response = self._dynamodb.get_item(
            TableName=self._name, Key=member_key(member_id), ConsistentRead=True
        )
        if "Item" not in response:
            raise UnknownMember(member_id)
        return _member_from_item(response["Item"])

    def open(self, member: Member) -> Member:
        """Return *member* with the profile in clear; who was erased has none."""
        if member.sealed is None:
            return member
        profile = self._sealer.open(member.sealed, context=_profile_context(member.member_id))
        return replace(member, profile=profile)

    def change(
        self, member_id: str, changes: Mapping[str, Any], *, expected_version: int | None
    ) -> Member:
        """
        Return the member after *changes*: a field set to `None` goes, an absent one stays.

        Changes that are in effect already write nothing, and that is asked before the version:
        a retry finds its own work done (RFC 9110, section 13.1.1, allows just that).
        """

        def attempt() -> Member:
            member = self._present(member_id)
            before = dict(member.profile or {})
            merged = {**before, **changes}
            profile = {name: value for name, value in merged.items() if value is not None}
            if profile == before:
                return member
            if expected_version not in (None, member.version):
                raise VersionMismatch(version=member.version)
            changed = replace(
                member,
                version=member.version + 1,
                sealed=self._sealer.seal(profile, context=_profile_context(member_id)),
                zone=profile.get("zone"),
                profile=profile,
            )
            try:
                self._dynamodb.put_item(
                    TableName=self._name,
                    Item=_member_to_item(changed),
                    # Excludes writing over a change made since the profile was read.
                    ConditionExpression="version = :read",
                    ExpressionAttributeValues={":read": encode(member.version)},
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                raise StaleWrite from None
            return changed

        return until_settled(attempt)

    def erase(self, member_id: str, *, erased_by: str, erased_at: datetime) -> Member:
        """
        Destroy a member's profile and write that the rest has to go, which the bus is told.

        Who is erased already is what a retry finds. Raise `UnknownMember`, or `MemberMerged`
        when most of them is elsewhere.
        """
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._name,
                Key=member_key(member_id),
                UpdateExpression=(
                    "SET #status = :erasing, erased_at = :now, erased_by = :by, "
                    "version = version + :one REMOVE sealed, #zone"
                ),
                # Excludes making a member of a name, erasing somebody twice, and leaving half of
                # somebody behind whose record went into another.
                ConditionExpression=PRESENT,
                ExpressionAttributeNames={"#status": "status", "#zone": "zone"},
                ExpressionAttributeValues=to_item(
                    {
                        ":erasing": "erasing",
                        ":now": format_instant(erased_at),
                        ":by": erased_by,
                        ":one": 1,
                    }
                ),
            )
        erased = self.member(member_id)
        _require_unmerged(erased)
        return erased

    def _present(self, member_id: str) -> Member:
        """
        Return a member, the profile in clear.

        Raise `UnknownMember`, `MemberErased` or `MemberMerged`.
        """
        member = self.open(self.member(member_id))
        if member.sealed is None:
            raise MemberErased(member_id)
        _require_unmerged(member)
        return member
