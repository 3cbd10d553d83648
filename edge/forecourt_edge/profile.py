"""
Register profile: what stands where in the registers of one make of forecourt controller.

A profile is data.  All of it lives in holding registers: a header of the controller,
a status block and a command block for each nozzle, and for each nozzle a ring of
finished transactions.  Transaction numbers run from 1 to `number_max` and start over;
the record of number *n* stands in slot *n* modulo the ring's size.  Zero means that
nothing has been sold yet.

    block        address of its first register
    controller   controller.address
    status       status.address + (position - 1) * status.stride
    command      command.address + (position - 1) * command.stride
    record       ring.address + (position - 1) * ring.size * ring.stride
                 + (number % ring.size) * ring.stride

`position` counts a controller's nozzles from 1.  Field addresses are offsets in their
block.
"""

from __future__ import annotations

import json
from decimal import Decimal
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from forecourt_edge.errors import InvalidConfig
from forecourt_edge.registers import (
    BCD_WORDS_MAX,
    READ_REGISTERS_MAX,
    REGISTER_MAX,
    WORDS_OF,
    RegisterType,
    WordOrder,
)

StateName = Literal[
    "inoperative",
    "closed",
    "idle",
    "calling",
    "authorised",
    "started",
    "suspended_started",
    "fuelling",
    "suspended_fuelling",
]
FlagName = Literal["test_delivery", "offline"]
Code = Annotated[int, Field(ge=0, le=REGISTER_MAX)]
Address = Annotated[int, Field(ge=0, le=REGISTER_MAX)]
Grade = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,16}$")]

_CLOSED = ConfigDict(frozen=True, extra="forbid")


class Register(BaseModel):
    """
    One value: where, how encoded, and its step.

    `scale` is the value of one step in litres, yuan or yuan per litre; for times,
    numbers and codes it stays 1.
    """

    model_config = _CLOSED

    address: Address
    type: RegisterType
    words: int = Field(default=0, ge=0, le=READ_REGISTERS_MAX)
    scale: Decimal = Decimal(1)
    word_order: WordOrder | None = None

    @field_validator("scale")
    @classmethod
    def _scale_is_a_step(cls, scale: Decimal) -> Decimal:
        if not Decimal("0.000001") <= scale <= Decimal(1000):
            raise ValueError("must lie between 0.000001 and 1000")
        return scale

    @model_validator(mode="before")
    @classmethod
    def _words_follow_from_type(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("words"):
            fixed = WORDS_OF.get(data.get("type", ""))
            return {**data, "words": fixed} if fixed else data
        return data

    @model_validator(mode="after")
    def _words_suit_type(self) -> Self:
        fixed = WORDS_OF.get(self.type)
        if fixed and self.words != fixed:
            raise ValueError(f"{self.type} has {fixed} words, not {self.words}")
        if not self.words:
            raise ValueError(f"{self.type} needs words")
        if self.type is RegisterType.BCD and self.words > BCD_WORDS_MAX:
            raise ValueError(f"bcd has at most {BCD_WORDS_MAX} words")
        return self

    @property
    def end(self) -> int:
        return self.address + self.words


class Block(BaseModel):
    """Registers that are read together; knows its own length and that nothing overlaps."""

    model_config = _CLOSED

    address: Address

    @property
    def registers(self) -> dict[str, Register]:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Register)}

    @property
    def length(self) -> int:
        return max(register.end for register in self.registers.values())

    @model_validator(mode="after")
    def _fields_do_not_overlap(self) -> Self:
        ordered = sorted(self.registers.items(), key=lambda item: item[1].address)
        for (name, register), (next_name, following) in pairwise(ordered):
            if register.end > following.address:
                raise ValueError(f"{name} and {next_name} overlap")
        if self.length > READ_REGISTERS_MAX:
            raise ValueError(f"longer than {READ_REGISTERS_MAX} registers: not one read")
        stride = getattr(self, "stride", self.length)
        if self.length > stride:
            raise ValueError(f"stride {stride} is shorter than the block ({self.length})")
        return self


class ControllerBlock(Block):
    """Who the controller is. `clock` is absent on a device without one."""

    serial: Register
    clock: Register | None = None
    nozzle_count: Register
    ring_size: Register


class StatusBlock(Block):
    """A nozzle now. `transaction` is the newest finished one, `acknowledged` the last closed."""

    stride: int = Field(ge=1)
    state: Register
    transaction: Register
    acknowledged: Register
    totalizer: Register
    unit_price: Register
    grade: Register


class CommandBlock(Block):
    """Where the station writes. `close` takes the number of the transaction that is safe."""

    stride: int = Field(ge=1)
    authorise: Register
    preset: Register
    close: Register


class TransactionRecord(Block):
    """A finished transaction; offsets within one slot of the ring, so `address` is 0."""

    address: Address = 0
    transaction: Register
    grade: Register
    started: Register | None = None
    completed: Register | None = None
    unit_price: Register
    volume: Register
    amount: Register
    totalizer: Register
    flags: Register | None = None
    card: Register | None = None


class Ring(BaseModel):
    """Each nozzle's own ring of finished transactions."""

    model_config = _CLOSED

    address: Address
    size: int = Field(ge=1)
    stride: int = Field(ge=1)
    number_max: int = Field(default=REGISTER_MAX, ge=2, le=REGISTER_MAX)
    record: TransactionRecord

    @model_validator(mode="after")
    def _records_fit(self) -> Self:
        if self.record.length > self.stride:
            raise ValueError(f"stride {self.stride} is shorter than record ({self.record.length})")
        if self.size >= self.number_max:
            raise ValueError("size must be below number_max: a slot would not tell its laps apart")
        return self


