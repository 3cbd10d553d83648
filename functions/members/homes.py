"""Where members are, as their accounts have to know it."""

from collections.abc import Callable
from datetime import UTC, datetime

from forecourt.instants import compact_instant
from forecourt.keeping import Keeping
from forecourt.ledger.commands import SetZone
from forecourt.ledger_table import LedgerTable
from forecourt.members_table import MembersTable
from forecourt.statements import Statements


def _now() -> datetime:
    return datetime.now(UTC)


class Homes:
    """
    Tells the accounts a member has in which zone the member is.

    The ledger reads it on the account it works on anyway, never in the profile; only an account
    that begins looks there (`forecourt.ledger.procedure`).
    """

    def __init__(
        self,
        *,
        members: MembersTable,
        statements: Statements,
        ledger: LedgerTable,
        keeping: Keeping,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._members = members
        self._statements = statements
        self._ledger = ledger
        self._keeping = keeping
        self._now = now

    def tell(self, member_id: str, *, by: str, request_id: str) -> None:
        """
        Let every open account go by the zone in the profile.

        It ends when there is none that goes by another, so it makes good what an earlier attempt
        left undone, and of two changes at once the one in the profile counts.
        """
        while True:
            zone = self._members.member(member_id).zone
            behind = [
                account
                for account in self._statements.accounts(member_id)
                if account.zone != zone and account.merged_into is None
            ]
            if not behind:
                return
            now = self._now()
            policies = self._keeping.program(now).policies()
            for account in behind:
                name = f"{account.wallet}.{account.version}.{request_id[:16]}"
                command = SetZone(
                    entry_id=f"{compact_instant(now)}.set_zone.{name}",
                    owner=member_id,
                    wallet=account.wallet,
                    source=f"request:{request_id[:16]}",
                    reason="profile",
                    actor=by,
                    occurred_at=now,
                    zone=zone,
                )
                self._ledger.execute(command, policies=policies, account=account).posted()
