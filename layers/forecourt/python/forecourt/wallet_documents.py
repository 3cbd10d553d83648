"""The part of a program's document that says how the wallets are kept."""

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from forecourt.ledger.policy import CountsFrom, Midnight, Shortfall, Terms
from forecourt.operator_errors import InvalidProgram
from forecourt.shapes import (
    MAX_IN_A_WALLET,
    MAX_TIERS,
    Amount,
    Document,
    Finding,
    Holds,
    Name,
    Step,
    Times,
    error,
    warning,
)
from forecourt.validity import EndOf, validity_from_document

MAX_VALIDITY_MONTHS = 120
MAX_PENDING_DAYS = 366
MAX_GRACE_DAYS = 366
MAX_PARTNERS = 8
MAX_BONUSES = 16
# China's rules for single-purpose prepaid cards (MOFCOM Order No. 9 of 2012, articles 18 and 19):
# at most 5,000 yuan on a registered card, which never runs out, 1,000 on another, good for
# three years or more.
MAX_REGISTERED_FEN = 500_000
MAX_ANONYMOUS_FEN = 100_000
MIN_ANONYMOUS_MONTHS = 36


class ValidityDocument(Document):
    """Points are good for `months`, then to the end of the period they fall in."""

    months: Annotated[StrictInt, Field(ge=0, le=MAX_VALIDITY_MONTHS)]
    end_of: EndOf


class PointsWalletDocument(Document):
    """
    How a wallet of points is kept. Null is no limit.

    Points become active `pending_days` after they were earned; members of the tiers in
    `never_for` keep for ever what they earn while they are in one.
    `slide` carries everything along whenever something is earned. `shortfall` says what a
    refund does when the points are spent, `grace_days` how long what comes back after its last
    day is good (null: not at all). `transfer_points` and `transfer_count` are a member's for a
    day. `midnight` says whose it is at which days begin and end: the program's, or that of the
    zone a member is in.
    """

    pending_days: Annotated[StrictInt, Field(ge=0, le=MAX_PENDING_DAYS)] = 0
    counts_from: CountsFrom = CountsFrom.EARNING
    midnight: Midnight = Midnight.PROGRAM
    never_for: Annotated[list[Name], Field(max_length=MAX_TIERS)] = []
    slide: ValidityDocument | None = None
    spending_slides: StrictBool = False
    shortfall: Shortfall = Shortfall.DEBT
    debt_for_expired: StrictBool = False
    grace_days: Annotated[StrictInt, Field(ge=0, le=MAX_GRACE_DAYS)] | None = None
    ceiling: Amount | None = None
    minimum: Step = 1
    multiple: Step = 1
    adjust_limit: Amount | None = None
    transfer_points: Amount | None = None
    transfer_count: Times | None = None
    max_holds: Holds = 8


class RateDocument(Document):
    """`gives` for every `per`; what makes no whole `per` is not converted."""

    gives: Step
    per: Step


class PartnerWalletDocument(PointsWalletDocument):
    """
    A partner's points, with a validity of their own.

    Members change points into them by the rate `from_points` and back by `to_points`; null:
    they cannot.
    """

    validity: ValidityDocument | None
    from_points: RateDocument | None = None
    to_points: RateDocument | None = None


class GrowthWalletDocument(Document):
    """Growth value, which tiers count and nobody spends. It counts after `pending_days`."""

    validity: ValidityDocument | None
    pending_days: Annotated[StrictInt, Field(ge=0, le=MAX_PENDING_DAYS)] = 0
    adjust_limit: Amount | None = None


class BonusDocument(Document):
    """`bonus_fen` on top for whoever pays in at least `from_fen` at once."""

    from_fen: Annotated[StrictInt, Field(ge=1, le=MAX_IN_A_WALLET, examples=[100_000])]
    bonus_fen: Annotated[StrictInt, Field(ge=1, le=MAX_IN_A_WALLET, examples=[5000])]


class StoredValueDocument(Document):
    """
    Money paid in, in fen, and what was given on top of it.

    A registered holder's never runs out. `bonuses` say what is given on top, by the money paid
    in at once; the highest that is reached decides. `bonus_first` spends it before the money.
    """

    registered_ceiling_fen: Annotated[StrictInt, Field(ge=1, le=MAX_REGISTERED_FEN)]
    anonymous_ceiling_fen: Annotated[StrictInt, Field(ge=1, le=MAX_ANONYMOUS_FEN)]
    anonymous_validity: ValidityDocument | None = None
    bonuses: Annotated[list[BonusDocument], Field(max_length=MAX_BONUSES)] = []
    bonus_first: StrictBool = False
    minimum_fen: Step = 1
    multiple_fen: Step = 1
    adjust_limit_fen: Amount | None = None
    transfer_fen: Annotated[Amount | None, Field(description="A day; 0 allows none")] = 0
    transfer_count: Times | None = None
    max_holds: Holds = 8