class Times(BaseModel):
    """`epoch`: seconds since 1970 (u32). `bcd`: digits YYYYMMDDhhmmss in four words."""

    model_config = _CLOSED

    encoding: Literal["epoch", "bcd"] = "epoch"
    zone: str = "UTC"  # Epoch seconds of a device set to local time are local too.

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("no IANA time zone") from error
        return zone


class Limits(BaseModel):
    """What no real sale exceeds. Registers beyond it are not what the profile says they are."""

    model_config = _CLOSED

    volume_ml: int = Field(default=5_000_000, gt=0)
    amount_fen: int = Field(default=10_000_000, gt=0)
    unit_price_milli_per_litre: int = Field(default=100_000, gt=0)
    clock_years: int = Field(default=5, gt=0)


class Profile(BaseModel):
    """The register map of one make of controller, validated as a whole."""

    model_config = _CLOSED

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    word_order: WordOrder
    max_nozzles: int = Field(ge=1, le=999)
    controller: ControllerBlock
    status: StatusBlock
    command: CommandBlock
    ring: Ring
    states: dict[Code, StateName]
    grades: dict[Code, Grade]
    flags: dict[FlagName, Annotated[int, Field(ge=0, le=15)]] = {}
    times: Times = Times()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _blocks_do_not_overlap(self) -> Self:
        spans = sorted(
            [
                (self.controller.address, self.controller.length, "controller"),
                (self.status.address, self.max_nozzles * self.status.stride, "status"),
                (self.command.address, self.max_nozzles * self.command.stride, "command"),
                (self.ring.address, self.max_nozzles * self.ring.size * self.ring.stride, "ring"),
            ]
        )
        for (start, length, name), (following, _, next_name) in pairwise(spans):
            if start + length > following:
                raise ValueError(f"{name} and {next_name} overlap")
        start, length, name = spans[-1]
        if start + length > REGISTER_MAX + 1:
            raise ValueError(f"{name} ends beyond register {REGISTER_MAX}")
        return self

    @model_validator(mode="after")
    def _counters_are_exact(self) -> Self:
        # A float32 counts hundredths of a litre up to 167,772 L only; a totalizer passes that.
        record = self.ring.record
        for name, register in (("status", self.status.totalizer), ("record", record.totalizer)):
            if register.type is RegisterType.F32:
                raise ValueError(f"{name}.totalizer: float32 is too coarse for a totalizer")
        for name, register in (
            ("status.transaction", self.status.transaction),
            ("status.acknowledged", self.status.acknowledged),
            ("record.transaction", record.transaction),
            ("command.close", self.command.close),
        ):
            if register.type is not RegisterType.U16:
                raise ValueError(f"{name}: must be u16")
        return self

    @model_validator(mode="after")
    def _units_are_whole(self) -> Self:
        record = self.ring.record
        for name, register, unit in (
            ("status.totalizer", self.status.totalizer, "0.001"),
            ("status.unit_price", self.status.unit_price, "0.001"),
            ("command.preset", self.command.preset, "0.01"),
            ("record.totalizer", record.totalizer, "0.001"),
            ("record.volume", record.volume, "0.001"),
            ("record.unit_price", record.unit_price, "0.001"),
            ("record.amount", record.amount, "0.01"),
        ):
            if register.scale % Decimal(unit):
                raise ValueError(f"{name}: scale {register.scale} is no multiple of {unit}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.times.zone)

    @property
    def volume_resolution_ml(self) -> int:
        """The step in which volumes are metered."""
        return int(self.ring.record.volume.scale * 1000)

    def status_address(self, position: int) -> int:
        return self.status.address + (position - 1) * self.status.stride

    def command_address(self, position: int) -> int:
        return self.command.address + (position - 1) * self.command.stride

    def record_address(self, position: int, number: int) -> int:
        slot = (position - 1) * self.ring.size + number % self.ring.size
        return self.ring.address + slot * self.ring.stride

    def next_number(self, number: int) -> int:
        """Return the transaction number after *number*; zero is skipped when they wrap."""
        return number % self.ring.number_max + 1

    def distance(self, cursor: int, head: int) -> int:
        """Return how many transactions were finished after *cursor*, up to *head*."""
        if head == 0:
            return 0
        if cursor == 0:
            return head
        return (head - cursor) % self.ring.number_max


def load_profile(source: str | Path) -> Profile:
    """
    Return the profile at a path, or the built-in one of that name.

    Raises `InvalidConfig` naming each wrong field.
    """
    text = _profile_text(source)
    try:
        return Profile.model_validate(json.loads(text, parse_float=Decimal))
    except ValidationError as error:
        raise InvalidConfig(source=str(source), findings=findings_of(error)) from error
    except ValueError as error:
        raise InvalidConfig(source=str(source), findings=[f"not JSON: {error}"]) from error


def findings_of(error: ValidationError) -> list[str]:
    """Name each field by its path; the rejected value stays out, it may be a secret."""
    return [
        f"{'.'.join(str(part) for part in finding['loc']) or 'document'}: {finding['msg']}"
        for finding in error.errors(include_url=False, include_input=False)
    ]


def _profile_text(source: str | Path) -> str:
    path = Path(source)
    try:
        if path.suffix == ".json":
            return path.read_text("utf-8")
        built_in = resources.files("forecourt_edge") / "profiles" / f"{path.name}.json"
        return built_in.read_text("utf-8")
    except OSError as error:
        reason = f"no such profile: {error.strerror}"
        raise InvalidConfig(source=str(source), findings=[reason]) from error
