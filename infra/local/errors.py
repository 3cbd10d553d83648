"""
What can go wrong on this machine.

    LocalStackError
    ├── EmulatorDidNotStart
    ├── CdkNotFound
    ├── CdkFailed
    └── StationNotHeard
"""

from __future__ import annotations

__all__ = [
    "CdkFailed",
    "CdkNotFound",
    "EmulatorDidNotStart",
    "LocalStackError",
    "StationNotHeard",
]

TAIL_LINES = 40


class LocalStackError(Exception):
    """The local stack could not be brought up, or does not do what it should."""


class EmulatorDidNotStart(LocalStackError):
    def __init__(self, *, log: str) -> None:
        super().__init__(f"MiniStack did not start. Its last lines:\n{_tail(log)}")
        self.log = log


class CdkNotFound(LocalStackError):
    def __init__(self) -> None:
        super().__init__("The CDK command line is not installed: run `make setup`.")


class CdkFailed(LocalStackError):
    def __init__(self, *, command: str, log: str) -> None:
        super().__init__(f"{command} failed. Its last lines:\n{_tail(log)}")
        self.command = command
        self.log = log


class StationNotHeard(LocalStackError):
    """A gateway's messages were not acknowledged for so long that they never will be."""

    def __init__(self, *, station_id: str, waiting: int) -> None:
        super().__init__(f"{station_id} still has {waiting} messages that nobody acknowledged.")
        self.station_id = station_id
        self.waiting = waiting


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-TAIL_LINES:])
