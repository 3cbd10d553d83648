"""Do posteriors mean what they say: right decisions by bucket, and the plot of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.match_eval.evaluation import BUCKETS_PPM

if TYPE_CHECKING:
    from tests.bench.match_eval.evaluation import Result

# The least share that must be right in a bucket: a sale said to be right with 0.99 to 0.999 is
# right in 0.98 of cases or more. Erring towards caution is allowed, erring towards boldness not.
LEAST_RIGHT = {500_000: 0.4, 900_000: 0.88, 990_000: 0.98, 999_000: 0.998, 999_900: 0.9998}
ENOUGH = 200  # decisions in a bucket, below that it says nothing

WIDTH, HEIGHT, LEFT, TOP = 640, 380, 70, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bucket."""

    low_ppm: int
    high_ppm: int
    decisions: int
    right: float

    @property
    def name(self) -> str:
        return f"{self.low_ppm / 1e6:g}–{min(self.high_ppm, 1_000_000) / 1e6:g}"


def rows(result: Result) -> list[Row]:
    """Return the buckets that hold any decision."""
    return [
        Row(
            low_ppm=low,
            high_ppm=high,
            decisions=result.buckets[place],
            right=result.buckets_right[place] / result.buckets[place],
        )
        for place, (low, high) in enumerate(itertools.pairwise(BUCKETS_PPM))
        if result.buckets[place]
    ]


def calibrated(result: Result) -> bool:
    """Return whether every bucket is at least as right as it says."""
    return all(
        row.right >= LEAST_RIGHT.get(row.low_ppm, 0.0)
        for row in rows(result)
        if row.decisions >= ENOUGH
    )


def draw(result: Result, *, members: int) -> str:
    """Return the plot as SVG: share of wrong decisions by bucket, both axes in powers of ten."""
    found = rows(result)
    step = WIDTH / max(1, len(found))
    marks = []
    for place, row in enumerate(found):
        x = LEFT + step * (place + 0.5)
        said = [_height(1 - row.low_ppm / 1e6), _height(1 - min(row.high_ppm, 1_000_000) / 1e6)]
        wrong = 1 - row.right
        marks += [
            (
                f'<rect x="{x - step * 0.35:.1f}" y="{said[0]:.1f}" width="{step * 0.7:.1f}"'
                f' height="{said[1] - said[0]:.1f}" fill="#cfd8e3"/>'
            ),
            f'<circle cx="{x:.1f}" cy="{_height(wrong):.1f}" r="5" fill="#b3261e"/>',
            f'<text x="{x:.1f}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{row.name}</text>',
            (
                f'<text x="{x:.1f}" y="{TOP + HEIGHT + 36}" text-anchor="middle" fill="#666">'
                f"{row.decisions:,}</text>"
            ),
        ]
    grid = [
        f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{_height(10.0**-power):.1f}"'
        f' y2="{_height(10.0**-power):.1f}" stroke="#ddd"/>'
        f'<text x="{LEFT - 8}" y="{_height(10.0**-power) + 4:.1f}" text-anchor="end">'
        f"{10.0**-power:g}</text>"
        for power in range(7)
    ]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + LEFT + 30}"'
                f' height="{HEIGHT + TOP + 60}" font-family="sans-serif" font-size="12">'
            ),
            '<rect width="100%" height="100%" fill="white"/>',
            (
                f'<text x="{LEFT}" y="22" font-size="15">Wrong decisions by posterior,'
                f" {members:,} members</text>"
            ),
            (
                f'<text x="{LEFT}" y="40" fill="#666">grey: what the posterior says;'
                " red: what was measured (at the foot: none)</text>"
            ),
            *grid,
            *marks,
            "</svg>\n",
        ]
    )


def _height(wrong: float) -> float:
    """Return the height of a share of wrong decisions, from 1 at the top to a millionth."""
    power = min(6.0, -math.log10(wrong)) if wrong > 0 else 6.0
    return TOP + HEIGHT * power / 6
