"""Whatever wants a person is explained to that person."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "edge" / "forecourt_edge"
GUIDE = ROOT / "docs" / "station-technician.md"
# What says a line of level `error`, or is handed what says it.
ALARMING = {"alarm", "failure", "_failed"}
EVENT = re.compile(r"[a-z]+(_[a-z]+)+")


def alarming_events() -> set[str]:
    found = set()
    for path in COMPONENT.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and alarms(call):
                texts = [ast.literal_eval(each) for each in call.args if is_text(each)]
                found |= set(filter(EVENT.fullmatch, texts[:1]))
    return found


def alarms(call: ast.Call) -> bool:
    told_by = (call.func, *call.args)
    return any(isinstance(each, ast.Attribute) and each.attr in ALARMING for each in told_by)


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_the_technicians_guide_explains_every_event_that_wants_somebody() -> None:
    explained = {
        event
        for line in GUIDE.read_text("utf-8").splitlines()
        if line.startswith("| `")
        for event in re.findall(r"`([a-z_]+)`", line.split("|")[1])
    }

    assert alarming_events() == explained
