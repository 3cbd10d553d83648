"""The routes for what a member has, and for the entries it is made of."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from forecourt.booking_fields import WALLET
from forecourt.callers import Permission
from forecourt.doors import Door
from forecourt.instants import business_day, format_instant
from forecourt.keeping import Keeping
from forecourt.ledger import POINTS_WALLET, Account, Entry, Leg, settled, wallet_of
from forecourt.ledger.draft import spending_order
from forecourt.ledger.entries import DEBT
from forecourt.loyalty_table import LoyaltyTable
from forecourt.members_table import MembersTable
from forecourt.multiples import ONCE_BASIS_POINTS
from forecourt.program import Program
from forecourt.statements import Statements
from forecourt.tiers import Tiers, value_on
from forecourt.wallets import GROWTH_WALLET
from functions.members.pages import (
    PAGE,
    Cursor,
    Limit,
    MemberId,
    next_cursor,
    position,
    require_reader,
)
from functions.members.wallet_bodies import EntriesView, TierView, WalletsView, WalletView

TAG = "members"

WalletName = Annotated[str, Query(pattern=WALLET, examples=["points", "stored_value"])]


def _now() -> datetime:
    return datetime.now(UTC)


class WalletRoutes:
    """The routes, the accounts, and the program that says what counts today."""

    def __init__(
        self,
        *,
        door: Door,
        members: MembersTable,
        loyalty: LoyaltyTable,
        statements: Statements,
        keeping: Keeping,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._door = door
        self._members = members
        self._loyalty = loyalty
        self._statements = statements
        self._keeping = keeping
        self._now = now
        member = "/members/<member_id>"
        for path, route in (
            (f"{member}/points", self.show_points),
            (f"{member}/wallets", self.list_wallets),
            (f"{member}/entries", self.list_entries),
            (f"{member}/tier", self.show_tier),
        ):
            door.add("GET", path, route, tag=TAG, status=200)

    def show_points(
        self, member_id: MemberId, wallet: WalletName = POINTS_WALLET
    ) -> Response[WalletView]:
        """Show what a member can spend today out of one wallet, and all that is in it."""
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.READ_MEMBERS)
        account = self._loyalty.account(member_id, wallet)
        if account.version == 0:
            self._members.member(member_id)
        if account.version == 0 or account.frozen:
            # Who was erased has a frozen account; to ask with every balance would double its cost.
            require_reader(self._loyalty, caller, member_id)
        now = self._now()
        return self._door.show(wallet_view(account, program=self._keeping.program(now), now=now))

    def list_wallets(self, member_id: MemberId) -> Response[WalletsView]:
        """Show all wallets a member has used."""
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.READ_MEMBERS)
        require_reader(self._loyalty, caller, member_id)
        accounts = self._statements.accounts(member_id)
        if not accounts:
            self._members.member(member_id)
        now = self._now()
        program = self._keeping.program(now)
        return self._door.show(
            {"wallets": [wallet_view(each, program=program, now=now) for each in accounts]}
        )

    def show_tier(self, member_id: MemberId) -> Response[TierView]:
        """Show which tier a member is in today, until when, and what is missing to the next."""
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.READ_MEMBERS)
        require_reader(self._loyalty, caller, member_id)
        growth = self._loyalty.account(member_id, GROWTH_WALLET)
        if growth.version == 0:
            self._members.member(member_id)
        now = self._now()
        return self._door.show(tier_view(growth, program=self._keeping.program(now), now=now))

    def list_entries(
        self, member_id: MemberId, limit: Limit = PAGE, cursor: Cursor = None
    ) -> Response[EntriesView]:
        """List the movements of a member's wallets, newest first."""
        caller = self._door.caller
        member_id = caller.member_named(member_id, Permission.READ_MEMBERS)
        require_reader(self._loyalty, caller, member_id)
        scope = f"entries/{member_id}"
        page = self._statements.page(
            member_id, limit=limit, after=position(cursor, scope), entries_only=True
        )
        entries = page.entries()
        if not entries and cursor is None:
            self._members.member(member_id)
        return self._door.show(
            {
                "entries": [entry_view(entry) for entry in entries],
                "next_cursor": next_cursor(page.last_id, scope),
            }
        )