class WalletsDocument(Document):
    """The wallets a member may have. The validity of `points` is the program's."""

    points: PointsWalletDocument = PointsWalletDocument()
    growth: GrowthWalletDocument | None = None
    partners: Annotated[dict[Name, PartnerWalletDocument], Field(max_length=MAX_PARTNERS)] = {}
    stored_value: StoredValueDocument | None = None


def wallet_findings(
    wallets: WalletsDocument, validity: ValidityDocument | None, *, tiers: frozenset[str]
) -> list[Finding]:
    """
    Return what is wrong or odd about *wallets*.

    *validity* is the program's, for the points in it; *tiers* are the names it gives any.
    """
    findings = _points_findings(wallets.points, validity, at="/wallets/points", tiers=tiers)
    for name, partner in wallets.partners.items():
        at = f"/wallets/partners/{name}"
        findings += _points_findings(partner, partner.validity, at=at, tiers=tiers)
        there, back = partner.from_points, partner.to_points
        if there and back and there.gives * back.gives > there.per * back.per:
            findings.append(error("conversions_gain", f"{at}/to_points"))
    growth = wallets.growth
    if growth is not None:
        findings += _pending_findings(growth.pending_days, growth.validity, at="/wallets/growth")
    stored = wallets.stored_value
    if stored is None:
        return findings
    at = "/wallets/stored_value"
    lowest = min(stored.registered_ceiling_fen, stored.anonymous_ceiling_fen)
    findings += _step_findings(stored.minimum_fen, stored.multiple_fen, lowest, at=at, unit="_fen")
    findings += _bonus_findings(stored.bonuses, ceiling_fen=stored.registered_ceiling_fen, at=at)
    lasting = stored.anonymous_validity
    if lasting and lasting.months < MIN_ANONYMOUS_MONTHS:
        findings.append(
            warning(
                "anonymous_validity_short",
                f"{at}/anonymous_validity",
                months=lasting.months,
                at_least=MIN_ANONYMOUS_MONTHS,
            )
        )
    return findings


def _points_findings(
    wallet: PointsWalletDocument,
    validity: ValidityDocument | None,
    *,
    at: str,
    tiers: frozenset[str],
) -> list[Finding]:
    findings = _step_findings(wallet.minimum, wallet.multiple, wallet.ceiling, at=at)
    findings += _pending_findings(
        wallet.pending_days, validity, at=at, counts_from=wallet.counts_from
    )
    # A promise to members of a tier that nobody can be in must not come into force.
    findings += [
        error("unknown_tier", f"{at}/never_for/{index}", tier=tier)
        for index, tier in enumerate(wallet.never_for)
        if tier not in tiers
    ]
    if wallet.slide and validity is None:
        findings.append(warning("slide_without_validity", f"{at}/slide"))
    if wallet.spending_slides and wallet.slide is None:
        findings.append(warning("spending_slides_without_slide", f"{at}/spending_slides"))
    if wallet.debt_for_expired and wallet.shortfall is not Shortfall.DEBT:
        findings.append(warning("debt_for_expired_without_debt", f"{at}/debt_for_expired"))
    return findings


def _pending_findings(
    days: int,
    validity: ValidityDocument | None,
    *,
    at: str,
    counts_from: CountsFrom = CountsFrom.EARNING,
) -> list[Finding]:
    """Return that something would run out before it is active, if it would."""
    try:
        Terms(
            pending_days=days,
            validity=validity_from_document(validity.model_dump() if validity else None),
            counts_from=counts_from,
        )
    except InvalidProgram:
        return [error("pending_longer_than_validity", f"{at}/pending_days", pending_days=days)]
    return []


def _step_findings(
    minimum: int, multiple: int, ceiling: int | None, *, at: str, unit: str = ""
) -> list[Finding]:
    """Return what is wrong or odd about how little, and in which steps, may be spent."""
    least = -(-minimum // multiple) * multiple
    if ceiling is not None and least > ceiling:
        return [error("minimum_above_ceiling", f"{at}/minimum{unit}", least=least, ceiling=ceiling)]
    if least != minimum > 1:
        return [warning("minimum_is_no_multiple", f"{at}/minimum{unit}", least=least)]
    return []


def _bonus_findings(bonuses: list[BonusDocument], *, ceiling_fen: int, at: str) -> list[Finding]:
    """Return what is wrong or odd about *bonuses* of a wallet that holds *ceiling_fen*."""
    findings = []
    for index, bonus in enumerate(bonuses):
        place = f"{at}/bonuses/{index}"
        if bonus.from_fen + bonus.bonus_fen > ceiling_fen:
            # A promise that no wallet could take must not come into force.
            findings.append(error("bonus_above_ceiling", place, ceiling=ceiling_fen))
        below = bonuses[index - 1] if index else None
        if below is None:
            continue
        if bonus.from_fen <= below.from_fen:
            findings.append(error("bonus_not_above_the_last", f"{place}/from_fen"))
        if bonus.bonus_fen < below.bonus_fen:
            findings.append(warning("bonus_below_a_lower_steps", f"{place}/bonus_fen"))
    return findings
