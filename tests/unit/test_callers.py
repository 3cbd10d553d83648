"""Who calls, and the whole table of what they may do."""

from __future__ import annotations

from typing import Any

import pytest

from forecourt.callers import GRANTS, OWN, Caller, Group, Permission, caller_of, groups_of
from forecourt.errors import Forbidden, Unauthenticated
from forecourt.member_errors import UnknownMember

# The table once more, in the words of the people in it: a change has to be made twice.
MAY = {
    Group.MEMBER: "",
    Group.ATTENDANT: (
        "enrol bind_identities answer_questions read_holds capture_holds release_holds "
        "quote_discounts give_back_points take_deposits"
    ),
    Group.MANAGER: (
        "enrol bind_identities unbind_identities change_members read_members read_profiles "
        "read_stations read_programs read_queues read_evidence decide_sales answer_questions "
        "adjust_points read_adjustments refund_points read_holds capture_holds release_holds "
        "read_budgets quote_discounts give_back_points award_points take_deposits refund_deposits"
    ),
    Group.OPERATOR: (
        "enrol bind_identities unbind_identities change_members read_members read_profiles "
        "erase_members merge_members read_stations change_stations read_programs change_programs "
        "read_weights change_weights read_queues read_evidence decide_sales reassign_sales "
        "answer_questions adjust_points read_adjustments decide_adjustments freeze_wallets "
        "refund_points spend_points read_holds capture_holds release_holds keep_pools "
        "read_budgets change_budgets quote_discounts give_back_points award_points "
        "issue_partner_points take_deposits refund_deposits"
    ),
    Group.AUDITOR: (
        "read_members read_stations read_programs read_weights read_queues read_adjustments "
        "read_holds read_budgets"
    ),
}
MAY_ABOUT_THEMSELVES = (
    "enrol bind_identities unbind_identities change_members read_members read_profiles "
    "answer_questions erase_members check_in spend_points read_holds release_holds keep_pools"
)


def caller(*groups: Group) -> Caller:
    return Caller(subject="sub-1", groups=frozenset(groups))


def test_every_group_has_its_row() -> None:
    assert set(GRANTS) == set(MAY) == set(Group)


@pytest.mark.parametrize("group", Group)
@pytest.mark.parametrize("permission", Permission)
def test_each_group_may_what_is_agreed_and_nothing_else(
    group: Group, permission: Permission
) -> None:
    agreed = permission in MAY[group].split()

    assert caller(group).may(permission) is agreed
    if agreed:
        caller(group).require(permission)
    else:
        with pytest.raises(Forbidden):
            caller(group).require(permission)


@pytest.mark.parametrize("permission", Permission)
def test_members_may_about_themselves_what_is_agreed(permission: Permission) -> None:
    agreed = permission in MAY_ABOUT_THEMSELVES.split()

    assert (permission in OWN) is agreed
    assert caller(Group.MEMBER).may_about("sub-1", permission) is agreed
    assert not caller(Group.MEMBER).may_about("sub-2", permission)


def test_an_auditor_holds_no_permission_to_write() -> None:
    assert all(permission.startswith("read_") for permission in GRANTS[Group.AUDITOR])


def test_groups_add_up() -> None:
    both = caller(Group.AUDITOR, Group.ATTENDANT)

    assert both.may(Permission.READ_MEMBERS)
    assert both.may(Permission.ENROL)


def test_nobody_without_a_group_may_anything() -> None:
    assert caller().granted == frozenset()
    with pytest.raises(UnknownMember):
        caller().member_named("me", Permission.READ_MEMBERS)


def test_me_is_the_caller() -> None:
    assert caller(Group.MEMBER).member_named("me", Permission.READ_MEMBERS) == "sub-1"
    assert caller(Group.MEMBER).member_named("sub-1", Permission.READ_MEMBERS) == "sub-1"


def test_to_a_member_others_are_unknown() -> None:
    with pytest.raises(UnknownMember) as caught:
        caller(Group.MEMBER).member_named("sub-2", Permission.READ_MEMBERS)

    assert caught.value.member_id == "sub-2"


def test_staff_without_the_permission_are_told_so() -> None:
    for groups in ([Group.ATTENDANT], [Group.ATTENDANT, Group.MEMBER]):
        with pytest.raises(Forbidden):
            caller(*groups).member_named("sub-2", Permission.READ_MEMBERS)


@pytest.mark.parametrize("named", ["a#b", "x" * 65, "", "-a", "李"])
def test_what_cannot_be_an_id_is_nobodys(named: str) -> None:
    with pytest.raises(UnknownMember):
        caller(Group.OPERATOR).member_named(named, Permission.READ_MEMBERS)


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        ("[operator member]", {Group.OPERATOR, Group.MEMBER}),
        ("[operator]", {Group.OPERATOR}),
        ("operator", {Group.OPERATOR}),
        ("[operator, member]", {Group.OPERATOR, Group.MEMBER}),
        (["operator", "member"], {Group.OPERATOR, Group.MEMBER}),
        ("[]", set()),
        ("", set()),
        ("[admins]", set()),
    ],
)
def test_groups_are_read_however_they_arrive(claim: Any, groups: set[Group]) -> None:
    assert groups_of(claim) == groups


def test_a_caller_is_what_the_authorizer_says() -> None:
    claims = {"sub": "sub-1", "cognito:groups": "[auditor]"}

    found = caller_of({"requestContext": {"authorizer": {"jwt": {"claims": claims}}}})

    assert found == caller(Group.AUDITOR)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": {"jwt": {"claims": {}}}},
        {"authorizer": {"jwt": {"claims": {"sub": "a b"}}}},
    ],
)
def test_without_claims_there_is_no_caller(context: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        caller_of({"requestContext": context})
