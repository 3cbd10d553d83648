"""
Members and their identities in the Loyalty table (see `forecourt.loyalty_table`).

| item | pk | sk | attributes |
| --- | --- | --- | --- |
| member | `MEMBER#<member>` | `PROFILE` | type `member`, version, sealed, status, enrolled_… |
| identity | `IDENTITY#<kind>#<digest>` | `IDENTITY` | type `identity`, member_id, bound_at |
| bound identity | `MEMBER#<member>` | `IDENTITY#<kind>#<digest>` | type `bound`, sealed, bound_at |
| unbound identity | the same | the same | type `unbound`, unbound_at, expires_at_epoch |
| count | `MEMBER#<member>` | `IDENTITIES` | type `identities`, held |

A member was `enrolled_at` some time, `enrolled_by` a caller.
`sealed` is the profile, or the identity's value, under KMS. An identity's own item says whose
it is and is all that matching reads; the member's items are for the member. One transaction
moves all of them, so they cannot disagree. An unbound identity leaves its trace for some
days, by which a retry of the unbinding is recognised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from forecourt.attributes import Item, encode, from_item, to_item
from forecourt.contention import until_settled
from forecourt.errors import (
    AlreadyEnrolled,
    IdentityTaken,
    StaleWrite,
    TooManyIdentities,
    UnknownIdentity,
    UnknownMember,
    VersionMismatch,
)
from forecourt.instants import format_instant, parse_instant
from forecourt.loyalty_table import (
    TIMELINE_KEY,
    LoyaltyTable,
    entry_from_item,
    identity_key,
    timeline_from_item,
)
from forecourt.matching import EvidenceKey
from forecourt.program import in_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from forecourt.ledger import Entry
    from forecourt.sealing import Sealer

IDENTITIES_MAX = 16  # a family's cars, phones and cards; also what one list has to unseal
UNBOUND_KNOWN = timedelta(days=7)
QUERIES_MAX = 8  # a page may be short; a request that never ends may not

_FAILED = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody enrolled. `profile` is personal and `None` while it is sealed."""

    member_id: str
    version: int
    status: str
    enrolled_at: datetime
    enrolled_by: str
    sealed: bytes
    profile: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundIdentity:
    """An identity of a member; `value` is personal and in clear."""

    key: EvidenceKey
    value: str
    bound_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a sale earned its member: points, and by which rule."""

    sale_id: str
    points: int
    program_version: int | None
    trace: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A page of a member's entries and judgements, and where it goes on (`None`: at the end)."""

    items: Sequence[Item]
    last_id: str | None

    def entries(self) -> list[Entry]:
        """Return the page's entries."""
        return [entry_from_item(item) for item in self.items if item["type"]["S"] == "entry"]

    def judgements(self) -> list[Judgement]:
        """Return what the page says of sales."""
        return [judged for judged in map(_judgement, self.items) if judged]


def member_key(member_id: str) -> Item:
    """Return the key of a member's profile."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": "PROFILE"})


def bound_key(member_id: str, key: EvidenceKey) -> Item:
    """Return the key of an identity among its member's items."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": f"IDENTITY#{key.kind}#{key.digest}"})


def count_key(member_id: str) -> Item:
    """Return the key of the number of identities a member holds."""
    return to_item({"pk": f"MEMBER#{member_id}", "sk": "IDENTITIES"})


def _member_from_item(item: Mapping[str, Mapping[str, Any]]) -> Member:
    values = from_item(item)
    return Member(
        member_id=values["pk"].removeprefix("MEMBER#"),
        version=values["version"],
        status=values["status"],
        enrolled_at=parse_instant(values["enrolled_at"]),
        enrolled_by=values["enrolled_by"],
        sealed=values["sealed"],
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
        }
    )


def _judgement(item: Item) -> Judgement | None:
    values = from_item(item)
    if values["type"] == "refusal":
        return None
    if values["type"] == "entry":
        entry = entry_from_item(item)
        kind, _, sale_id = entry.source.partition(":")
        if kind != "sale":
            return None
        return Judgement(
            sale_id=sale_id,
            points=entry.points,
            program_version=entry.program_version,
            trace=entry.trace,
        )
    return Judgement(
        sale_id=values["sk"].removeprefix("T#"),
        points=0,
        program_version=values.get("program_version"),
        trace=tuple(values["trace"]),
    )


