"""What the members' lists have in common: whose they are, how long a page is, where it goes on."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from forecourt.callers import Caller
from forecourt.cursors import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from forecourt.loyalty_table import LoyaltyTable

PAGE = 20
PAGE_MAX = 100

MemberId = Annotated[str, Path(description="The member's id, or `me`")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]


def position(cursor: str | None, scope: str) -> str | None:
    """Return the id behind which a list goes on, or `None` at its beginning."""
    return read_cursor(cursor, scope=scope, parts=1)[0] if cursor is not None else None


def next_cursor(last_id: str | None, scope: str) -> str | None:
    """Return the cursor behind *last_id*, or `None` when the list ends there."""
    return make_cursor([last_id], scope=scope) if last_id else None


def require_reader(loyalty: LoyaltyTable, caller: Caller, member_id: str) -> None:
    """Raise `MemberErased` for members who were: what the books keep of them the staff may read."""
    if caller.subject == member_id:
        loyalty.refuse_erased(member_id)
