"""
How long to wait for an acknowledgement before a message is sent again.

A fixed time is wrong twice: a cloud that is minutes behind gets everything again and falls
further behind, and one that answers in a second is not asked again for long. This is the
estimate of RFC 6298, section 2, by which TCP waits: the smoothed time to the answer plus four
times its variation.
"""

from __future__ import annotations

# RFC 6298: alpha, beta and K.
_NEWS_IN_MEAN = 1 / 8
_NEWS_IN_VARIATION = 1 / 4
_VARIATIONS = 4


class Patience:
    """
    The wait that follows from the answers seen so far, within bounds, in seconds.

    Until the first answer it is the least. An answer is timed from the *first* sending. RFC
    6298 leaves out messages sent twice, because their answer may be to either; then a cloud
    that is always later than the wait would never be timed at all. Waiting too long costs one
    late repeat of a lost message, waiting too short a flood of needless ones.
    """

    def __init__(self, *, least_seconds: float, most_seconds: float) -> None:
        self._least = least_seconds
        self._most = max(most_seconds, least_seconds)
        self._mean: float | None = None
        self._variation = 0.0

    @property
    def seconds(self) -> float:
        if self._mean is None:
            return self._least
        return min(max(self._mean + _VARIATIONS * self._variation, self._least), self._most)

    def learn(self, answered_after_seconds: float) -> None:
        """Take in that an answer came so long after its message was first sent."""
        if self._mean is None:
            self._mean = answered_after_seconds
            self._variation = answered_after_seconds / 2
            return
        error = abs(self._mean - answered_after_seconds)
        self._variation += _NEWS_IN_VARIATION * (error - self._variation)
        self._mean += _NEWS_IN_MEAN * (answered_after_seconds - self._mean)
