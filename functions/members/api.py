"""
The routes of the members API.

A member sees and changes their own data, under their id or `me`; what the staff may do is in
`forecourt.callers`. Answers to writes name what was written and repeat nothing personal,
because they are kept for retries.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path

from forecourt.callers import ME, Caller, Permission
from forecourt.doors import Door
from forecourt.errors import InvalidRequest
from forecourt.hashes import EvidenceKey
from forecourt.identities_table import BoundIdentity, IdentitiesTable
from forecourt.identity import mask, normalise
from forecourt.identity_writes import IDENTITIES_MAX
from forecourt.instants import format_instant
from forecourt.keyring import KeyRing
from forecourt.loyalty_table import LoyaltyTable
from forecourt.member_errors import UnknownIdentity
from forecourt.members_table import Member, MembersTable
from forecourt.once import Answer
from forecourt.sales import EvidenceKind
from forecourt.sales_table import SalesTable
from forecourt.shapes import zone_exists
from forecourt.statements import Judgement, Statements
from forecourt.stored_sales import StoredSale
from functions.members.bodies import (
    Binding,
    BoundView,
    EnrolledView,
    Enrolment,
    IdentitiesView,
    MemberView,
    Profile,
    SalesView,
)
from functions.members.homes import Homes
from functions.members.pages import (
    PAGE,
    Cursor,
    Limit,
    MemberId,
    next_cursor,
    position,
    require_reader,
)

TAG = "members"

_IDENTITY_ID = re.compile(rf"({'|'.join(EvidenceKind)})\.((?:[1-9][0-9]*\.)?[A-Za-z0-9_-]{{22}})")
_ETAG = re.compile(r'"([0-9]{1,9})"')

IdentityId = Annotated[str, Path(examples=["plate.Uo5XbYpSWDcTYGQSP4XkFw"])]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", description='The `ETag` of the profile, as `"3"`')
]


def _now() -> datetime:
    return datetime.now(UTC)


class MembersApi:
    """The routes, and the tables behind them; *ring* has the keys of the identities' hashes."""

    def __init__(
        self,
        *,
        door: Door,
        members: MembersTable,
        statements: Statements,
        identities: IdentitiesTable,
        sales: SalesTable,
        homes: Homes,
        loyalty: LoyaltyTable,
        ring: Callable[[], KeyRing],
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._door = door
        self._members = members
        self._statements = statements
        self._identities = identities
        self._sales = sales
        self._homes = homes
        self._loyalty = loyalty
        self._ring = ring
        self._now = now
        member, bound = "/members/<member_id>", "/members/<member_id>/identities"
        for method, path, route, status in (
            ("POST", "/members", self.enrol, 201),
            ("GET", member, self.show_member, 200),
            ("PATCH", member, self.change_profile, 200),
            ("POST", f"{member}/erasure", self.erase_member, 202),
            ("GET", bound, self.list_identities, 200),
            ("POST", bound, self.bind_identity, 201),
            ("DELETE", f"{bound}/<identity_id>", self.unbind_identity, 204),
            ("GET", f"{member}/sales", self.list_sales, 200),
        ):
            door.add(method, path, route, tag=TAG, status=status)

    def enrol(self, body: Enrolment) -> Response[EnrolledView]:
        """Enrol the caller or, by staff, somebody who has no account yet."""
        caller = self._door.caller
        _require_zone(body)
        member_id = enrolled_id(caller, key=self._door.key, oneself=body.member_id == ME)
        profile = body.model_dump(mode="json", exclude_none=True, exclude={"member_id"})

        def perform() -> Answer:
            member, new = self._members.enrol(
                member_id, profile, enrolled_by=caller.subject, enrolled_at=self._now()
            )
            return Answer(
                status=201 if new else 200,
                body=_enrolled(member),
                headers={"Location": f"/members/{member_id}"},
            )

        return self._door.once(perform)

    def show_member(self, member_id: MemberId) -> Response[MemberView]:
        """Show a member; the profile only to themselves, managers and operators."""
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.READ_MEMBERS)
        member = self._members.member(member_id)
        if caller.may_about(member_id, Permission.READ_PROFILES):
            member = self._members.open(member)
        return self._door.show(
            {
                **_enrolled(member),
                "status": member.status,
                "merged_into": member.merged_into,
                "profile": member.profile,
            },
            headers={"ETag": f'"{member.version}"'},
        )

    def change_profile(
        self, member_id: MemberId, body: Profile, if_match: IfMatch = None
    ) -> Response[EnrolledView]:
        """
        Change what is given; null clears a field, an absent field stays as it is.

        A member's wallets go by another `zone` from now on: what is over, stays over.
        """
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.CHANGE_MEMBERS)
        _require_zone(body)
        expected = _version_in(if_match)
        changes = body.model_dump(mode="json", exclude_unset=True)

        def perform() -> Answer:
            member = self._members.change(member_id, changes, expected_version=expected)
            if "zone" in changes:
                self._homes.tell(member_id, by=caller.subject, request_id=self._door.request_id)
            headers = {"ETag": f'"{member.version}"'}
            return Answer(status=200, body=_enrolled(member), headers=headers)

        return self._door.once(perform)

    def erase_member(self, member_id: MemberId) -> Response[EnrolledView]:
        """
        Forget a member for good: profile, identities, habits, and who made which sale.

        Their points are lost to them. The books keep the movements under an id that names nobody.
        """
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.ERASE_MEMBERS)

        def perform() -> Answer:
            member = self._members.erase(member_id, erased_by=caller.subject, erased_at=self._now())
            return Answer(status=202, body=_enrolled(member))

        return self._door.once(perform)

    def list_identities(self, member_id: MemberId) -> Response[IdentitiesView]:
        """List what is bound to a member, masked."""
        member_id = self._door.caller.member_named(member_id, Permission.READ_MEMBERS)
        identities = self._identities.identities(member_id)
        if not identities:
            self._loyalty.require_member(member_id)
        return self._door.show(
            {"identities": [_identity(each) for each in identities], "limit": IDENTITIES_MAX}
        )

    def bind_identity(self, member_id: MemberId, body: Binding) -> Response[BoundView]:
        """
        Bind a plate, phone, card, payment account or ETC tag to a member.

        A plate and a card may be several members': a family's car, a fleet's card.
        """
        member_id = self._door.caller.member_named(member_id, Permission.BIND_IDENTITIES)
        value = normalise(body.kind, body.value)
        key, *others = self._ring().hashes(body.kind, value)

        def perform() -> Answer:
            bound = self._identities.bind(
                member_id, key, value, others=others, bound_at=self._now()
            )
            return Answer(status=201 if bound.new else 200, body=_bound(bound.key, bound.bound_at))

        return self._door.once(perform)

    def unbind_identity(self, member_id: MemberId, identity_id: IdentityId) -> Response[None]:
        """Unbind an identity; sales it was seen at stay where they are."""
        member_id = self._door.caller.member_named(member_id, Permission.UNBIND_IDENTITIES)
        match = _IDENTITY_ID.fullmatch(identity_id)
        if not match:
            raise UnknownIdentity(identity_id)
        key = EvidenceKey(kind=match[1], digest=match[2])

        def perform() -> Answer:
            self._loyalty.refuse_erased(member_id)
            self._identities.unbind(member_id, key, unbound_at=self._now())
            return Answer(status=204)

        return self._door.once(perform)

    def list_sales(
        self, member_id: MemberId, limit: Limit = PAGE, cursor: Cursor = None
    ) -> Response[SalesView]:
        """List a member's sales and what each earned, newest first."""
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.READ_MEMBERS)
        require_reader(self._loyalty, caller, member_id)
        scope = f"sales/{member_id}"
        page = self._statements.page(
            member_id, limit=limit, after=position(cursor, scope), entries_only=False
        )
        judgements = page.judgements()
        if not judgements and cursor is None:
            self._members.member(member_id)
        stored = self._sales.sales([each.sale_id for each in judgements])
        # What was given to somebody else since is theirs to see.
        given = [each for each in judgements if has(stored[each.sale_id], each.entry_id)]
        late = {
            each.entry_id: told.difference_id(each.entry_id)
            for each in given
            if (told := stored[each.sale_id].basket) and each.entry_id in told.after
        }
        differences = self._statements.judged(member_id, list(late.values()))
        return self._door.show(
            {
                "sales": [
                    _sale(
                        stored[each.sale_id],
                        each,
                        differences.get(late.get(each.entry_id, "")),
                    )
                    for each in given
                ],
                "next_cursor": next_cursor(page.last_id, scope),
            }
        )


