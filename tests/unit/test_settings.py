"""Settings are read once, and everything missing is named at once."""

from __future__ import annotations

import pytest

from forecourt.settings import Settings
from forecourt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Two(Settings):
    sales_table: str
    event_bus: str


def test_a_field_is_read_from_the_variable_of_its_name() -> None:
    settings = Two.from_env({"SALES_TABLE": "sales", "EVENT_BUS": "bus", "OTHER": "x"})

    assert settings == Two(sales_table="sales", event_bus="bus")


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, "EVENT_BUS, SALES_TABLE"),
        ({"SALES_TABLE": "sales"}, "EVENT_BUS"),
        ({"SALES_TABLE": "", "EVENT_BUS": "bus"}, "SALES_TABLE"),
    ],
)
def test_every_missing_variable_is_named_in_one_error(env: dict[str, str], missing: str) -> None:
    with pytest.raises(RuntimeError, match=f"variables: {missing}$"):
        Two.from_env(env)


def test_the_process_environment_is_read_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SALES_TABLE", "sales")
    monkeypatch.setenv("EVENT_BUS", "bus")

    assert Two.from_env() == Two(sales_table="sales", event_bus="bus")