def _profile_context(member_id: str) -> dict[str, str]:
    return {"member_id": member_id, "item": "PROFILE"}


def _identity_context(member_id: str, key: EvidenceKey) -> dict[str, str]:
    return {"member_id": member_id, "item": f"IDENTITY#{key.kind}#{key.digest}"}


class MembersTable:
    """The table *name* behind *dynamodb*; *sealer* closes and opens what is personal."""

    def __init__(self, dynamodb: Any, *, name: str, sealer: Sealer) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._sealer = sealer
        self._loyalty = LoyaltyTable(dynamodb, name=name)

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
            enrolled = self.open(self.member(member_id))
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
        """Return *member* with the profile in clear."""
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
            member = self.open(self.member(member_id))
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

    def bind(
        self, member_id: str, key: EvidenceKey, value: str, *, bound_at: datetime
    ) -> tuple[datetime, bool]:
        """
        Bind an identity; return since when it is bound, and whether that is new.

        Raise `UnknownMember`, `IdentityTaken` or `TooManyIdentities`. The same again is
        what a retry looks like and changes nothing.
        """
        sealed = self._sealer.seal(value, context=_identity_context(member_id, key))
        writes = self._binding(member_id, key, sealed, bound_at=format_instant(bound_at))

        def attempt() -> tuple[datetime, bool]:
            codes, items = self._transact(writes)
            if not codes:
                return bound_at, True
            if codes[0] == _FAILED:
                holder = from_item(items[0])
                if holder["member_id"] != member_id:
                    raise IdentityTaken(kind=key.kind)
                return parse_instant(holder["bound_at"]), False
            if codes[1] == _FAILED:
                raise UnknownMember(member_id)
            if codes[2] == _FAILED:
                raise TooManyIdentities(limit=IDENTITIES_MAX)
            raise StaleWrite

        return until_settled(attempt)

    def _binding(
        self, member_id: str, key: EvidenceKey, sealed: bytes, *, bound_at: str
    ) -> list[dict[str, Any]]:
        lookup = {"type": "identity", "member_id": member_id, "bound_at": bound_at}
        bound = {"type": "bound", "sealed": sealed, "bound_at": bound_at}
        return [
            {
                "Put": {
                    "TableName": self._name,
                    "Item": identity_key(key) | to_item(lookup),
                    # Excludes an identity that is somebody's.
                    "ConditionExpression": "attribute_not_exists(pk)",
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
            {
                "ConditionCheck": {
                    "TableName": self._name,
                    "Key": member_key(member_id),
                    # Excludes a member who was never enrolled.
                    "ConditionExpression": "attribute_exists(pk)",
                }
            },
            {
                "Update": {
                    "TableName": self._name,
                    "Key": count_key(member_id),
                    "UpdateExpression": (
                        "SET held = if_not_exists(held, :none) + :one, #type = :type"
                    ),
                    # Excludes a member with as many as allowed, however many bind at once.
                    "ConditionExpression": "attribute_not_exists(held) OR held < :limit",
                    "ExpressionAttributeNames": {"#type": "type"},
                    "ExpressionAttributeValues": to_item(
                        {":none": 0, ":one": 1, ":limit": IDENTITIES_MAX, ":type": "identities"}
                    ),
                }
            },
            {
                "Put": {
                    "TableName": self._name,
                    "Item": bound_key(member_id, key) | to_item(bound),
                }
            },
        ]

    def unbind(self, member_id: str, key: EvidenceKey, *, unbound_at: datetime) -> bool:
        """
        Unbind an identity. `False`: it was unbound lately, which is what a retry finds.

        Raise `UnknownIdentity` when the member never had it.
        """
        unbound = {
            "type": "unbound",
            "unbound_at": format_instant(unbound_at),
            "expires_at_epoch": int((unbound_at + UNBOUND_KNOWN).timestamp()),
        }
        writes = [
            {
                "Put": {
                    "TableName": self._name,
                    "Item": bound_key(member_id, key) | to_item(unbound),
                    # Excludes what is not bound to this member now.
                    "ConditionExpression": "#type = :bound",
                    "ExpressionAttributeNames": {"#type": "type"},
                    "ExpressionAttributeValues": {":bound": encode("bound")},
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
            {"Delete": {"TableName": self._name, "Key": identity_key(key)}},
            {
                "Update": {
                    "TableName": self._name,
                    "Key": count_key(member_id),
                    "UpdateExpression": "SET held = held - :one",
                    # Excludes counting below what is held.
                    "ConditionExpression": "held >= :one",
                    "ExpressionAttributeValues": {":one": encode(1)},
                }
            },
        ]

        def attempt() -> bool:
            codes, items = self._transact(writes)
            if not codes:
                return True
            if codes[0] != _FAILED:
                raise StaleWrite
            if not items[0]:
                raise UnknownIdentity(f"{key.kind}.{key.digest}")
            return False

        return until_settled(attempt)

    def identities(self, member_id: str) -> list[BoundIdentity]:
        """Return what is bound to a member, in clear, oldest first."""
        bound = []
        for item in self._query_all(f"MEMBER#{member_id}", "IDENTITY#"):
            values = from_item(item)
            if values["type"] != "bound":
                continue
            _, kind, digest = values["sk"].split("#")
            key = EvidenceKey(kind=kind, digest=digest)
            value = self._sealer.open(values["sealed"], context=_identity_context(member_id, key))
            bound.append(
                BoundIdentity(key=key, value=value, bound_at=parse_instant(values["bound_at"]))
            )
        return sorted(bound, key=lambda each: (each.bound_at, each.key))

    def statement(
        self, member_id: str, *, limit: int, after: str | None, entries_only: bool
    ) -> Statement:
        """Return a page of what happened to a member's points, newest first."""
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": to_item({":pk": f"MEMBER#{member_id}", ":prefix": "T#"}),
            "ScanIndexForward": False,
        }
        if entries_only:
            arguments["FilterExpression"] = "#type = :entry"
            arguments["ExpressionAttributeNames"] = {"#type": "type"}
            arguments["ExpressionAttributeValues"][":entry"] = encode("entry")
        found: list[Item] = []
        for _ in range(QUERIES_MAX):
            if after:
                start = {"pk": f"MEMBER#{member_id}", "sk": f"T#{after}"}
                arguments["ExclusiveStartKey"] = to_item(start)
            response = self._dynamodb.query(
                TableName=self._name, Limit=limit - len(found), **arguments
            )
            found += response["Items"]
            last = response.get("LastEvaluatedKey")
            after = last["sk"]["S"].removeprefix("T#") if last else None
            if after is None or len(found) == limit:
                break
        return Statement(items=found, last_id=after)

    def program_zone(self, at: datetime) -> str | None:
        """Return the zone of the program in force at *at*, or `None` before it began."""
        response = self._dynamodb.get_item(TableName=self._name, Key=to_item(TIMELINE_KEY))
        version = in_force(timeline_from_item(response.get("Item")), at)
        if version is None:
            return None
        zone: str = self._loyalty.program_document(version)["zone"]
        return zone

    def _query_all(self, pk: str, prefix: str) -> list[Item]:
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": to_item({":pk": pk, ":prefix": prefix}),
            "ConsistentRead": True,
        }
        found: list[Item] = []
        while True:
            response = self._dynamodb.query(TableName=self._name, **arguments)
            found += response["Items"]
            if "LastEvaluatedKey" not in response:
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def _transact(self, writes: list[dict[str, Any]]) -> tuple[list[str], list[Item]]:
        """Return nothing, or for each write why it did not happen and the item in its way."""
        try:
            self._dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons")
            if not reasons:
                raise
            return [each["Code"] for each in reasons], [each.get("Item", {}) for each in reasons]
        return [], []
