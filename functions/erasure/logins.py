"""The user pool: what a member signs in with goes when they are forgotten."""

from __future__ import annotations

from typing import Any

MEMBERS = "member"  # the pool's group of drivers; every other is of people who work here


class Logins:
    """The user pool *pool_id* behind the Cognito client *cognito*."""

    def __init__(self, cognito: Any, *, pool_id: str) -> None:
        self._cognito = cognito
        self._pool_id = pool_id

    def forget(self, member_id: str) -> bool:
        """
        Delete the user who is a member. `False`: there is none, as after every repeat.

        Whoever works here as well keeps the user and is no member any more.
        """
        username = self._username(member_id)
        if username is None:
            return False
        user = {"UserPoolId": self._pool_id, "Username": username}
        try:
            groups = self._cognito.admin_list_groups_for_user(**user)["Groups"]
            if {each["GroupName"] for each in groups} <= {MEMBERS}:
                self._cognito.admin_delete_user(**user)
            else:
                self._cognito.admin_remove_user_from_group(**user, GroupName=MEMBERS)
        except self._cognito.exceptions.UserNotFoundException:
            return False  # a repeat that runs at the same time was faster
        return True

    def _username(self, member_id: str) -> str | None:
        """Return the name of the user whose `sub` is the member's id; staff enrol others, too."""
        users = self._cognito.list_users(
            UserPoolId=self._pool_id, Filter=f'sub = "{member_id}"', Limit=1
        )["Users"]
        return users[0]["Username"] if users else None
