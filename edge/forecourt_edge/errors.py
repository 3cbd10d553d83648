"""
What can go wrong at the edge.

* EdgeError
  - InvalidConfig      the configuration or a register profile contradicts itself
  - RegisterFault      registers do not hold a value of the type the profile states
  - ProfileMismatch    the device answers, and the profile is not its register map
  - DeviceSilent       the device did not answer, or the connection is gone
  - DeviceRefused      the device answered with a Modbus exception, or ignored a command
  - OutboxFull         no further sale may be taken over from a pump
  - OutboxInUse        another process works on the same outbox
  - OutboxUnusable     there is no outbox in that file, or it cannot be opened
  - NothingRefused     no message was refused for that reason
  - UplinkDown         a message could not be handed over; it is kept and sent again

Each class carries the facts it was raised with.
"""

from __future__ import annotations


class EdgeError(Exception):
    """Base class of every expected failure at the edge."""


class InvalidConfig(EdgeError):
    """`findings` names every wrong field and what is wrong with it, one string each."""

    def __init__(self, *, source: str, findings: list[str]) -> None:
        super().__init__(f"{source}: {'; '.join(findings)}")
        self.source = source
        self.findings = findings


class RegisterFault(EdgeError):
    """`field` is the profile's name of the value."""

    def __init__(self, *, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ProfileMismatch(EdgeError):
    """`fitting_order` is the word order under which the same registers make sense, if one does."""

    def __init__(self, *, profile: str, reason: str, fitting_order: str | None = None) -> None:
        super().__init__(f"{profile}: {reason}, fitting word order: {fitting_order}")
        self.profile = profile
        self.reason = reason
        self.fitting_order = fitting_order


class DeviceSilent(EdgeError):
    """`bus` is host:port of the connection."""

    def __init__(self, *, bus: str, reason: str) -> None:
        super().__init__(f"{bus}: {reason}")
        self.bus = bus
        self.reason = reason


class DeviceRefused(EdgeError):
    """`address` is the first register of the refused request."""

    def __init__(self, *, bus: str, address: int, reason: str) -> None:
        super().__init__(f"{bus} register {address}: {reason}")
        self.bus = bus
        self.address = address
        self.reason = reason


class OutboxFull(EdgeError):
    """`reason` is `cap` (the configured number of rows is reached) or `disk`."""

    def __init__(self, *, reason: str, rows: int) -> None:
        super().__init__(f"{reason}: {rows} rows")
        self.reason = reason
        self.rows = rows


class OutboxInUse(EdgeError):
    """Two components on one outbox would take every sale over twice."""

    def __init__(self, *, path: str) -> None:
        super().__init__(path)
        self.path = path


class OutboxUnusable(EdgeError):
    """`reason` is SQLite's word for it, or that there is no such file."""

    def __init__(self, *, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NothingRefused(EdgeError):
    """`reasons` are those for which there is something."""

    def __init__(self, *, reason: str, reasons: list[str]) -> None:
        super().__init__(f"{reason}, only {', '.join(reasons) or 'nothing'}")
        self.reason = reason
        self.reasons = reasons


class UplinkDown(EdgeError):
    """`reason` is the transport's word for it."""

    def __init__(self, *, uplink: str, reason: str) -> None:
        super().__init__(f"{uplink}: {reason}")
        self.uplink = uplink
        self.reason = reason