def wallet_view(account: Account, *, program: Program, now: datetime) -> dict[str, Any]:
    """Return *account* as it counts at *now*, whether or not a job wrote down what is due."""
    policies = program.policies()
    policy = policies.of(account.wallet)
    account = settled(account, now=now, policies=policies)
    today = policy.day_of(account, now)
    lots = {(day, False): points for day, points in account.buckets.items()}
    lots |= {(day, True): points for day, points in account.bonus.items()}
    expiry = account.next_expiry(today)
    return {
        "wallet": account.wallet,
        "points": sum(lots.values()),
        "lots": [
            {"points": lots[lot], "expires_on": _text(lot[0]), "bonus": lot[1]}
            for lot in spending_order(lots, bonus_first=policy.bonus_first)
        ],
        "next_expiry": {"on": expiry[0].isoformat(), "points": expiry[1]} if expiry else None,
        "pending": [
            {"points": points, "activates_on": since.isoformat(), "expires_on": _text(last)}
            for (since, last), points in sorted(
                account.pending.items(), key=lambda each: (each[0][0], each[0][1] or date.max)
            )
        ],
        "held": [
            {
                "hold_id": hold_id,
                "points": hold.points,
                "expires_at": format_instant(hold.expires_at),
            }
            for hold_id, hold in sorted(account.holds.items())
        ],
        "debt": account.debt,
        "frozen": account.frozen,
        "waiting_reversals": account.parked,
        "version": account.version,
        "zone": policy.zone_of(account).key,
        "as_of_on": today.isoformat(),
    }


def tier_view(growth: Account, *, program: Program, now: datetime) -> dict[str, Any]:
    """Return the tier that *growth* comes to at *now*; without a ladder everybody is in none."""
    today = business_day(now, program.zone)
    tiers = program.tiers or Tiers(ladder=())
    value = value_on(growth, today)
    tier, above, until = tiers.at(value), tiers.above(value), tiers.until(growth, today)
    return {
        "tier": tier.name if tier else None,
        "growth_value": value,
        "multiple_basis_points": tier.multiple_basis_points if tier else ONCE_BASIS_POINTS,
        "until_on": _text(until),
        "next": {
            "tier": above.name,
            "from_value": above.from_value,
            "missing": above.from_value - value,
        }
        if above
        else None,
        "as_of_on": today.isoformat(),
    }


def entry_view(entry: Entry) -> dict[str, Any]:
    """Return *entry* with what it moved, from where to where, and why."""
    return {
        "entry_id": entry.entry_id,
        "wallet": entry.wallet,
        "kind": str(entry.kind),
        "points": entry.points,
        "lots": _moved(entry, entry.legs),
        "upkeep": _moved(entry, entry.upkeep),
        "owed": -sum(leg.points for leg in (*entry.legs, *entry.upkeep) if leg.account == DEBT),
        "uncovered": entry.uncovered,
        "refers_to": entry.refers_to,
        "reason": entry.reason,
        "source": entry.source,
        "actor": entry.actor,
        "checker": entry.checker,
        "program_version": entry.program_version,
        "trace": [dict(each) for each in entry.trace],
        "occurred_at": format_instant(entry.occurred_at),
        "posted_at": format_instant(entry.posted_at),
        "account_version": entry.account_version,
    }


def _moved(entry: Entry, legs: Iterable[Leg]) -> list[dict[str, Any]]:
    wallet = wallet_of(entry.member_id, entry.wallet)
    return [
        {
            "points": leg.points,
            "expires_on": _text(leg.expires_on),
            "bonus": leg.bonus,
            "activates_on": _text(leg.activates_on),
            "hold_id": leg.hold_id,
        }
        for leg in legs
        if leg.account == wallet
    ]


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
