"""Findings of cdk-nag that are accepted, said beside the resource they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import IConstruct

__all__ = ["accept"]


def accept(subject: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept findings on *subject* and below it; *reasons* by the finding's id."""
    cdk.Validations.of(subject).acknowledge(
        *(
            cdk.Acknowledgment(id=_spelled_out(subject, finding), reason=reason)
            for finding, reason in reasons.items()
        )
    )


def _spelled_out(subject: IConstruct, finding: str) -> str:
    """Return *finding* with its tokens as cdk-nag writes them: `<AWS::Region>` for a reference."""
    resolved = cdk.Stack.of(subject).resolve(finding)
    if isinstance(resolved, str):
        return resolved
    _, parts = resolved["Fn::Join"]
    return "".join(part if isinstance(part, str) else f"<{_named(part)}>" for part in parts)


def _named(reference: dict[str, Any]) -> str:
    if "Fn::GetAtt" in reference:
        return ".".join(reference["Fn::GetAtt"])
    return str(reference["Ref"])
