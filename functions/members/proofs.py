"""The route that proves an entry to whoever knows the root of its day."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.booking_errors import EntryNotBooked, UnknownPool
from forecourt.bookshelf import Bookshelf
from forecourt.callers import Caller, Group, Permission
from forecourt.doors import Door
from forecourt.errors import Forbidden
from forecourt.instants import format_instant
from forecourt.ledger.chain import content_of
from forecourt.ledger.daybook import day_of
from forecourt.ledger.entries import BUDGET_PREFIX, POOL_PREFIX
from forecourt.loyalty_table import LoyaltyTable
from forecourt.pools_table import PoolsTable
from functions.members.bodies import ProofView
from functions.members.pages import require_reader

TAG = "members"

OWNER_MAX = 80  # characters: a pool's is the longest, with what says that it is one

OwnerId = Annotated[
    str,
    Path(
        description="The member's id, or `me`; or `pool:` and a pool's, `budget:` and a budget's",
        max_length=OWNER_MAX,
        examples=["me", "pool:p-9f86d081884c7d659a2feaa0c55ad015", "budget:spring-2027"],
    ),
]
EntryId = Annotated[
    str, Path(max_length=256, examples=["20261123T081500Z.s0001.SN4711.3.4711.123456789"])
]


class ProofRoutes:
    """The route, the entries, who heads which pool, and the books."""

    def __init__(
        self, *, door: Door, loyalty: LoyaltyTable, pools: PoolsTable, shelf: Bookshelf
    ) -> None:
        self._door = door
        self._loyalty = loyalty
        self._pools = pools
        self._shelf = shelf
        path = "/members/<member_id>/entries/<entry_id>/proof"
        door.add("GET", path, self.prove_entry, tag=TAG, status=200)

    def prove_entry(self, member_id: OwnerId, entry_id: EntryId) -> Response[ProofView]:
        """
        Prove that an entry, a member's, a pool's or a budget's, is in the book of its day.

        Its day must have been closed, which happens the night after. `docs/check_proof.py`
        checks the answer. A pool's entries are proved to its head and to who reads members', a
        budget's to who reads budgets.
        """
        entry = self._loyalty.entry(self._owner_named(member_id), entry_id)
        found = self._shelf.prove(entry)
        if found is None:
            last = self._shelf.last()
            raise EntryNotBooked(
                entry_id, posted_on=day_of(entry), closed_until=last.day if last else None
            )
        book, proof = found
        return self._door.show(
            {
                "business_day": book.day.isoformat(),
                "closed_at": format_instant(book.closed_at),
                "content": content_of(entry),
                "index": proof.index,
                "size": proof.size,
                "path": [each.hex() for each in proof.path],
                "root": book.root,
            }
        )

    def _owner_named(self, named: str) -> str:
        """Return whose entries are *named*, if the caller may have them proved."""
        caller = self._door.caller
        if named.startswith(BUDGET_PREFIX):
            caller.require(Permission.READ_BUDGETS)
            return named
        if named.startswith(POOL_PREFIX):
            if not caller.may(Permission.READ_MEMBERS):
                self._require_head(caller, named.removeprefix(POOL_PREFIX))
            return named
        member_id = caller.member_named(named, Permission.READ_MEMBERS)
        require_reader(self._loyalty, caller, member_id)
        return member_id

    def _require_head(self, caller: Caller, pool_id: str) -> None:
        """Raise `UnknownPool` for members but the pool's head, and `Forbidden` for the staff."""
        if caller.groups - {Group.MEMBER}:
            raise Forbidden
        if self._pools.pool(pool_id).head != caller.subject:
            raise UnknownPool(pool_id)
