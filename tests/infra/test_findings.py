"""cdk-nag judges every synthesis for AWS, and what it finds fails it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aws_cdk import aws_sqs as sqs

from infra.app import build
from tests.infra.conftest import app_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.templates import Synthesised


def test_no_finding_is_left_unaccepted(aws: Synthesised) -> None:
    report = json.loads((aws.assembly / "validation-report.json").read_text())

    assert report["pluginReports"] == []


def test_a_finding_nobody_accepted_fails_the_synthesis(tmp_path: Path) -> None:
    app = app_for("aws", tmp_path)
    stack = build(app)
    sqs.Queue(stack, "Careless")

    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        app.synth()
