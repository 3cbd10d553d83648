"""
The blocks of a profile as values, decoded from registers and encoded into them.

Decoding raises `RegisterFault` for what cannot be a value at all; whether values make
sense together is `forecourt_edge.plausibility`'s question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from forecourt_edge.errors import RegisterFault
from forecourt_edge.registers import decode_number, decode_text, encode_number, encode_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecourt_edge.profile import FlagName, Profile, Register, StateName

AUTHORISE = 1
_ML_PER_LITRE = 1000
_FEN_PER_YUAN = 100
_MILLI_PER_YUAN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """The controller's header."""

    serial: str
    clock_at: datetime | None
    nozzle_count: int
    ring_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NozzleStatus:
    """A nozzle's status block; `transaction` 0 means that nothing has been sold yet."""

    state: StateName
    transaction: int
    acknowledged: int
    totalizer_ml: int
    unit_price_milli_per_litre: int
    grade_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A finished transaction as the pump recorded it."""

    transaction: int
    grade_code: int
    started_at: datetime | None
    completed_at: datetime | None
    unit_price_milli_per_litre: int
    volume_ml: int
    amount_fen: int
    totalizer_ml: int
    test_delivery: bool = False
    offline: bool = False
    card: str = ""


def decode_controller(profile: Profile, words: Sequence[int]) -> Controller:
    block = profile.controller
    return Controller(
        serial=_text(profile, block.serial, words, "serial"),
        clock_at=_instant(profile, block.clock, words, "clock"),
        nozzle_count=_count(profile, block.nozzle_count, words, "nozzle_count"),
        ring_size=_count(profile, block.ring_size, words, "ring_size"),
    )


def encode_controller(profile: Profile, controller: Controller) -> list[int]:
    block = profile.controller
    words = [0] * block.length
    _put_text(profile, block.serial, words, controller.serial, "serial")
    _put_instant(profile, block.clock, words, controller.clock_at, "clock")
    _put(profile, block.nozzle_count, words, controller.nozzle_count, "nozzle_count")
    _put(profile, block.ring_size, words, controller.ring_size, "ring_size")
    return words


def decode_status(profile: Profile, words: Sequence[int]) -> NozzleStatus:
    block = profile.status
    code = _count(profile, block.state, words, "state")
    if code not in profile.states:
        raise RegisterFault(field="state", reason=f"code {code} is not in the profile")
    return NozzleStatus(
        state=profile.states[code],
        transaction=_count(profile, block.transaction, words, "transaction"),
        acknowledged=_count(profile, block.acknowledged, words, "acknowledged"),
        totalizer_ml=_count(profile, block.totalizer, words, "totalizer", per_unit=_ML_PER_LITRE),
        unit_price_milli_per_litre=_count(
            profile, block.unit_price, words, "unit_price", per_unit=_MILLI_PER_YUAN
        ),
        grade_code=_count(profile, block.grade, words, "grade"),
    )


def encode_status(profile: Profile, status: NozzleStatus) -> list[int]:
    block = profile.status
    words = [0] * block.length
    codes = {name: code for code, name in profile.states.items()}
    _put(profile, block.state, words, codes[status.state], "state")
    _put(profile, block.transaction, words, status.transaction, "transaction")
    _put(profile, block.acknowledged, words, status.acknowledged, "acknowledged")
    _put(profile, block.totalizer, words, status.totalizer_ml, "totalizer", per_unit=_ML_PER_LITRE)
    _put(
        profile,
        block.unit_price,
        words,
        status.unit_price_milli_per_litre,
        "unit_price",
        per_unit=_MILLI_PER_YUAN,
    )
    _put(profile, block.grade, words, status.grade_code, "grade")
    return words


def decode_transaction(profile: Profile, words: Sequence[int]) -> Transaction:
    block = profile.ring.record
    flags = _count(profile, block.flags, words, "flags") if block.flags else 0
    return Transaction(
        transaction=_count(profile, block.transaction, words, "transaction"),
        grade_code=_count(profile, block.grade, words, "grade"),
        started_at=_instant(profile, block.started, words, "started"),
        completed_at=_instant(profile, block.completed, words, "completed"),
        unit_price_milli_per_litre=_count(
            profile, block.unit_price, words, "unit_price", per_unit=_MILLI_PER_YUAN
        ),
        volume_ml=_count(profile, block.volume, words, "volume", per_unit=_ML_PER_LITRE),
        amount_fen=_count(profile, block.amount, words, "amount", per_unit=_FEN_PER_YUAN),
        totalizer_ml=_count(profile, block.totalizer, words, "totalizer", per_unit=_ML_PER_LITRE),
        test_delivery=_flag(profile, flags, "test_delivery"),
        offline=_flag(profile, flags, "offline"),
        card=_text(profile, block.card, words, "card") if block.card else "",
    )


def encode_transaction(profile: Profile, sold: Transaction) -> list[int]:
    block = profile.ring.record
    words = [0] * profile.ring.stride
    _put(profile, block.transaction, words, sold.transaction, "transaction")
    _put(profile, block.grade, words, sold.grade_code, "grade")
    _put_instant(profile, block.started, words, sold.started_at, "started")
    _put_instant(profile, block.completed, words, sold.completed_at, "completed")
    price = sold.unit_price_milli_per_litre
    _put(profile, block.unit_price, words, price, "unit_price", per_unit=_MILLI_PER_YUAN)
    _put(profile, block.volume, words, sold.volume_ml, "volume", per_unit=_ML_PER_LITRE)
    _put(profile, block.amount, words, sold.amount_fen, "amount", per_unit=_FEN_PER_YUAN)
    _put(profile, block.totalizer, words, sold.totalizer_ml, "totalizer", per_unit=_ML_PER_LITRE)
    if block.flags:
        set_flags = {"test_delivery": sold.test_delivery, "offline": sold.offline}
        bits = sum(1 << bit for name, bit in profile.flags.items() if set_flags[name])
        _put(profile, block.flags, words, bits, "flags")
    if block.card:
        _put_text(profile, block.card, words, sold.card, "card")
    return words


def encode_authorisation(profile: Profile, preset_fen: int) -> tuple[list[int], list[int]]:
    """Return the preset's registers and those that authorise; a preset of 0 sets no limit."""
    command = profile.command
    preset = [0] * command.preset.words
    _put(profile, _at_zero(command.preset), preset, preset_fen, "preset", per_unit=_FEN_PER_YUAN)
    authorise = [0] * command.authorise.words
    _put(profile, _at_zero(command.authorise), authorise, AUTHORISE, "authorise")
    return preset, authorise


