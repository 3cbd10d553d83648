"""
Verify the whole ledger of a deployed stack, and tell what does not agree.

    python -m infra.verify

Starts a run of the verification function and follows it: progress while it reads, then every
difference as one JSON line, then the sums. It can be broken off and taken up again with
`--run RUN_ID`; the run goes on meanwhile. Ends with 0 when everything agrees, 1 when something
does not, 2 when the run stands still, which the queue `NotVerified` can tell more about, 3 when
no stack could be asked or its function failed, and 4 when the stack knows no such run.

The stack is the one the environment's credentials lead to; with `AWS_ENDPOINT_URL` also a local
one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from forecourt.verification import SEGMENTS, VerificationFiles, agrees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STACK = "Forecourt"
POLL_SECONDS = 2.0
# A step takes a quarter of an hour at most; one that failed is tried again after ninety minutes.
PATIENCE_SECONDS = 2 * 3600.0


class Ending(IntEnum):
    """The exit code."""

    AGREES = 0
    DIFFERS = 1
    STANDS_STILL = 2
    NOT_REACHED = 3
    UNKNOWN_RUN = 4


class OutputMissing(Exception):
    """The stack that was named is none of ours: it does not tell where its *output* is."""

    def __init__(self, output: str) -> None:
        super().__init__(f"it has no output {output}")
        self.output = output


class FunctionFailed(Exception):
    """The *function* was reached and failed; its log has what the *answer* leaves out."""

    def __init__(self, function: str, answer: Any) -> None:
        super().__init__(f"{function} failed: {json.dumps(answer, ensure_ascii=False)}")
        self.function = function
        self.answer = answer


# What keeps a command from asking a stack: no region, no credentials, no such stack, none of ours.
NOT_ASKED = (BotoCoreError, ClientError, OutputMissing, FunctionFailed)


def outputs_of(cloudformation: Any, stack: str, *names: str) -> tuple[str, ...]:
    """Return the outputs *names* of the deployed *stack*; raise `OutputMissing`."""
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
    for name in names:
        if name not in outputs:
            raise OutputMissing(name)
    return tuple(outputs[name] for name in names)


def asked(lambda_: Any, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *function* answers to *event*; raise `FunctionFailed`."""
    answer = lambda_.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise FunctionFailed(function, result)
    return result


def say_not_asked(stack: str, error: Exception) -> None:
    """Tell the operator why *stack* could not be asked: what the platform says is what helps."""
    said = f"No stack {stack} could be asked: {error}"
    if isinstance(error, FunctionFailed):
        said = f"The stack {stack} was asked in vain: {error}"
    Console(stderr=True, soft_wrap=True).print(said, markup=False, highlight=False)


def start(lambda_: Any, function: str) -> str:
    """Start a run; return its id."""
    run_id: str = asked(lambda_, function, {})["run_id"]
    return run_id


def follow(
    files: VerificationFiles,
    console: Console,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any] | None:
    """Show how far a run is until it ends; return its report, or `None` if it stands still."""
    waited, known = 0.0, -1
    columns = (
        TextColumn("segments verified"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=SEGMENTS)
        while True:
            report = files.report()
            done, steps = files.progress()
            progress.update(task, completed=done, description=f"{len(steps)} steps")
            if report is not None:
                return report
            if len(steps) != known:
                waited, known = 0.0, len(steps)
            if waited >= patience_seconds:
                return None
            sleep(POLL_SECONDS)
            waited += POLL_SECONDS


def tell(files: VerificationFiles, report: Mapping[str, Any], console: Console) -> Ending:
    """Print what a run found."""
    for difference in files.differences():
        console.print(json.dumps(difference, ensure_ascii=False), markup=False, soft_wrap=True)
    for day in report["days_not_as_booked"]:
        console.print(
            f"{day['day']}: {day['counted']} entries in the table, {day['booked']} in the books",
            markup=False,
        )
    for account, points in report["not_at_zero"].items():
        console.print(f"{account}: {points:+} over all owners instead of 0", markup=False)
    console.print(
        f"accounts: {report['accounts']}, entries: {report['entries']}, "
        f"closed days: {report['books']}, differences: {report['differences']}, "
        f"days not as booked: {len(report['days_not_as_booked'])}, "
        f"not at zero: {len(report['not_at_zero'])}, refunds that wait: {report['waiting']}",
        markup=False,
        soft_wrap=True,
    )
    return Ending.AGREES if agrees(report) else Ending.DIFFERS


def verify(stack: str, run: str | None, console: Console) -> Ending:
    """Verify *stack*, or follow a *run* that was started before; raise one of `NOT_ASKED`."""
    function, bucket = outputs_of(
        boto3.client("cloudformation"), stack, "VerificationFunctionName", "WorkingsBucketName"
    )
    run_id = run or start(boto3.client("lambda"), function)
    files = VerificationFiles(boto3.client("s3"), bucket=bucket, run_id=run_id)
    if not files.begun():
        said = f"The stack {stack} knows no run {run_id}."
        Console(stderr=True, soft_wrap=True).print(said, markup=False)
        return Ending.UNKNOWN_RUN
    console.print(f"run {run_id}", markup=False)
    report = follow(files, console)
    if report is None:
        console.print(f"The run stands still. Look into NotVerified, then: --run {run_id}")
        return Ending.STANDS_STILL
    return tell(files, report, console)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.verify", description=__doc__)
    parser.add_argument("--stack", default=STACK, help="the stack's name")
    parser.add_argument("--run", help="follow this run instead of starting one")
    options = parser.parse_args(arguments)
    try:
        return verify(options.stack, options.run, Console())
    except NOT_ASKED as error:
        say_not_asked(options.stack, error)
        return Ending.NOT_REACHED


if __name__ == "__main__":
    sys.exit(main())
