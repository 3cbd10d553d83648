"""
Who calls, and what they may do: the one table of permissions.

A caller is what the authorizer's claims say. A member may do what `OWN` lists with their own
data; the groups of the staff may do what `GRANTS` lists with everybody's. To a member,
another member's id is as unknown as one that was never given out.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.errors import Forbidden, Unauthenticated
from forecourt.member_errors import UnknownMember
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMBER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
ME = "me"


class Group(StrEnum):
    """The groups of the user pool."""

    MEMBER = "member"
    ATTENDANT = "attendant"
    MANAGER = "manager"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What may be allowed."""

    ENROL = "enrol"
    BIND_IDENTITIES = "bind_identities"
    UNBIND_IDENTITIES = "unbind_identities"
    CHANGE_MEMBERS = "change_members"
    ERASE_MEMBERS = "erase_members"
    MERGE_MEMBERS = "merge_members"
    READ_MEMBERS = "read_members"
    READ_PROFILES = "read_profiles"
    READ_STATIONS = "read_stations"
    CHANGE_STATIONS = "change_stations"
    READ_PROGRAMS = "read_programs"
    CHANGE_PROGRAMS = "change_programs"
    READ_WEIGHTS = "read_weights"
    CHANGE_WEIGHTS = "change_weights"
    READ_QUEUES = "read_queues"
    READ_EVIDENCE = "read_evidence"
    DECIDE_SALES = "decide_sales"
    REASSIGN_SALES = "reassign_sales"
    ANSWER_QUESTIONS = "answer_questions"
    CHECK_IN = "check_in"
    ADJUST_POINTS = "adjust_points"
    READ_ADJUSTMENTS = "read_adjustments"
    DECIDE_ADJUSTMENTS = "decide_adjustments"
    FREEZE_WALLETS = "freeze_wallets"
    REFUND_POINTS = "refund_points"
    QUOTE_DISCOUNTS = "quote_discounts"
    SPEND_POINTS = "spend_points"
    READ_HOLDS = "read_holds"
    CAPTURE_HOLDS = "capture_holds"
    RELEASE_HOLDS = "release_holds"
    GIVE_BACK_POINTS = "give_back_points"
    KEEP_POOLS = "keep_pools"
    READ_BUDGETS = "read_budgets"
    CHANGE_BUDGETS = "change_budgets"
    TAKE_DEPOSITS = "take_deposits"
    REFUND_DEPOSITS = "refund_deposits"
    AWARD_POINTS = "award_points"
    ISSUE_PARTNER_POINTS = "issue_partner_points"


OWN = frozenset(
    {
        Permission.ENROL,
        Permission.BIND_IDENTITIES,
        Permission.UNBIND_IDENTITIES,
        Permission.CHANGE_MEMBERS,
        Permission.ERASE_MEMBERS,
        Permission.READ_MEMBERS,
        Permission.READ_PROFILES,
        Permission.ANSWER_QUESTIONS,
        Permission.CHECK_IN,
        Permission.SPEND_POINTS,
        Permission.READ_HOLDS,
        Permission.RELEASE_HOLDS,
        Permission.KEEP_POOLS,
    }
)
# That somebody is there is their own app's word, and nobody else's.
PERSONAL = frozenset({Permission.CHECK_IN})
# What a member is set back by is for themselves to do, or for head office in their name.
WEIGHTY = frozenset({Permission.ERASE_MEMBERS, Permission.SPEND_POINTS, Permission.KEEP_POOLS})
GRANTS: Mapping[Group, frozenset[Permission]] = {
    Group.MEMBER: frozenset(),
    # Whom an attendant serves may say at the counter which sales are theirs. What they pay with
    # points they set aside themselves; an attendant takes no more than that, and gives back no
    # more than they took.
    Group.ATTENDANT: frozenset(
        {
            Permission.ENROL,
            Permission.BIND_IDENTITIES,
            Permission.ANSWER_QUESTIONS,
            Permission.QUOTE_DISCOUNTS,
            Permission.READ_HOLDS,
            Permission.CAPTURE_HOLDS,
            Permission.RELEASE_HOLDS,
            Permission.GIVE_BACK_POINTS,
            Permission.TAKE_DEPOSITS,
        }
    ),
    Group.MANAGER: OWN - PERSONAL - WEIGHTY
    | {
        Permission.CAPTURE_HOLDS,
        Permission.GIVE_BACK_POINTS,
        Permission.READ_STATIONS,
        Permission.READ_PROGRAMS,
        Permission.READ_QUEUES,
        Permission.READ_EVIDENCE,
        Permission.DECIDE_SALES,
        Permission.ADJUST_POINTS,
        Permission.READ_ADJUSTMENTS,
        Permission.REFUND_POINTS,
        Permission.QUOTE_DISCOUNTS,
        Permission.READ_BUDGETS,
        Permission.TAKE_DEPOSITS,
        Permission.REFUND_DEPOSITS,
        Permission.AWARD_POINTS,
    },
    Group.OPERATOR: frozenset(Permission) - PERSONAL,
    Group.AUDITOR: frozenset(
        {
            Permission.READ_MEMBERS,
            Permission.READ_STATIONS,
            Permission.READ_PROGRAMS,
            Permission.READ_WEIGHTS,
            Permission.READ_QUEUES,
            Permission.READ_ADJUSTMENTS,
            Permission.READ_BUDGETS,
            Permission.READ_HOLDS,
        }
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody with a valid token: the token's subject and the groups it names."""

    subject: str
    groups: frozenset[Group]

    @property
    def granted(self) -> frozenset[Permission]:
        """Return what the caller may do with everybody's data."""
        return frozenset().union(*(GRANTS[group] for group in self.groups))

    def may(self, permission: Permission) -> bool:
        """Return whether the caller may do that with everybody's data."""
        return permission in self.granted

    def may_about(self, member_id: str, permission: Permission) -> bool:
        """Return whether the caller may do that with this member's data."""
        own = member_id == self.subject and Group.MEMBER in self.groups and permission in OWN
        return own or self.may(permission)

    def require(self, permission: Permission) -> None:
        """Raise `Forbidden` unless the caller may do that with everybody's data."""
        if not self.may(permission):
            raise Forbidden

    def member_named(self, named: str, permission: Permission) -> str:
        """
        Return the id of the member *named* in a path, `me` being the caller.

        Staff without the permission are told so, for every id alike; a member asking for
        somebody else's is told that there is nobody.
        """
        member_id = self.subject if named == ME else named
        if not self.may_about(member_id, permission):
            if self.groups - {Group.MEMBER}:
                raise Forbidden
            raise UnknownMember(named)
        if not MEMBER_ID.fullmatch(member_id):
            raise UnknownMember(named)
        return member_id


def caller_of(event: Mapping[str, Any]) -> Caller:
    """Return who sent an HTTP API request; raise `Unauthenticated`."""
    try:
        claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
        subject = claims["sub"]
    except (KeyError, TypeError):
        raise Unauthenticated from None
    if not MEMBER_ID.fullmatch(subject):
        raise Unauthenticated
    return Caller(subject=subject, groups=groups_of(claims.get("cognito:groups", "")))


def groups_of(claim: str | list[str]) -> frozenset[Group]:
    """
    Return the groups a claim names: a list, or the string HTTP APIs make of one.

    `[operator member]` is what API Gateway passes on. Groups we do not know grant nothing.
    """
    names = claim if isinstance(claim, list) else re.split(r"[\s,]+", claim.strip("[]"))
    return frozenset(Group(name) for name in names if name in set(Group))