def decode_preset_fen(profile: Profile, words: Sequence[int]) -> int:
    """Read the preset amount from a command block."""
    return _count(profile, profile.command.preset, words, "preset", per_unit=_FEN_PER_YUAN)


def _at_zero(register: Register) -> Register:
    return register.model_copy(update={"address": 0})


def _slice(register: Register, words: Sequence[int], field: str) -> Sequence[int]:
    part = words[register.address : register.end]
    if len(part) != register.words:
        raise RegisterFault(field=field, reason="the device answered fewer registers than asked")
    return part


def _count(
    profile: Profile, register: Register, words: Sequence[int], field: str, *, per_unit: int = 1
) -> int:
    order = register.word_order or profile.word_order
    part = _slice(register, words, field)
    value = decode_number(part, register.type, order, register.scale, field=field) * per_unit
    whole = int(value)
    if whole != value:
        raise RegisterFault(field=field, reason=f"{value} is no whole number")
    return whole


def _put(
    profile: Profile,
    register: Register,
    words: list[int],
    value: int,
    field: str,
    *,
    per_unit: int = 1,
) -> None:
    order = register.word_order or profile.word_order
    words[register.address : register.end] = encode_number(
        Decimal(value) / per_unit, register.type, register.words, order, register.scale, field=field
    )


def _text(profile: Profile, register: Register, words: Sequence[int], field: str) -> str:
    order = register.word_order or profile.word_order
    return decode_text(_slice(register, words, field), order, field=field)


def _put_text(
    profile: Profile, register: Register, words: list[int], text: str, field: str
) -> None:
    order = register.word_order or profile.word_order
    words[register.address : register.end] = encode_text(text, register.words, order, field=field)


def _flag(profile: Profile, flags: int, name: FlagName) -> bool:
    bit = profile.flags.get(name)
    return bit is not None and bool(flags >> bit & 1)


def _instant(
    profile: Profile, register: Register | None, words: Sequence[int], field: str
) -> datetime | None:
    """Zero means that the device has no time for it."""
    if register is None:
        return None
    raw = _count(profile, register, words, field)
    if raw == 0:
        return None
    try:
        if profile.times.encoding == "epoch":
            local = datetime.fromtimestamp(raw, UTC).replace(tzinfo=None)
        else:
            local = datetime.strptime(f"{raw:014d}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - zone below
        return local.replace(tzinfo=profile.zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RegisterFault(field=field, reason=f"{raw} is no time") from error


def _put_instant(
    profile: Profile,
    register: Register | None,
    words: list[int],
    instant: datetime | None,
    field: str,
) -> None:
    if register is None:
        return
    raw = 0
    if instant is not None:
        local = instant.astimezone(profile.zone).replace(tzinfo=None)
        if profile.times.encoding == "epoch":
            raw = int(local.replace(tzinfo=UTC).timestamp())
        else:
            raw = int(local.strftime("%Y%m%d%H%M%S"))
    _put(profile, register, words, raw, field)
