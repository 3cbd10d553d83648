"""
Documents that come through a door: their shapes, and what a shape cannot say.

`ProgramDocument.model_dump(mode="json")` is what `forecourt.program.program_from_document`
reads. A draft may be saved with faults, since drafts are worked on; `findings_about` names
them, and a version with an error among them cannot be activated.
"""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, StrictBool, StrictInt

from forecourt.baskets import Category, StoredValue, terms_from_document
from forecourt.deposit_documents import MAX_BONUSES, BonusDocument, bonus_findings
from forecourt.discounts import Unused
from forecourt.errors import InvalidProgram
from forecourt.ledger.policy import CountsFrom, Midnight, Shortfall, Terms
from forecourt.messages import MAX_UNIT_PRICE
from forecourt.program import Basis, Scope
from forecourt.rounding import Rounding
from forecourt.sales import MAX_PLAUSIBLE_VOLUME_ML
from forecourt.shapes import (
    MAX_GRADES,
    MAX_IN_A_WALLET,
    MAX_PER,
    MAX_POINTS,
    MAX_TIERS,
    Amount,
    Day,
    DayText,
    Document,
    Finding,
    Grade,
    Holds,
    Instant,
    InstantText,
    Name,
    Severity,
    StationId,
    Step,
    Times,
    Zone,
    error,
    warning,
)
from forecourt.tier_documents import (
    GrowthRuleDocument,
    MultiplesDocument,
    TiersDocument,
    multiple_findings,
    tier_findings,
)
from forecourt.validity import EndOf, validity_from_document

# Who describes bodies needs the parts as well as the whole.
__all__ = [
    "MAX_GRADES",
    "MAX_IN_A_WALLET",
    "MAX_RULES",
    "Day",
    "DayText",
    "Document",
    "Finding",
    "Grade",
    "Instant",
    "InstantText",
    "ProgramDocument",
    "Severity",
    "StationId",
    "Zone",
    "findings_about",
    "zone_exists",
]

MAX_RULES = 100
MAX_VALIDITY_MONTHS = 120
MAX_PENDING_DAYS = 366
MAX_GRACE_DAYS = 366
MAX_PARTNERS = 8
# China's rules for single-purpose prepaid cards (MOFCOM Order No. 9 of 2012, articles 18 and 19):
# at most 5,000 yuan on a registered card, which never runs out, 1,000 on another, good for
# three years or more.
MAX_REGISTERED_FEN = 500_000
MAX_ANONYMOUS_FEN = 100_000
MIN_ANONYMOUS_MONTHS = 36


MilliPerLitre = Annotated[StrictInt, Field(ge=1, le=MAX_UNIT_PRICE)]
EarningCategory = Literal[
    Category.FUEL,
    Category.SHOP,
    Category.CAR_WASH,
    Category.GIFT_CARD,
    Category.RECHARGE,
    Category.LOTTERY,
    Category.TOBACCO,
]


class RuleDocument(Document):
    """
    Points for every `per` millilitres or fen; the first rule for a grade, or category, decides.

    `minimum` and rounding are for all that a rule counts of a sale, or, with the scope `line`,
    for each line of the receipt.
    """

    rule_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", examples=["petrol"])]
    grades: Annotated[
        list[Grade], Field(max_length=MAX_GRADES, description="Empty means every grade")
    ] = []
    basis: Basis
    points: Annotated[StrictInt, Field(ge=0, le=MAX_POINTS)]
    per: Annotated[StrictInt, Field(ge=1, le=MAX_PER, description="Millilitres or fen")]
    minimum: Annotated[StrictInt, Field(ge=0, le=MAX_PER)] = 0
    rounding: Rounding
    categories: Annotated[
        list[EarningCategory],
        Field(min_length=1, description="`grades` are those of the fuel among them"),
    ] = [Category.FUEL]
    scope: Scope = Scope.SALE


class BasketsDocument(Document):
    """
    What may earn of a receipt that a till tells.

    `redeemed_earns`: what was paid by points earns like the rest. `stored_value`: what is paid
    with it earns (`spending`), or what is paid in (`recharge`), never both.
    """

    excluded: list[EarningCategory] = [Category.GIFT_CARD, Category.LOTTERY, Category.TOBACCO]
    redeemed_earns: StrictBool = False
    stored_value: StoredValue = StoredValue.SPENDING


class DiscountsDocument(Document):
    """
    How far a reward may lower the price of a litre, in 1/1000 yuan by grade.

    `unused` is what becomes of the rest of it.
    """

    minimum_prices: Annotated[dict[Grade, MilliPerLitre], Field(max_length=MAX_GRADES)] = {}
    unused: Unused = Unused.KEPT


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


class ProgramDocument(Document):
    """
    What a litre or a yuan earns, until when, and how the wallets are kept.

    `validity` null means for ever; `wallets` null means points alone, as they are by default;
    `baskets` null means that nothing but the fuel counts, as the pump tells it; `discounts` null
    means that no price is too low. `growth` fills the wallet of that name, on which `tiers` rest.
    """

    zone: Zone
    rules: Annotated[list[RuleDocument], Field(max_length=MAX_RULES)]
    validity: ValidityDocument | None
    wallets: WalletsDocument | None = None
    baskets: BasketsDocument | None = None
    discounts: DiscountsDocument | None = None
    growth: GrowthRuleDocument | None = None
    tiers: TiersDocument | None = None
    multiples: MultiplesDocument | None = None


