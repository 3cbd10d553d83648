"""What `cdk` runs: for AWS, or with `-c target=local` for the emulator on this machine."""

from __future__ import annotations

import aws_cdk as cdk

from infra.stack import ForecourtStack
from infra.target import target_of

__all__ = ["build"]

STACK_NAME = "Forecourt"


def build(app: cdk.App) -> ForecourtStack:
    return ForecourtStack(app, STACK_NAME, target=target_of(app))


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    app.synth()
