"""
The points of a sale whose judgement depends on its member's tier.

The growth account moves on, so a record that comes again may be judged otherwise than at first.
The first judgement stands: it is what the member was told, and every later one is a repeat.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from forecourt.errors import EntryConflict
from forecourt.ledger import Answer, Entry, EntryKind
from forecourt.ledger.procedure import EntryKey, KeptRefusal
from forecourt.ledger.refusals import ledger_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt.ledger import Account, Policies
    from forecourt.ledger.commands import Earn
    from forecourt.ledger_table import LedgerTable
    from forecourt.program import Program


def earning(ledger: LedgerTable, program: Program | None) -> Callable[..., Answer | None]:
    """Return what posts points that *program* gives: without tiers they are always the same."""
    by_tier = program is not None and program.tiers is not None
    return partial(earn_once, ledger) if by_tier else ledger.execute


def earn_once(
    ledger: LedgerTable, command: Earn, *, policies: Policies, account: Account | None = None
) -> Answer | None:
    """
    Post what a sale earns, or return what it was judged to earn before.

    `None`: it was judged worth nothing before. Raises `EntryConflict` when the id stands for
    anything but that sale's points.
    """
    try:
        return ledger.execute(command, policies=policies, account=account)
    except EntryConflict:
        match ledger.answered(EntryKey(command.owner, command.entry_id)):
            case Entry() as entry if _is_of_the_sale(entry, command):
                return Answer(entry=entry, repeated=True)
            case KeptRefusal(code=code, facts=facts):
                return Answer(refusal=ledger_refusal(code, facts), repeated=True)
            case "evaluation":
                return None
            case _:
                raise


def _is_of_the_sale(entry: Entry, command: Earn) -> bool:
    return (entry.kind, entry.source, entry.occurred_at, entry.wallet) == (
        EntryKind.EARN,
        command.source,
        command.occurred_at,
        command.wallet,
    )
