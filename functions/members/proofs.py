"""The route that proves an entry to whoever knows the root of its day."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from forecourt.bookshelf import Bookshelf
from forecourt.callers import Permission
from forecourt.doors import Door
from forecourt.errors import EntryNotBooked
from forecourt.instants import format_instant
from forecourt.ledger.chain import content_of
from forecourt.ledger.daybook import day_of
from forecourt.loyalty_table import LoyaltyTable
from functions.members.bodies import ProofView
from functions.members.pages import require_reader

TAG = "members"

MemberId = Annotated[str, Path(description="The member's id, or `me`")]
EntryId = Annotated[
    str, Path(max_length=256, examples=["20261123T081500Z.s0001.SN4711.3.4711.123456789"])
]


class ProofRoutes:
    """The route, the entries and the books."""

    def __init__(self, *, door: Door, loyalty: LoyaltyTable, shelf: Bookshelf) -> None:
        self._door = door
        self._loyalty = loyalty
        self._shelf = shelf
        path = "/members/<member_id>/entries/<entry_id>/proof"
        door.add("GET", path, self.prove_entry, tag=TAG, status=200)

    def prove_entry(self, member_id: MemberId, entry_id: EntryId) -> Response[ProofView]:
        """
        Prove that an entry is in the book of its day.

        Its day must have been closed, which happens the night after. `docs/check_proof.py`
        checks the answer.
        """
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.READ_MEMBERS)
        require_reader(self._loyalty, caller, member_id)
        entry = self._loyalty.entry(member_id, entry_id)
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
