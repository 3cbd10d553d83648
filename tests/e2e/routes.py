"""Every route of the API behind a token."""

from __future__ import annotations

from forecourt.callers import OWN
from tests.e2e.office_routes import OFFICE_ROUTES
from tests.e2e.points_routes import POINTS_ROUTES

# In this order: a learning that was started among the first is over after the last, and what
# is in the tables stands still again before the next group is refused something.
ROUTES = {**OFFICE_ROUTES, **POINTS_ROUTES}
PUBLIC = "GET /openapi.json"
# What names a member, and of that what members may do about themselves.
ABOUT_MEMBERS = [name for name in ROUTES if "{member_id}" in name]
OF_MEMBERS = [name for name in ABOUT_MEMBERS if ROUTES[name].needs in OWN]
