"""A route of the API behind a token: who passes, and a call that shows it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.traces import PREFIX

if TYPE_CHECKING:
    from forecourt.callers import Permission
    from infra.local.api_client import ApiClient

NO_MEMBER = f"{PREFIX}nobody"
NO_SALE = f"20261123T081500Z.{PREFIX}nowhere.SN1.1.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One route: what it takes to pass, who passes, and the code of what they find missing.

    A path's `{member}` is somebody enrolled, not the caller. What passes and finds nothing is
    answered 404 with another code than a refusal has.
    """

    needs: Permission
    staff: frozenset[str]
    path: str
    body: Any = None
    code: str | None = None


def route(
    needs: Permission, staff: str, path: str, body: Any = None, *, code: str | None = None
) -> Route:
    return Route(needs=needs, staff=frozenset(staff.split()), path=path, body=body, code=code)


def passed(route: Route, status: int, document: Any) -> bool:
    """Return whether the caller got behind the door, and what a caller there gets."""
    if route.code is None:
        return status in {200, 201, 202}
    return status == 404 and document["code"] == route.code


def call(caller: ApiClient, name: str, path: str, body: Any) -> tuple[int, Any]:
    method, _ = name.split(" ")
    key = None if method == "GET" else secrets.token_hex(8)
    return caller.send(method, path, body, key=key)
