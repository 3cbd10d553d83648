"""Every route of the API behind a token."""

from __future__ import annotations

from forecourt.callers import OWN
from tests.e2e.member_routes import MEMBER_ROUTES
from tests.e2e.office_routes import OFFICE_ROUTES

ROUTES = {**MEMBER_ROUTES, **OFFICE_ROUTES}
PUBLIC = "GET /openapi.json"
# What names a member, and of that what members may do about themselves.
ABOUT_MEMBERS = [name for name in ROUTES if "{member_id}" in name]
OF_MEMBERS = [name for name in ABOUT_MEMBERS if ROUTES[name].needs in OWN]
