"""The routes that make two members' records one, and two again."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.callers import Permission
from forecourt.doors import Door
from forecourt.errors import InvalidRequest
from forecourt.keeping import Keeping
from forecourt.merged_members import MergedMembers
from forecourt.once import Answer
from functions.merging.bodies import MergeOrder, MergeView, UndoOrder, merged

TAG = "merging"

MemberId = Annotated[str, Path(description="The id of the member whose record is closed")]


class MergeRoutes:
    """The routes, and what merges members."""

    def __init__(
        self,
        *,
        door: Door,
        members: MergedMembers,
        keeping: Keeping,
        now: Callable[[], datetime],
    ) -> None:
        self._door = door
        self._members = members
        self._keeping = keeping
        self._now = now
        for path, route in (
            ("/members/<member_id>/merging", self.merge_member),
            ("/members/<member_id>/unmerging", self.unmerge_member),
        ):
            door.add("POST", path, route, tag=TAG, status=200)

    def merge_member(self, member_id: MemberId, body: MergeOrder) -> Response[MergeView]:
        """
        Make a member one with another: points, identities and waiting sales go over.

        The closed id stays known and says where it went; its entries and sales stay under it.
        """
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.MERGE_MEMBERS)
        if member_id == body.into:
            raise InvalidRequest(findings=[{"at": "/body/into", "reason": "the_same_member"}])

        def perform() -> Answer:
            now = self._now()
            record = self._members.merge(
                member_id,
                body.into,
                policies=self._keeping.program(now).policies(),
                merged_by=caller.subject,
                reason=body.reason,
                merged_at=now,
            )
            return Answer(status=200, body=merged(record))

        return self._door.once(perform)

    def unmerge_member(self, member_id: MemberId, body: UndoOrder) -> Response[MergeView]:
        """
        Make two members of what was merged: each has again what it brought.

        What was bound or earned since stays with the member who goes on.
        """
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.MERGE_MEMBERS)

        def perform() -> Answer:
            now = self._now()
            record = self._members.undo(
                member_id,
                policies=self._keeping.program(now).policies(),
                undone_by=caller.subject,
                reason=body.reason,
                undone_at=now,
            )
            return Answer(status=200, body=merged(record))

        return self._door.once(perform)
