"""The documentation names what there is: what goes from the code has to go from its guides."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from infra import routes
from infra.observability import ALARMING_METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
OPERATIONS = DOCS / "operations.md"
LINK = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")
ROUTE = re.compile(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?]*)")
PLACEHOLDER = re.compile(r"\{[^}]*\}|\bme\b")
# In backticks, what looks like a name of ours: a code, a field, a metric, an event or a queue.
NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+|(?:[A-Z][a-z0-9]+){2,}")
SOURCES = ("functions", "layers/forecourt", "infra", "edge", "events", "tests")
# An attribute that a person writes to start a sale afresh, two queues that `infra.expiry` names in
# two parts, and the user that Greengrass runs components as.
NAMED_NOWHERE_ELSE = {"restarted_at", "ExpiryNotDone", "RemindersNotDone", "ggc_user"}

each_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)


@cache
def known_names() -> frozenset[str]:
    """Return every word of the sources, and of their paths."""
    files = [
        path
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".json", ".yaml"} and path != Path(__file__)
    ]
    texts = (f"{path.relative_to(ROOT)} {path.read_text('utf-8')}" for path in files)
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))


def anchors_of(guide: Path) -> set[str]:
    """Return where a link may lead in *guide*, as GitHub names its headings."""
    headings = re.findall(r"^#+ (.*)$", guide.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@each_guide
def test_every_link_leads_somewhere(guide: Path) -> None:
    for place, anchor in LINK.findall(guide.read_text()):
        target = guide.parent / place if place else guide

        assert target.exists(), place
        assert not anchor or anchor in anchors_of(target), anchor


@each_guide
def test_every_route_in_a_guide_is_one_of_the_api(guide: Path) -> None:
    answered = {
        PLACEHOLDER.sub("*", route)
        for name, group in vars(routes).items()
        if name.endswith("_ROUTES")
        for route in group
    }

    named = {PLACEHOLDER.sub("*", route.strip()) for route in ROUTE.findall(guide.read_text())}

    assert named <= answered


@each_guide
def test_every_name_in_a_guide_is_one_of_the_code(guide: Path) -> None:
    quoted = re.findall(r"`([^`\n]+)`", guide.read_text())

    named = {name for text in quoted for name in re.findall(rf"\b(?:{NAME.pattern})\b", text)}

    assert named - NAMED_NOWHERE_ELSE <= known_names()


def test_whoever_is_woken_finds_every_alarming_metric_in_the_table() -> None:
    (table,) = re.findall(r"^\| alarm .*?\n\n", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    metrics = {name for each in ALARMING_METRICS.values() for name in each}

    for name in metrics:
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
        assert words in table, words
