"""
The document of weights: what an operator activates and a sale names by its version.

```
{"schema": "weights/1", "version": 3, "members": 10000000, "prior": -2340,
 "levels": {"phone": {"same.0": 3220, "other": -910}, "plate": {...}},
 "learnt_from": {"sales": 200000, "confirmed": 10000}}
```

Weights and prior are in centibits. `learnt_from` is for the reader and decides nothing.
"""

from __future__ import annotations

from typing import Any

from forecourt.weighing import MAX_CENTIBITS, Weights

SCHEMA = "weights/1"
FIELDS_MAX = 32
LEVELS_MAX = 64


def weights_from_document(document: dict[str, Any]) -> Weights:
    """Return the weights a document states; raise `ValueError` with every fault found."""
    faults = list(_faults(document))
    if faults:
        raise ValueError(faults)
    return Weights(
        version=document["version"],
        members=document["members"],
        prior=document["prior"],
        levels={name: dict(levels) for name, levels in document["levels"].items()},
    )


def weights_to_document(weights: Weights, **learnt_from: int) -> dict[str, Any]:
    """Return the document that states *weights*."""
    return {
        "schema": SCHEMA,
        "version": weights.version,
        "members": weights.members,
        "prior": weights.prior,
        "levels": {
            name: dict(sorted(levels.items())) for name, levels in sorted(weights.levels.items())
        },
        "learnt_from": learnt_from,
    }


def _faults(document: dict[str, Any]) -> list[str]:
    faults = []
    if document.get("schema") != SCHEMA:
        faults.append("schema")
    faults += [
        name for name in ("version", "members") if not _whole(document.get(name), at_least=1)
    ]
    if not _weight(document.get("prior")):
        faults.append("prior")
    fields = document.get("levels")
    if not isinstance(fields, dict) or not 0 < len(fields) <= FIELDS_MAX:
        return [*faults, "levels"]
    for name, levels in fields.items():
        if not isinstance(levels, dict) or not 0 < len(levels) <= LEVELS_MAX:
            faults.append(f"levels.{name}")
            continue
        faults += [f"levels.{name}.{each}" for each, worth in levels.items() if not _weight(worth)]
    return faults


def _whole(value: object, *, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _weight(value: object) -> bool:
    return _whole(value, at_least=-MAX_CENTIBITS) and abs(int(str(value))) <= MAX_CENTIBITS
