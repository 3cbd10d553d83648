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
        """
        Return the name of the user whose `sub` is the member's id, `None` when there is none.

        Whom staff enrolled has no user.
        """
        arguments = {"UserPoolId": self._pool_id, "Filter": f'sub = "{member_id}"'}
        while True:
            page = self._cognito.list_users(**arguments)
            for user in page["Users"]:
                username: str = user["Username"]
                return username
            if "PaginationToken" not in page:
                return None
            arguments["PaginationToken"] = page["PaginationToken"]
