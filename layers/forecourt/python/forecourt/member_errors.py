"""
What is refused about members, their identities and their entries.

* Unknown
  - UnknownMember
  - UnknownIdentity
  - UnknownEntry
* Rejected
  - AlreadyEnrolled
  - MemberErased
  - MemberMerged
  - MemberNotMerged
  - IdentityTaken
  - TooManyIdentities
"""

from __future__ import annotations

from forecourt.errors import Rejected, Unknown


class UnknownMember(Unknown):
    """No member is enrolled under that id."""

    code = "unknown_member"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class UnknownIdentity(Unknown):
    """The member has no such identity bound."""

    code = "unknown_identity"

    def __init__(self, identity_id: str) -> None:
        super().__init__(identity_id)
        self.identity_id = identity_id


class UnknownEntry(Unknown):
    """The member has no such entry."""

    code = "unknown_entry"

    def __init__(self, entry_id: str) -> None:
        super().__init__(entry_id)
        self.entry_id = entry_id


class AlreadyEnrolled(Rejected):
    """The member exists, with another profile than the one asked for."""

    code = "already_enrolled"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class MemberErased(Rejected):
    """There was a member under that id, who has been forgotten; the id is not given out again."""

    code = "member_erased"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class MemberMerged(Rejected):
    """The member's record went into another, under which they go on."""

    code = "member_merged"

    def __init__(self, *, member_id: str, into: str) -> None:
        super().__init__(member_id, into)
        self.member_id = member_id
        self.into = into


class MemberNotMerged(Rejected):
    """The member's record is not merged into another, so there is nothing to undo."""

    code = "member_not_merged"

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


class IdentityTaken(Rejected):
    """The identity is another member's, or as many members' as may share it; whose is not said."""

    code = "identity_taken"

    def __init__(self, *, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class TooManyIdentities(Rejected):
    """The member holds as many identities as a member may."""

    code = "too_many_identities"

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit
