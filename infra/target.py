"""
The two places the stack runs in, and everything in which they differ.

Chosen by context: `cdk deploy` puts it into AWS, `cdk deploy -c target=local` into the local
emulator.  A difference that is not in this file does not exist.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_

__all__ = ["AWS", "LOCAL", "Target", "target_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    python: str
    """The Lambda runtime's Python version, such as `3.14`."""
    wheel_platforms: tuple[str, ...]
    """pip's tags for the vendor layers; none is the interpreter that runs the synthesis."""
    arm64: bool
    disposable: bool
    """Data goes when the stack goes, and so does everything that would keep it."""
    tls: bool
    """Callers reach the services over TLS, so that plain requests can be refused."""
    archives_events: bool
    """`AWS::Events::Archive` exists there."""
    locks_objects: bool
    """A bucket made by CloudFormation can keep objects from being changed or deleted."""
    nag: bool
    """cdk-nag judges the template; its rules are about what AWS will run."""
    ring_remembered_seconds: int
    """For so long a container may not know of an identity key that was introduced."""
    asset_roles: bool
    """The roles of `cdk bootstrap` may be assumed; otherwise the caller's own rights must do."""

    @property
    def runtime(self) -> lambda_.Runtime:
        return lambda_.Runtime(f"python{self.python}", lambda_.RuntimeFamily.PYTHON)

    @property
    def architecture(self) -> lambda_.Architecture:
        return lambda_.Architecture.ARM_64 if self.arm64 else lambda_.Architecture.X86_64

    @property
    def removal_policy(self) -> cdk.RemovalPolicy:
        return cdk.RemovalPolicy.DESTROY if self.disposable else cdk.RemovalPolicy.RETAIN

    def synthesizer(self) -> cdk.IStackSynthesizer:
        if self.asset_roles:
            return cdk.DefaultStackSynthesizer()
        return cdk.CliCredentialsStackSynthesizer()


AWS = Target(
    name="aws",
    python="3.14",
    # The runtime's Amazon Linux 2023 has glibc 2.34.
    wheel_platforms=("manylinux2014_aarch64", "manylinux_2_28_aarch64"),
    arm64=True,
    disposable=False,
    tls=True,
    archives_events=True,
    locks_objects=True,
    nag=True,
    ring_remembered_seconds=60,
    asset_roles=True,
)

# MiniStack runs a function in its own interpreter, speaks plain HTTP on the loopback interface,
# refuses the bootstrap's asset roles while it enforces IAM, rejects a template with an archive and
# knows object lock by its API only. A rotation of the identity key waits for the containers twice.
LOCAL = Target(
    name="local",
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    wheel_platforms=(),
    arm64=platform.machine().lower() in {"arm64", "aarch64"},
    disposable=True,
    tls=False,
    archives_events=False,
    locks_objects=False,
    nag=False,
    ring_remembered_seconds=4,
    asset_roles=False,
)


def target_of(app: cdk.App) -> Target:
    """Return the target named by the context key `target`; AWS unless told otherwise."""
    name = app.node.try_get_context("target") or AWS.name
    targets = {target.name: target for target in (AWS, LOCAL)}
    if name not in targets:
        raise ValueError(f"target is {name!r}, but must be one of {', '.join(targets)}")
    return targets[name]
