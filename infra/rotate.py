"""
Rotate the key under which plates, phones and cards are hashed, on a deployed stack.

    python -m infra.rotate            go on with a rotation, or say that none is under way
    python -m infra.rotate --begin    begin one
    python -m infra.rotate --drop     end it: drop the old key, once nothing is looked for by it

A rotation goes through four states of the ring of keys, and after each change all containers
learn of it, and everything stored is brought in line: the new key is introduced, it becomes the
current one, the old one is dropped. Each call goes on until it has to be told to drop. It can be
broken off anywhere and called again; what was started goes on meanwhile.

Ends with 0 when all is as it should be, 1 when something could not be hashed anew, 2 when what
was started stands still, which the queue `NotRekeyed` can tell more about, 3 when no stack could
be asked or its function failed, and 4 when what is asked for may not happen now.

The stack is the one the environment's credentials lead to; with `AWS_ENDPOINT_URL` also a local
one.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

import boto3
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from forecourt.keyring import KeyRing
from forecourt.rekeying import SEGMENTS
from infra.verify import NOT_ASKED, asked, outputs_of, say_not_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STACK = "Forecourt"
POLL_SECONDS = 2.0
# An invocation takes a quarter of an hour at most, and one that failed is tried again twice.
PATIENCE_SECONDS = 3600.0
SECRET_BYTES = 48


class Ending(IntEnum):
    """The exit code."""

    DONE = 0
    LEFT_BEHIND = 1
    STANDS_STILL = 2
    NOT_REACHED = 3
    NOT_NOW = 4


class Step(StrEnum):
    """What comes next: `begin` when no rotation is under way, `mend` when something failed."""

    BEGIN = "begin"
    REKEY = "rekey"
    MEND = "mend"
    PROMOTE = "promote"
    DROP = "drop"


class StandsStill(Exception):
    """Nothing has moved for so long that nobody is at it."""


def next_step(told: Mapping[str, Any]) -> Step:
    """Return what comes next in a rotation of which the function *told* how far it is."""
    accepted = sorted(told["accepted"], key=int)
    never_rotated = accepted == ["1"]
    if not told["finished"] and not never_rotated:
        return Step.REKEY
    if not told["clean"] and not never_rotated:
        return Step.MEND
    if len(accepted) == 1:
        return Step.BEGIN
    return Step.DROP if told["current"] == accepted[-1] else Step.PROMOTE


class Rotation:
    """The rekeying function *function* and the secret *secret_id* of a deployed stack."""

    def __init__(
        self,
        *,
        lambda_: Any,
        vault: Any,
        function: str,
        secret_id: str,
        console: Console,
        sleep: Callable[[float], None] = time.sleep,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._lambda = lambda_
        self._vault = vault
        self._function = function
        self._secret_id = secret_id
        self._console = console
        self._sleep = sleep
        self._patience_seconds = patience_seconds

    def go(self, *, begin: bool = False, drop: bool = False, anew: bool = False) -> Ending:
        """Take every step that may be taken now, and say where that has led."""
        told = self._ask()
        if begin:
            if next_step(told) is not Step.BEGIN:
                return self._say(Ending.NOT_NOW, "A rotation is under way: go on without --begin.")
            told = self._change("key {0.newest} is introduced", _introducing)
        elif anew:
            told = self._rekey(told, anew=True)
        told = self._go_on(told)
        if drop and next_step(told) is Step.BEGIN:
            return self._say(Ending.NOT_NOW, "There is no old key to drop.")
        if drop and next_step(told) is Step.DROP:
            told = self._go_on(self._change("{0.current} is the only key now", KeyRing.dropping))
        return self._conclude(told)

    def _go_on(self, told: dict[str, Any]) -> dict[str, Any]:
        """Go as far as nobody has to be asked."""
        while True:
            match next_step(told):
                case Step.REKEY:
                    told = self._rekey(told)
                case Step.PROMOTE:
                    told = self._change("key {0.newest} is current from now on", KeyRing.promoting)
                case _:
                    return told

    def _conclude(self, told: Mapping[str, Any]) -> Ending:
        match next_step(told):
            case Step.MEND:
                return self._say(
                    Ending.LEFT_BEHIND,
                    f"{told['counts']['failed']} items could not be hashed anew: the function's "
                    "log says why. Mend them, then go on with --anew.",
                )
            case Step.DROP:
                return self._say(
                    Ending.DONE,
                    f"Everything is found by key {told['current']}, and nothing by the key before. "
                    "Read docs/operations.md, then end the rotation with --drop.",
                )
            case _:
                return self._say(
                    Ending.DONE, f"No rotation is under way. Key {told['current']} is the only one."
                )

    def _ask(self, **event: Any) -> dict[str, Any]:
        return asked(self._lambda, self._function, event)

    def _change(self, said: str, change: Callable[[KeyRing], KeyRing]) -> dict[str, Any]:
        text = self._vault.get_secret_value(SecretId=self._secret_id)["SecretString"]
        ring = change(KeyRing.from_text(text))
        self._vault.put_secret_value(SecretId=self._secret_id, SecretString=ring.to_text())
        self._console.print(said.format(ring), markup=False, highlight=False)
        return self._ask()

    def _rekey(self, told: dict[str, Any], *, anew: bool = False) -> dict[str, Any]:
        """Have a run made, and show how far it is; raise `StandsStill`."""
        while told["settles_in_seconds"]:
            self._console.print(
                f"all containers learn of it within {told['settles_in_seconds']} seconds"
            )
            self._sleep(told["settles_in_seconds"])
            told = self._ask()
        told = self._ask(do="start", anew=anew)
        columns = (
            TextColumn("segments hashed anew"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        waited, known = 0.0, -1
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("", total=SEGMENTS)
            while True:
                walked = sum(told["counts"].values())
                progress.update(task, completed=told["done"], description=f"{walked} items")
                if told["finished"]:
                    break
                if walked + told["done"] != known:
                    waited, known = 0.0, walked + told["done"]
                if waited >= self._patience_seconds:
                    raise StandsStill
                self._sleep(POLL_SECONDS)
                waited += POLL_SECONDS
                told = self._ask()
        counts = ", ".join(f"{name}: {many}" for name, many in sorted(told["counts"].items()))
        self._console.print(counts or "nothing to do", markup=False)
        return told

    def _say(self, ending: Ending, said: str) -> Ending:
        self._console.print(said, markup=False, highlight=False, soft_wrap=True)
        return ending


def _introducing(ring: KeyRing) -> KeyRing:
    return ring.introducing(secrets.token_urlsafe(SECRET_BYTES))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.rotate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", default=STACK, help="the stack's name")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--begin", action="store_true", help="begin a rotation")
    what.add_argument("--drop", action="store_true", help="drop the old key, which ends it")
    what.add_argument("--anew", action="store_true", help="walk by everything once more")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        function, secret_id = outputs_of(
            boto3.client("cloudformation"),
            options.stack,
            "RekeyingFunctionName",
            "IdentitySecretArn",
        )
        rotation = Rotation(
            lambda_=boto3.client("lambda"),
            vault=boto3.client("secretsmanager"),
            function=function,
            secret_id=secret_id,
            console=console,
        )
        return rotation.go(begin=options.begin, drop=options.drop, anew=options.anew)
    except NOT_ASKED as error:
        say_not_asked(options.stack, error)
        return Ending.NOT_REACHED
    except StandsStill:
        console.print("It stands still. Look into NotRekeyed, redrive it, and call again.")
        return Ending.STANDS_STILL


if __name__ == "__main__":
    sys.exit(main())
