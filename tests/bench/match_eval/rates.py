"""What happens how often in the simulation: every figure can be set on the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares, 0 to 1. Of members and what they bound first, then of sales, then of what follows."""

    families: float = 0.06  # of neighbouring pairs of members: one household, one car
    fleets: float = 0.02  # of members: twenty drivers, one card, cars that are swapped
    plate_bound: float = 0.75
    payment_linked: float = 0.65
    card_held: float = 0.50
    etc_bound: float = 0.15
    app_reports: float = 0.30  # lets the app say where it is, or opens it at the pump
    number_given_up: float = 0.005  # the member has a new number and has not told
    car_changed: float = 0.02  # the member has a new car and has not told
    moved_away: float = 0.10  # the number is from another city
    past_credited: float = 0.85  # of past sales: only these tell of habits and who drove the car

    strangers: float = 0.08  # of sales: nobody's
    stranger_types_phone: float = 0.30
    stranger_has_members_old_number: float = 0.003  # of strangers: the operator reissued it
    stranger_drives_members_car: float = 0.03  # of strangers: lent, or driven by the family
    phone_typed: float = 0.70
    phone_mistyped: float = 0.03
    mistyped_swap: float = 0.25
    mistyped_length: float = 0.10
    mistyped_twice: float = 0.08
    mistyped_beside: float = 0.70  # of wrong digits: a neighbour on the keypad, otherwise any
    plate_seen: float = 0.92
    plate_misread: float = 0.03
    misread_within_class: float = 0.85
    read_unsure: float = 0.03  # of plates read rightly: the camera doubts itself
    misread_unsure: float = 0.60  # of misread ones
    payment_seen: float = 0.75
    paid_by_another_member: float = 0.0001
    another_is_close: float = 0.50  # who pays, or picks up a receipt: of the same cars, if anybody
    paid_otherwise: float = 0.05  # of payments: with another account, which is never linked
    card_shown: float = 0.35  # of those who hold one
    etc_seen: float = 0.60  # of those who have one
    checked_in: float = 0.50  # of the fills of those whose app reports
    checked_in_elsewhere: float = 0.002  # of their moments: a geofence overlaps, a car wash
    rides_along: float = 0.10  # of a family's fills: the other driver sits beside
    fleet_car_swapped: float = 0.10
    new_member: float = 0.08  # has no habits yet

    plate_bound_later: float = 0.35  # within the waiting time, of members whose plate was seen
    payment_linked_later: float = 0.35
    number_corrected_later: float = 0.30
    enrols_later: float = 0.10  # of strangers
    claims_in_app: float = 0.45  # of members shown "is this yours?"
    receipt_scanned: float = 0.20
    false_claim: float = 0.01  # of those asked about, or shown, another's sale
    receipt_picked_up: float = 0.001  # by another member
    mistyped_number_enrols: float = 0.002  # the stranger whose number it is


def rates_from(settings: list[str]) -> Rates:
    """Return the rates with `name=share` settings applied."""
    known = {each.name for each in fields(Rates)}
    changed = {}
    for setting in settings:
        name, _, share = setting.partition("=")
        if name not in known or not 0 <= float(share) <= 1:
            raise SystemExit(f"--rate {setting}: a name of {sorted(known)} and a share of 0 to 1")
        changed[name] = float(share)
    return replace(Rates(), **changed)