def findings_about(program: ProgramDocument, *, sold: frozenset[str]) -> list[Finding]:
    """Return what is wrong or odd about *program*, given the grades *sold* at any station."""
    findings = [
        *_zone_findings(program.zone),
        *_rule_findings(program.rules),
        *_grade_findings(program.rules, sold),
        *_category_findings(program),
        *_price_findings(program.discounts, sold),
    ]
    if not program.rules:
        findings.append(error("no_rules", "/rules"))
    validity = program.validity
    if validity and validity.months == 0 and validity.end_of is EndOf.DAY:
        findings.append(warning("expires_the_same_day", "/validity"))
    tiers = program.tiers.names if program.tiers else frozenset()
    if program.wallets:
        findings += _wallet_findings(program.wallets, validity, tiers=tiers)
    has_wallet = program.wallets is not None and program.wallets.growth is not None
    findings += tier_findings(program.growth, program.tiers, has_wallet=has_wallet)
    findings += multiple_findings(program.multiples, sold=sold, tiers=tiers)
    return findings


def zone_exists(name: str) -> bool:
    """Return whether *name* is a time zone we know."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _zone_findings(zone: str) -> list[Finding]:
    return [] if zone_exists(zone) else [error("unknown_zone", "/zone")]


def _rule_findings(rules: list[RuleDocument]) -> list[Finding]:
    findings = []
    first_at: dict[str, int] = {}
    taken: set[tuple[str, str]] = set()
    for index, rule in enumerate(rules):
        at = f"/rules/{index}"
        if rule.rule_id in first_at:
            findings.append(error("duplicate_rule_id", f"{at}/rule_id", rule_id=rule.rule_id))
        first_at.setdefault(rule.rule_id, index)
        about = _subjects(rule)
        never = {each for each in about if each in taken or (each[0], "") in taken}
        if never == about:
            findings.append(error("unreachable_rule", at, rule_id=rule.rule_id))
        elif never:
            findings += _partly_unreachable(never, at=at)
        if rule.points == 0:
            findings.append(warning("zero_points", f"{at}/points", rule_id=rule.rule_id))
        if rule.basis is Basis.VOLUME and rule.minimum > MAX_PLAUSIBLE_VOLUME_ML:
            findings.append(warning("implausible_minimum", f"{at}/minimum", rule_id=rule.rule_id))
        taken |= about
    return findings


def _subjects(rule: RuleDocument) -> set[tuple[str, str]]:
    """Return what *rule* decides about: a category, and of fuel the grade, unless it is all."""
    fuel = {(Category.FUEL, grade) for grade in rule.grades or [""]}
    others = {(each, "") for each in rule.categories if each is not Category.FUEL}
    return {*others, *(fuel if Category.FUEL in rule.categories else ())}


def _partly_unreachable(never: set[tuple[str, str]], *, at: str) -> list[Finding]:
    grades = sorted(grade for _, grade in never if grade)
    categories = sorted(str(category) for category, grade in never if not grade)
    found = {"grades": grades, "categories": categories}
    return [
        warning("partly_unreachable_rule", f"{at}/{name}", **{name: values})
        for name, values in found.items()
        if values
    ]


def _category_findings(program: ProgramDocument) -> list[Finding]:
    """Return what is wrong or odd about rules on something else than fuel."""
    findings = []
    terms = terms_from_document(program.baskets.model_dump() if program.baskets else None)
    for index, rule in enumerate(program.rules):
        at = f"/rules/{index}"
        goods = sorted(set(rule.categories) - {Category.FUEL})
        if goods and rule.basis is Basis.VOLUME:
            findings.append(error("goods_without_volume", f"{at}/basis", categories=goods))
        if goods and terms is None:
            # Nobody looks at a receipt then, and a promise nothing keeps must not come into force.
            findings.append(error("baskets_not_counted", f"{at}/categories", categories=goods))
        not_counted = [each for each in rule.categories if terms and not terms.counts(each)]
        if not_counted:
            findings.append(
                warning("category_excluded", f"{at}/categories", categories=sorted(not_counted))
            )
        if rule.grades and Category.FUEL not in rule.categories:
            findings.append(warning("grades_without_fuel", f"{at}/grades", grades=rule.grades))
    return findings


def _grade_findings(rules: list[RuleDocument], sold: frozenset[str]) -> list[Finding]:
    fuelled = [rule for rule in rules if Category.FUEL in rule.categories]
    named = {grade for rule in fuelled for grade in rule.grades}
    covers_all = any(not rule.grades for rule in fuelled)
    findings = [
        warning("grade_without_rule", "/rules", grade=grade)
        for grade in sorted(sold - named)
        if rules and not covers_all
    ]
    findings += [
        warning("grade_not_sold", f"/rules/{index}/grades", grade=grade)
        for index, rule in enumerate(rules)
        for grade in rule.grades
        if grade not in sold
    ]
    return findings


def _price_findings(discounts: DiscountsDocument | None, sold: frozenset[str]) -> list[Finding]:
    return [
        warning("grade_not_sold", f"/discounts/minimum_prices/{grade}", grade=grade)
        for grade in (discounts.minimum_prices if discounts else ())
        if grade not in sold
    ]


def _wallet_findings(
    wallets: WalletsDocument, validity: ValidityDocument | None, *, tiers: frozenset[str]
) -> list[Finding]:
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
    findings += bonus_findings(stored.bonuses, ceiling_fen=stored.registered_ceiling_fen, at=at)
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
