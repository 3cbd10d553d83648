"""
Build the Greengrass component: its archive and its recipe.

    python edge/build.py [--output build/edge]

The archive holds the component, the modules it shares with the cloud and the list of its
packages, which the gateway installs.  The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EDGE = Path(__file__).resolve().parent
SHARED = EDGE.parent / "layers" / "forecourt" / "python"
ARCHIVE = "forecourt-edge.zip"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # The earliest a ZIP archive can tell; the real time would differ.
_MODE = 0o644 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What gdk-config.json says of the component."""

    name: str
    version: str
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Where the results lie."""

    archive: Path
    recipe: Path


def build(output: Path) -> Built:
    """Write archive and recipe below *output*, in the folders the GDK command line expects."""
    component = configured()
    archive = output / "artifacts" / component.name / component.version / ARCHIVE
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as bundle:
        for name, path in sorted(contents().items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _MODE
            bundle.writestr(entry, path.read_bytes())
    recipe = output / "recipes" / "recipe.yaml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(resolved_recipe(component), "utf-8")
    return Built(archive=archive, recipe=recipe)


def configured() -> Component:
    document = json.loads((EDGE / "gdk-config.json").read_text("utf-8"))
    [(name, settings)] = document["component"].items()
    return Component(name=name, version=settings["version"], author=settings["author"])


def contents() -> dict[str, Path]:
    """Return the files of the archive by their names in it."""
    files = {
        str(path.relative_to(EDGE)): path
        for path in sorted((EDGE / "forecourt_edge").rglob("*"))
        if path.suffix in {".py", ".json", ".typed"}
    }
    for module in shared_modules(files.values()):
        path = SHARED / "forecourt" / f"{module}.py"
        files[f"forecourt/{module}.py"] = path
    files["requirements.txt"] = EDGE / "requirements.txt"
    return files


def shared_modules(sources: Iterable[Path]) -> set[str]:
    """Return the modules of the shared package that *sources* import, directly or not."""
    found = {"__init__"}
    waiting = [path for path in sources if path.suffix == ".py"]
    while waiting:
        for module in _imported(waiting.pop()) - found:
            found.add(module)
            waiting.append(SHARED / "forecourt" / f"{module}.py")
    return found


def resolved_recipe(component: Component) -> str:
    text = (EDGE / "recipe.yaml").read_text("utf-8")
    for placeholder, value in (
        ("{COMPONENT_NAME}", component.name),
        ("{COMPONENT_VERSION}", component.version),
        ("{COMPONENT_AUTHOR}", component.author),
    ):
        text = text.replace(placeholder, value)
    return text


def _imported(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            package, _, module = node.module.partition(".")
            if package == "forecourt":
                modules |= {module} if module else {alias.name for alias in node.names}
    return modules


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the Greengrass component.")
    parser.add_argument("--output", type=Path, default=EDGE.parent / "build" / "edge")
    built = build(parser.parse_args().output)
    sys.stdout.write(f"{built.archive}\n{built.recipe}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
