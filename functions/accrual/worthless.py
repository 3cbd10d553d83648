"""What earns nothing is an answer as well, and goes where the member's account went."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forecourt.ledger.refusals import AccountMerged

if TYPE_CHECKING:
    from forecourt.ledger import Account, Policies
    from forecourt.ledger.commands import EarnNothing
    from forecourt.ledger_table import LedgerTable


def note(
    ledger: LedgerTable,
    command: EarnNothing,
    *,
    policies: Policies,
    account: Account | None = None,
) -> bool:
    """
    Keep that something was judged and earned nothing. `False`: it was judged before.

    A refund that waited for it is answered in the same step.
    """
    answer = ledger.execute(command, policies=policies, account=account)
    while isinstance(answer.refusal, AccountMerged):
        command = replace(command, owner=answer.refusal.into)
        answer = ledger.execute(command, policies=policies)
    return not answer.repeated
