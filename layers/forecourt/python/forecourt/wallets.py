"""
The wallets of a program: by which policy each is kept, and on which terms it is filled.

| wallet | holds |
| --- | --- |
| `points` | what sales earn; good for the program's own validity |
| `growth` | growth value: tiers count it, nobody spends it |
| `partner-<name>` | the points of a partner |
| `stored_value` | money in fen, paid in and given on top, kept apart |

Stored value has its own rules, those of prepaid cards: a registered holder's never runs out
and may be more; a card that nobody is known to own has a lower ceiling and may have a last day.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from forecourt.ledger.entries import POINTS_WALLET
from forecourt.ledger.policy import CountsFrom, Midnight, Shortfall, Terms, WalletPolicy
from forecourt.validity import validity_from_document
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from forecourt.validity import Validity

GROWTH_WALLET = "growth"
STORED_VALUE_WALLET = "stored_value"
PARTNER_PREFIX = "partner-"
# A sale of last month may arrive at the end of this one, and is judged by the tier of its day.
GROWTH_RECALLED_DAYS = 62


class Holder(StrEnum):
    """Whose a wallet is: a member's, or a card's that nobody is known to own."""

    REGISTERED = "registered"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """How one holder's wallet is kept, and how long what comes in waits and is good."""

    policy: WalletPolicy
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`gives` in one wallet for every `per` in another."""

    gives: int
    per: int


ByHolder = dict[Holder, Wallet]
Rates = dict[tuple[str, str], Rate]  # by the wallet that gives and the one that gets


def wallets_from_document(
    document: Mapping[str, Any] | None, *, zone: ZoneInfo, validity: Validity | None
) -> dict[str, ByHolder]:
    """
    Build the wallets from a program's document, where *validity* is that of its points.

    Raises `InvalidProgram` for terms under which points would run out before they are active.
    """
    if document is None:
        return {}
    wallets = {POINTS_WALLET: _points(document["points"], zone=zone, validity=validity)}
    if document["growth"] is not None:
        wallets[GROWTH_WALLET] = _growth(document["growth"], zone=zone)
    for name, partner in document["partners"].items():
        own = validity_from_document(partner["validity"])
        wallets[f"{PARTNER_PREFIX}{name}"] = _points(partner, zone=zone, validity=own)
    if document["stored_value"] is not None:
        wallets[STORED_VALUE_WALLET] = _stored_value(document["stored_value"], zone=zone)
    return wallets


def rates_from_document(document: Mapping[str, Any] | None) -> Rates:
    """Build the rates between points and the points of partners from a program's document."""
    rates: Rates = {}
    for name, partner in (document or {}).get("partners", {}).items():
        wallet = f"{PARTNER_PREFIX}{name}"
        # Documents from before there were rates name none.
        for field, pair in (
            ("from_points", (POINTS_WALLET, wallet)),
            ("to_points", (wallet, POINTS_WALLET)),
        ):
            rate = partner.get(field)
            if rate is not None:
                rates[pair] = Rate(gives=rate["gives"], per=rate["per"])
    return rates


def _points(document: Mapping[str, Any], *, zone: ZoneInfo, validity: Validity | None) -> ByHolder:
    policy = WalletPolicy(
        zone=zone,
        # Documents from before members had zones mean the program's.
        midnight=Midnight(document.get("midnight", Midnight.PROGRAM)),
        shortfall=Shortfall(document["shortfall"]),
        slide=validity_from_document(document["slide"]),
        **{
            name: document[name]
            for name in (
                "debt_for_expired",
                "grace_days",
                "spending_slides",
                "ceiling",
                "minimum",
                "multiple",
                "adjust_limit",
                "transfer_points",
                "transfer_count",
                "max_holds",
            )
        },
    )
    terms = Terms(
        pending_days=document["pending_days"],
        validity=validity,
        counts_from=CountsFrom(document["counts_from"]),
        never_for=frozenset(document["never_for"]),
    )
    return dict.fromkeys(Holder, Wallet(policy=policy, terms=terms))


def _growth(document: Mapping[str, Any], *, zone: ZoneInfo) -> ByHolder:
    # What cannot be spent is there when it is taken back, unless it has run out.
    policy = WalletPolicy(
        zone=zone,
        spendable=False,
        recall_days=GROWTH_RECALLED_DAYS,
        shortfall=Shortfall.WITHIN_BALANCE,
        adjust_limit=document["adjust_limit"],
    )
    terms = Terms(
        # Of documents from before growth could wait, nothing does.
        pending_days=document.get("pending_days", 0),
        validity=validity_from_document(document["validity"]),
    )
    return dict.fromkeys(Holder, Wallet(policy=policy, terms=terms))


def _stored_value(document: Mapping[str, Any], *, zone: ZoneInfo) -> ByHolder:
    lasting = {
        Holder.REGISTERED: Terms(),
        Holder.ANONYMOUS: Terms(validity=validity_from_document(document["anonymous_validity"])),
    }
    return {
        holder: Wallet(
            policy=WalletPolicy(
                zone=zone,
                runs_out=holder is not Holder.REGISTERED,
                shortfall=Shortfall.DEBT,
                bonus_first=document["bonus_first"],
                ceiling=document[f"{holder}_ceiling_fen"],
                minimum=document["minimum_fen"],
                multiple=document["multiple_fen"],
                adjust_limit=document["adjust_limit_fen"],
                transfer_points=document["transfer_fen"],
                transfer_count=document["transfer_count"],
                max_holds=document["max_holds"],
            ),
            terms=terms,
        )
        for holder, terms in lasting.items()
    }
