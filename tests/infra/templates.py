"""A synthesised template, asked in the words of the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesised:
    """One synthesis: its template and where its assets lie."""

    assembly: Path

    @property
    def template(self) -> dict[str, Any]:
        path = self.assembly / "Forecourt.template.json"
        template: dict[str, Any] = json.loads(path.read_text())
        return template

    @property
    def resources(self) -> dict[str, Resource]:
        resources: dict[str, Resource] = self.template["Resources"]
        return resources

    def of_type(self, kind: str) -> dict[str, Resource]:
        return {
            logical_id: resource
            for logical_id, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def one(self, kind: str, named: str) -> Resource:
        """Return the only resource of a type whose logical id begins with *named*."""
        (found,) = (
            resource
            for logical_id, resource in self.of_type(kind).items()
            if logical_id.startswith(named)
        )
        return found

    def functions(self) -> dict[str, str]:
        """Return the logical ids of our functions by their short names."""
        return {
            resource["Properties"]["Handler"].split(".")[1]: logical_id
            for logical_id, resource in self.of_type("AWS::Lambda::Function").items()
        }

    def properties_of(self, function: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.resources[self.functions()[function]]["Properties"]
        return properties

    def statements_of(self, function: str) -> list[dict[str, Any]]:
        """Return what the function's role may do, statement by statement."""
        (role,) = referenced(self.properties_of(function)["Role"])
        return [
            statement
            for policy in self.of_type("AWS::IAM::Policy").values()
            if {"Ref": role} in policy["Properties"]["Roles"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]

    def mappings(self) -> dict[str, Resource]:
        """Return the properties of each event source mapping."""
        return {
            logical_id: resource["Properties"]
            for logical_id, resource in self.of_type("AWS::Lambda::EventSourceMapping").items()
        }

    def asset_of(self, logical_id: str) -> Path:
        """Return the folder or archive that a function or layer is made of."""
        properties = self.resources[logical_id]["Properties"]
        code = properties.get("Code") or properties["Content"]
        digest = code["S3Key"].split(".")[0]
        (asset,) = self.assembly.glob(f"asset.{digest}*")
        return asset


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def referenced(value: Any) -> set[str]:
    """Return the logical ids that *value* refers to, however deep."""
    return set(_references(value))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "Ref" in value:
            yield value["Ref"]
        if "Fn::GetAtt" in value:
            yield value["Fn::GetAtt"][0]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
