"""
The document of a program: its shape, and what a shape cannot say.

`ProgramDocument.model_dump(mode="json")` is what `forecourt.program.program_from_document`
reads. A draft may be saved with faults, since drafts are worked on; `findings_about` names
them, and a version with an error among them cannot be activated.
"""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt

from forecourt.baskets import Category, StoredValue, terms_from_document
from forecourt.discounts import Unused
from forecourt.messages import MAX_UNIT_PRICE
from forecourt.program import Basis, Scope
from forecourt.rounding import Rounding
from forecourt.sales import MAX_PLAUSIBLE_VOLUME_ML
from forecourt.shapes import (
    MAX_GRADES,
    MAX_PER,
    MAX_POINTS,
    Document,
    Finding,
    Grade,
    Zone,
    error,
    warning,
    zone_exists,
)
from forecourt.tier_documents import (
    GrowthRuleDocument,
    MultiplesDocument,
    TiersDocument,
    multiple_findings,
    tier_findings,
)
from forecourt.validity import EndOf
from forecourt.wallet_documents import ValidityDocument, WalletsDocument, wallet_findings

MAX_RULES = 100

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
        findings += wallet_findings(program.wallets, validity, tiers=tiers)
    has_wallet = program.wallets is not None and program.wallets.growth is not None
    findings += tier_findings(program.growth, program.tiers, has_wallet=has_wallet)
    findings += multiple_findings(program.multiples, sold=sold, tiers=tiers)
    return findings


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
