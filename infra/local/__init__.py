"""The stack on this machine: an emulator of AWS, the real deployment, users and stations."""

from infra.local.stack import LocalStack, LocalStackError

__all__ = ["LocalStack", "LocalStackError"]
