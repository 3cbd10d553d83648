"""What the members API gives of wallets and their entries. Of money, points are fen."""

from pydantic import BaseModel

from forecourt.shapes import DayText, InstantText
from functions.members.bodies import TraceView


class ExpiryView(BaseModel):
    """How many points run out at the end of which day, in the program's zone."""

    on: DayText
    points: int


class LotView(BaseModel):
    """Points by the last day they are good for (null: for ever); `bonus` came with money."""

    points: int
    expires_on: DayText | None
    bonus: bool


class PendingView(BaseModel):
    """Points that cannot be spent before `activates_on`."""

    points: int
    activates_on: DayText
    expires_on: DayText | None


class HeldView(BaseModel):
    """Points set aside; what is not captured comes back, at the latest when the hold ends."""

    hold_id: str
    points: int
    expires_at: InstantText


class WalletView(BaseModel):
    """
    A wallet on `as_of_on`, counting all that is due by then.

    `points` is what can be spent: the sum of `lots`, which are in the order in which they are
    spent. Who has a `debt` has nothing to spend. A `frozen` wallet gains and gives nothing
    away. `waiting_reversals` came before what they reverse. `version` counts the entries. Days
    begin and end at the midnights of `zone`: the program's, or the member's own.
    """

    wallet: str
    points: int
    lots: list[LotView]
    next_expiry: ExpiryView | None
    pending: list[PendingView]
    held: list[HeldView]
    debt: int
    frozen: bool
    waiting_reversals: int
    version: int
    zone: str
    as_of_on: DayText


class WalletsView(BaseModel):
    """All wallets a member has used, by name."""

    wallets: list[WalletView]


class NextTierView(BaseModel):
    """The tier above, and the growth value that is missing to it."""

    tier: str
    from_value: int
    missing: int


class TierView(BaseModel):
    """
    The tier a member is in on `as_of_on`, null for who is in none.

    It rests on the `growth_value` that is good on that day. If nothing more is earned, it is
    kept through `until_on` (null: for ever). `next` is null in the highest tier.
    """

    tier: str | None
    growth_value: int
    multiple_basis_points: int
    until_on: DayText | None
    next: NextTierView | None
    as_of_on: DayText


class MovedView(BaseModel):
    """
    What an entry moved into (or, negative, out of) one place of the wallet.

    The place is a last valid day; with `activates_on` it is what is pending until then, with
    `hold_id` what is held.
    """

    points: int
    expires_on: DayText | None
    bonus: bool
    activates_on: DayText | None
    hold_id: str | None


class EntryView(BaseModel):
    """
    One movement of a wallet, with what caused it and the rules that decided it.

    `lots` is what the movement itself moved, `upkeep` what fell due before it: what became
    active, came back from a hold or ran out. `owed` is by how much the debt grew, or shrank
    when negative. `refers_to` names the entry that was reversed, captured or released,
    `uncovered` what of a reversal was not there to be taken.
    """

    entry_id: str
    wallet: str
    kind: str
    points: int
    lots: list[MovedView]
    upkeep: list[MovedView]
    owed: int
    uncovered: int
    refers_to: str | None
    reason: str
    source: str
    actor: str
    checker: str | None
    program_version: int
    trace: list[TraceView]
    occurred_at: InstantText
    posted_at: InstantText
    account_version: int


class EntriesView(BaseModel):
    """A page of entries, newest first. A page may be short; only a null cursor ends the list."""

    entries: list[EntryView]
    next_cursor: str | None
