"""
Do the decoded values make sense together?  Pure.

A wrong word order is silent: 45.23 L reads as 76,000 km³ or as nothing at all.  Values
outside a profile's limits, or a device clock decades off, are therefore read again under
the other word orders.  If one of them makes sense, the profile is wrong for the device
and nothing may be taken over; if none does, the record itself is broken.

A sale within the limits whose volume times price is not its amount is a sale: prices
change during a delivery.  The cloud holds it for a person.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from forecourt.sales import DEVICE_SERIAL
from forecourt_edge.errors import ProfileMismatch, RegisterFault
from forecourt_edge.layout import (
    Controller,
    NozzleStatus,
    Transaction,
    decode_controller,
    decode_status,
    decode_transaction,
)
from forecourt_edge.registers import RegisterType, WordOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from forecourt_edge.profile import Profile, Register

_DAYS_PER_YEAR = 366
_CLOCK_AGREES = timedelta(days=2)


def checked_controller(profile: Profile, words: Sequence[int], now: datetime) -> Controller:
    """Return the header; raise `ProfileMismatch` when it is not the profile's."""
    try:
        controller = decode_controller(profile, words)
    except RegisterFault as fault:
        raise _mismatch(profile, str(fault), _clock_order(profile, words, now)) from fault
    if not DEVICE_SERIAL.fullmatch(controller.serial):
        order = _clock_order(profile, words, now)
        raise _mismatch(profile, "serial: not letters, digits and dashes", order)
    if controller.ring_size != profile.ring.size:
        reason = f"ring_size: device {controller.ring_size}, profile {profile.ring.size}"
        raise _mismatch(profile, reason)
    years_off = timedelta(days=profile.limits.clock_years * _DAYS_PER_YEAR)
    if controller.clock_at is not None and abs(controller.clock_at - now) > years_off:
        # A clock with a dead battery is off by decades, too, but agrees under no other order.
        order = _clock_order(profile, words, now)
        if order is not None:
            raise _mismatch(profile, "clock: decades off", order)
    return controller


def checked_status(profile: Profile, words: Sequence[int]) -> NozzleStatus:
    """Return the status block; raise `ProfileMismatch` when it cannot be the profile's."""
    try:
        status = decode_status(profile, words)
    except RegisterFault as fault:
        raise _mismatch(profile, str(fault), _status_order(profile, words)) from fault
    if status.unit_price_milli_per_litre > profile.limits.unit_price_milli_per_litre:
        raise _mismatch(profile, "unit_price: beyond the limit", _status_order(profile, words))
    if status.totalizer_ml < 0:
        raise _mismatch(profile, "totalizer: negative")
    return status


def checked_transaction(profile: Profile, words: Sequence[int]) -> Transaction:
    """
    Return the record.

    Raises `ProfileMismatch` when another word order makes sense of the registers, and
    `RegisterFault` when none does.
    """
    try:
        sold = decode_transaction(profile, words)
    except RegisterFault as fault:
        _refuse_other_order(profile, words, str(fault))
        raise
    beyond = _beyond_limits(profile, sold)
    if beyond is not None:
        _refuse_other_order(profile, words, str(beyond))
        raise beyond
    if not adds_up(profile, sold):
        _refuse_other_order(profile, words, "volume, price and amount do not agree")
    return sold


def adds_up(profile: Profile, sold: Transaction) -> bool:
    """
    Return whether volume x price is the amount, within what the shown digits leave open.

    Half a step of volume and of price and one fen: some pumps truncate the amount.
    In units of 1/10000 fen.
    """
    computed = sold.volume_ml * sold.unit_price_milli_per_litre
    tolerance = (
        10_000
        + profile.volume_resolution_ml * sold.unit_price_milli_per_litre // 2
        + sold.volume_ml // 2
        + 1
    )
    return abs(computed - sold.amount_fen * 10_000) <= tolerance


def litres_between(profile: Profile, before_ml: int, sold_ml: int, after_ml: int) -> int:
    """
    Return how much more a totalizer moved than the sale explains, in ml; negative: less.

    A counter that rolled over at the end of its register explains itself; a difference
    of one metering step is rounding, and zero.
    """
    register = profile.ring.record.totalizer
    unexplained = after_ml - before_ml - sold_ml
    wrapped = unexplained + _modulus_ml(register)
    if abs(wrapped) < abs(unexplained):
        unexplained = wrapped
    step_ml = max(int(register.scale * 1000), profile.volume_resolution_ml)
    return 0 if abs(unexplained) <= step_ml else unexplained


def _modulus_ml(register: Register) -> int:
    if register.type is RegisterType.BCD:
        count = 10 ** (4 * register.words)
    else:
        count = 1 << 16 * register.words
    return int(count * register.scale * 1000)


def _beyond_limits(profile: Profile, sold: Transaction) -> RegisterFault | None:
    for field, limit in (
        ("volume_ml", profile.limits.volume_ml),
        ("amount_fen", profile.limits.amount_fen),
        ("unit_price_milli_per_litre", profile.limits.unit_price_milli_per_litre),
    ):
        value = getattr(sold, field)
        if not 0 <= value <= limit:
            return RegisterFault(field=field, reason=f"{value} is not within 0 and {limit}")
    if sold.totalizer_ml < 0:
        return RegisterFault(field="totalizer_ml", reason="negative")
    return None


def _refuse_other_order(profile: Profile, words: Sequence[int], reason: str) -> None:
    def fits(other: Profile) -> bool:
        sold = decode_transaction(other, words)
        return bool(sold.volume_ml) and not _beyond_limits(other, sold) and adds_up(other, sold)

    order = _fitting_order(profile, fits)
    if order is not None:
        raise _mismatch(profile, reason, order)


def _clock_order(profile: Profile, words: Sequence[int], now: datetime) -> WordOrder | None:
    def fits(other: Profile) -> bool:
        clock_at = decode_controller(other, words).clock_at
        return clock_at is not None and abs(clock_at - now) < _CLOCK_AGREES

    return _fitting_order(profile, fits)


def _status_order(profile: Profile, words: Sequence[int]) -> WordOrder | None:
    def fits(other: Profile) -> bool:
        price = decode_status(other, words).unit_price_milli_per_litre
        return 0 < price <= profile.limits.unit_price_milli_per_litre

    return _fitting_order(profile, fits)


def _fitting_order(profile: Profile, fits: Callable[[Profile], bool]) -> WordOrder | None:
    for order in WordOrder:
        if order is profile.word_order:
            continue
        try:
            if fits(profile.model_copy(update={"word_order": order})):
                return order
        except RegisterFault:
            continue
    return None


def _mismatch(
    profile: Profile, reason: str, fitting_order: WordOrder | None = None
) -> ProfileMismatch:
    return ProfileMismatch(profile=profile.name, reason=reason, fitting_order=fitting_order)
