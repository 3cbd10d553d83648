"""
How fuel leaves a nozzle, in closed form.

The volume at any moment follows from the time since the lever was squeezed, so nobody has to
count pulses while nobody looks: a hundred idle or busy pumps cost nothing until they are read.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """
    A pump's curve: full flow after a ramp, and a throttled end before a preset.

    The defaults are a car pump's: about 39 L a minute; the last 0.3 L before a preset pass
    through the small valve so that the pump can stop on the pulse.
    """

    peak_ml_per_second: int = 650
    ramp_ms: int = 1_200
    throttled_ml: int = 300
    throttled_ml_per_second: int = 100

    def __post_init__(self) -> None:
        if min(self.peak_ml_per_second, self.throttled_ml_per_second) <= 0:
            raise ValueError(self)
        if min(self.ramp_ms, self.throttled_ml) < 0:
            raise ValueError(self)

    def volume_ml(self, elapsed_ms: int, *, preset_ml: int | None = None) -> int:
        """Return what has flowed *elapsed_ms* after the start; with a preset never more than it."""
        if preset_ml is None:
            return self._open_ml(elapsed_ms)
        throttled_from_ms = self._open_ms(max(0, preset_ml - self.throttled_ml))
        if elapsed_ms <= throttled_from_ms:
            return min(preset_ml, self._open_ml(elapsed_ms))
        throttled_ml = (elapsed_ms - throttled_from_ms) * self.throttled_ml_per_second // 1000
        return min(preset_ml, self._open_ml(throttled_from_ms) + throttled_ml)

    def duration_ms(self, volume_ml: int, *, preset_ml: int | None = None) -> int:
        """Return the first millisecond at which *volume_ml* have flowed."""
        if preset_ml is not None and volume_ml > preset_ml:
            raise ValueError(volume_ml)
        at_peak_ms = volume_ml * 1000 // self.peak_ml_per_second
        throttled_ms = self.throttled_ml * 1000 // self.throttled_ml_per_second
        longest_ms = at_peak_ms + self.ramp_ms + throttled_ms + 1000
        return bisect_left(
            range(longest_ms),
            volume_ml,
            key=lambda elapsed_ms: self.volume_ml(elapsed_ms, preset_ml=preset_ml),
        )

    def _open_ml(self, elapsed_ms: int) -> int:
        if elapsed_ms < self.ramp_ms:
            return self.peak_ml_per_second * elapsed_ms * elapsed_ms // (2000 * self.ramp_ms)
        return self.peak_ml_per_second * (2 * elapsed_ms - self.ramp_ms) // 2000

    def _open_ms(self, volume_ml: int) -> int:
        longest_ms = volume_ml * 1000 // self.peak_ml_per_second + self.ramp_ms + 2
        return bisect_left(range(longest_ms), volume_ml, key=self._open_ml)