def has(stored: StoredSale, entry_id: str) -> bool:
    """Return whether that entry, which is in the member's account, gives them the sale still."""
    return any(each.entry_id == entry_id for each in stored.held)


def enrolled_id(caller: Caller, *, key: str, oneself: bool) -> str:
    """
    Return the id a new member gets: the caller's own, or one derived from caller and key.

    Derived, so that a request that died after the enrolment enrols nobody else when it comes
    again. Staff enrol others unless they say `me`.
    """
    if oneself or not caller.may(Permission.ENROL):
        return caller.member_named(ME, Permission.ENROL)
    derived = hashlib.sha256(f"{caller.subject}\n{key}".encode("utf-8", "surrogatepass"))
    return f"m-{derived.hexdigest()[:32]}"


def _require_zone(profile: Profile) -> None:
    if profile.zone is not None and not zone_exists(profile.zone):
        raise InvalidRequest(findings=[{"at": "/body/zone", "reason": "unknown_zone"}])


def _version_in(if_match: str | None) -> int | None:
    if if_match in (None, "*"):
        return None
    match = _ETAG.fullmatch(if_match)
    if not match:
        raise InvalidRequest(findings=[{"at": "/header/If-Match", "reason": "not_an_etag"}])
    return int(match[1])


def _enrolled(member: Member) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "version": member.version,
        "enrolled_at": format_instant(member.enrolled_at),
    }


def _bound(key: EvidenceKey, bound_at: datetime) -> dict[str, Any]:
    return {
        "identity_id": f"{key.kind}.{key.digest}",
        "kind": str(key.kind),
        "bound_at": format_instant(bound_at),
    }


def _identity(identity: BoundIdentity) -> dict[str, Any]:
    return {**_bound(identity.key, identity.bound_at), "masked": mask(identity.value)}


def _sale(stored: StoredSale, judged: Judgement, difference: Judgement | None) -> dict[str, Any]:
    """Return a sale with what it earned, together with what a late receipt changed about that."""
    sale = stored.sale
    return {
        "sale_id": sale.sale_id,
        "station_id": sale.key.station_id,
        "nozzle": sale.key.nozzle,
        "grade": sale.grade,
        "volume_ml": sale.volume_ml,
        "amount_fen": sale.amount_fen,
        "unit_price_milli_per_litre": sale.unit_price_milli_per_litre,
        "completed_at": format_instant(sale.key.completed_at),
        "points": judged.points + (difference.points if difference else 0),
        "program_version": judged.program_version,
        "trace": [dict(each) for each in (difference or judged).trace],
    }
