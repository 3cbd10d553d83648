"""
What a simulated forecourt refuses.

    SimulatorError
    ├── UnknownNozzle            the controller has no nozzle of that number
    ├── OperationRefused         the nozzle's state does not allow it
    ├── NotRepresentable         the register map cannot carry the value
    └── DeliveryFailed           nobody took what a camera or the till had to tell
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Root of everything the simulator refuses."""


class UnknownNozzle(SimulatorError):
    def __init__(self, *, nozzle: int) -> None:
        super().__init__(f"no nozzle {nozzle}")
        self.nozzle = nozzle


class OperationRefused(SimulatorError):
    def __init__(self, *, nozzle: int, operation: str, state: str) -> None:
        super().__init__(f"nozzle {nozzle} cannot {operation} while {state}")
        self.nozzle = nozzle
        self.operation = operation
        self.state = state


class NotRepresentable(SimulatorError):
    def __init__(self, *, field: str, value: int, step: int) -> None:
        super().__init__(f"{field} {value} is no multiple of {step}")
        self.field = field
        self.value = value
        self.step = step


class DeliveryFailed(SimulatorError):
    def __init__(self, *, url: str, status: int | None) -> None:
        super().__init__(f"{url} answered {status}" if status else f"{url} did not answer")
        self.url = url
        self.status = status
