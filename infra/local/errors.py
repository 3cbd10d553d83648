"""
What can go wrong on this machine.

    LocalStackError
    ├── EmulatorDidNotStart
    ├── CdkNotFound
    └── CdkFailed
"""

from __future__ import annotations

__all__ = ["CdkFailed", "CdkNotFound", "EmulatorDidNotStart", "LocalStackError"]

TAIL_LINES = 40


class LocalStackError(Exception):
    """The local stack could not be brought up."""


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


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-TAIL_LINES:])
