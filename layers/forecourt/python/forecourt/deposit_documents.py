"""The part of a program's document that says what is given on top of paid-in money."""

from typing import Annotated

from pydantic import Field, StrictInt

from forecourt.shapes import MAX_IN_A_WALLET, Document, Finding, error, warning

MAX_BONUSES = 16


class BonusDocument(Document):
    """`bonus_fen` on top for whoever pays in at least `from_fen` at once."""

    from_fen: Annotated[StrictInt, Field(ge=1, le=MAX_IN_A_WALLET, examples=[100_000])]
    bonus_fen: Annotated[StrictInt, Field(ge=1, le=MAX_IN_A_WALLET, examples=[5000])]


def bonus_findings(bonuses: list[BonusDocument], *, ceiling_fen: int, at: str) -> list[Finding]:
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
