"""
Making two members' records one, and two again: the steps, each of which may be done twice.

The ledger comes first, since only it may refuse. Then the closed record says where it went,
so nothing can be bound to it any more, and its identities move one by one. What is told of an
identity that moved makes `claims` weigh the sales that wait for it. Undoing goes the same way
back: the ledger, the record, the identities that have not gone elsewhere since.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forecourt.attributes import encode, to_item
from forecourt.contention import until_settled
from forecourt.errors import StaleWrite
from forecourt.identity_writes import IDENTITIES_MAX
from forecourt.ledger import POINTS_WALLET
from forecourt.ledger.commands import Merge, Unmerge
from forecourt.ledger.refusals import LedgerRefusal, NotMerged
from forecourt.loyalty_table import member_key
from forecourt.member_errors import MemberErased, MemberMerged, MemberNotMerged, TooManyIdentities
from forecourt.members_table import PRESENT
from forecourt.merges import MergeRecord, Stage, merge_from_item, merge_to_item

if TYPE_CHECKING:
    from datetime import datetime

    from forecourt.identities_table import IdentitiesTable
    from forecourt.ledger import Policies
    from forecourt.ledger_table import LedgerTable
    from forecourt.members_table import Member, MembersTable


class MergedMembers:
    """The table *name* behind *dynamodb*, and what knows members, identities and accounts."""

    def __init__(
        self,
        dynamodb: Any,
        *,
        name: str,
        members: MembersTable,
        identities: IdentitiesTable,
        ledger: LedgerTable,
    ) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._members = members
        self._identities = identities
        self._ledger = ledger

    def merge(
        self,
        closing: str,
        into: str,
        *,
        policies: Policies,
        merged_by: str,
        reason: str,
        merged_at: datetime,
    ) -> MergeRecord:
        """
        Make *closing* one with *into*, or go on with that.

        Raise `UnknownMember`, `MemberErased`, `MemberMerged`, `TooManyIdentities`, or what the
        ledger refuses with: then nothing has moved.
        """

        def begin() -> MergeRecord:
            last = self.last(closing)
            if last is not None and last.stage in {Stage.MERGING, Stage.MERGED}:
                if last.into != into:
                    raise MemberMerged(member_id=closing, into=last.into)
                return last
            if last is not None and last.stage is Stage.UNDOING:
                raise StaleWrite  # somebody is at it this moment, or has to go on with it first
            for each in (closing, into):
                _require_present(self._members.member(each))
            keys, others = (set(self._identities.keys(each)) for each in (closing, into))
            if len(keys | others) > IDENTITIES_MAX:
                raise TooManyIdentities(limit=IDENTITIES_MAX)
            record = MergeRecord(
                closing=closing,
                into=into,
                number=last.number + 1 if last else 1,
                stage=Stage.MERGING,
                keys=tuple(sorted(keys)),
                shared=frozenset(keys & others),
                wallets=self._wallets(closing, policies),
                merged_at=merged_at,
                merged_by=merged_by,
                reason=reason,
            )
            self._keep(record, before=None)
            return record

        record = until_settled(begin)
        if record.stage is Stage.MERGED:
            return record
        self._merge_accounts(record, policies)
        self._close(record)
        # What was bound between the record and the closing moves as well.
        for key in self._identities.keys(closing):
            self._identities.move(closing, into, key, moved_at=record.merged_at)
        return self._keep(replace(record, stage=Stage.MERGED), before=Stage.MERGING)

    def undo(
        self, closing: str, *, policies: Policies, undone_by: str, reason: str, undone_at: datetime
    ) -> MergeRecord:
        """
        Make two of what was merged, or go on with that.

        Raise `UnknownMember`, `MemberNotMerged`, or what the ledger refuses with: then all is as
        it was.
        """
        record = self.last(closing)
        if record is None or record.stage in {Stage.MERGING, Stage.REFUSED}:
            self._members.member(closing)
            raise MemberNotMerged(closing)
        if record.stage is Stage.UNDONE:
            return record
        if record.stage is Stage.MERGED:
            _require_present(self._members.member(record.into))
            record = self._keep(
                replace(
                    record,
                    stage=Stage.UNDOING,
                    undone_at=undone_at,
                    undone_by=undone_by,
                    undone_because=reason,
                ),
                before=Stage.MERGED,
            )
        try:
            self._part_accounts(record, policies)
        except LedgerRefusal:
            self._keep(replace(record, stage=Stage.MERGED), before=Stage.UNDOING)
            raise
        self._open(record)
        for key in record.keys:
            keeps = key in record.shared
            self._identities.move(
                record.into, closing, key, keeps=keeps, moved_at=record.undone_at or undone_at
            )
        return self._keep(replace(record, stage=Stage.UNDONE), before=Stage.UNDOING)

    def last(self, closing: str) -> MergeRecord | None:
        """Return a member's last merge."""
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": encode(f"MERGES#{closing}")},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=1,
        )
        return merge_from_item(response["Items"][0]) if response["Items"] else None

    def _merge_accounts(self, record: MergeRecord, policies: Policies) -> None:
        for place, wallet in enumerate(record.wallets):
            command = Merge(
                entry_id=record.entry_id(wallet),
                owner=record.closing,
                wallet=wallet,
                into=record.into,
                source=f"merge:{record.closing}.{record.number}",
                reason=record.reason,
                actor=record.merged_by,
                occurred_at=record.merged_at,
            )
            try:
                self._ledger.execute(command, policies=policies).posted()
            except LedgerRefusal:
                done = replace(record, wallets=record.wallets[:place], undone_at=record.merged_at)
                self._part_accounts(done, policies)
                self._keep(replace(record, stage=Stage.REFUSED), before=Stage.MERGING)
                raise

    def _part_accounts(self, record: MergeRecord, policies: Policies) -> None:
        for wallet in record.wallets:
            command = Unmerge(
                entry_id=record.entry_id(wallet, undoing=True),
                owner=record.closing,
                wallet=wallet,
                into=record.into,
                merge=record.entry_id(wallet),
                source=f"merge:{record.closing}.{record.number}",
                reason=record.undone_because or record.reason,
                actor=record.undone_by or record.merged_by,
                occurred_at=record.undone_at or record.merged_at,
            )
            answer = self._ledger.execute(command, policies=policies)
            if not isinstance(answer.refusal, NotMerged):  # by an attempt refused half-way
                answer.posted()

    def _wallets(self, member_id: str, policies: Policies) -> tuple[str, ...]:
        response = self._dynamodb.query(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues=to_item(
                {":pk": f"MEMBER#{member_id}", ":prefix": "ACCOUNT#"}
            ),
            ConsistentRead=True,
        )
        wallets = {item["sk"]["S"].removeprefix("ACCOUNT#") for item in response["Items"]}
        # Also wallets without entries: a sale or an award in flight must find where they went.
        return tuple(sorted({POINTS_WALLET, *policies.by_wallet} | wallets))

    def _close(self, record: MergeRecord) -> None:
        """Let the closed record say where it went; who is merged already is what a retry finds."""
        # The other first: whoever is erased takes along whom they absorbed.
        absorbed = self._set_member(
            record.into,
            "ADD absorbed :closing SET version = version + :one",
            {":closing": frozenset({record.closing}), ":name": record.closing, ":one": 1},
            # Excludes telling of it twice, and somebody erased or merged meanwhile.
            condition=f"{PRESENT} AND NOT contains(absorbed, :name)",
        )
        if not absorbed and record.closing not in self._members.member(record.into).absorbed:
            _require_present(self._members.member(record.into))
        closed = self._set_member(
            record.closing,
            "SET #status = :status, merged_into = :into, version = version + :one",
            {":status": "merged", ":into": record.into, ":one": 1},
            # Excludes telling of it twice, and a member erased meanwhile.
            condition=PRESENT,
        )
        if not closed and self._members.member(record.closing).sealed is None:
            raise MemberErased(record.closing)

    def _open(self, record: MergeRecord) -> None:
        """Let the record go on by itself; one that does already is what a retry finds."""
        self._set_member(
            record.closing,
            "SET #status = :status, version = version + :one REMOVE merged_into",
            {":status": "active", ":into": record.into, ":one": 1},
            # Excludes telling of it twice.
            condition="merged_into = :into",
        )
        self._set_member(
            record.into,
            "DELETE absorbed :closing SET version = version + :one",
            {":closing": frozenset({record.closing}), ":name": record.closing, ":one": 1},
            # Excludes telling of it twice.
            condition="contains(absorbed, :name)",
        )

    def _set_member(
        self, member_id: str, expression: str, values: dict[str, Any], *, condition: str
    ) -> bool:
        names = {"#status": "status"} if "#status" in expression else {}
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=member_key(member_id),
                UpdateExpression=expression,
                ConditionExpression=condition,
                **({"ExpressionAttributeNames": names} if names else {}),
                ExpressionAttributeValues=to_item(values),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _keep(self, record: MergeRecord, *, before: Stage | None) -> MergeRecord:
        """Write how far a merge is, or that it has begun; raise `StaleWrite` after a rival."""
        arguments: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before is not None:
            arguments = {
                "ConditionExpression": "stage IN (:before, :after)",
                "ExpressionAttributeValues": to_item({":before": before, ":after": record.stage}),
            }
        try:
            # Both exclude a step behind the back of somebody who is further.
            self._dynamodb.put_item(TableName=self._name, Item=merge_to_item(record), **arguments)
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise StaleWrite from None
        return record


def _require_present(member: Member) -> None:
    if member.sealed is None:
        raise MemberErased(member.member_id)
    if member.merged_into is not None:
        raise MemberMerged(member_id=member.member_id, into=member.merged_into)
