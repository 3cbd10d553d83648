"""
How many messages may be on the way at once.

A gateway that goes on sending while the cloud is behind, and says again what was not answered
in time, puts it further behind: the cloud has nothing left to do but repeats. So a gateway
gives way as TCP does (RFC 5681, section 3.1): an answer lets one more message on its
way, or a part of one beyond what was too many last time, and what is not answered in time is a
sign of too many.
"""

from __future__ import annotations

_AT_FIRST = 10  # RFC 6928
_AT_LEAST = 2  # RFC 5681, equation 4


class Window:
    """The number of messages that may be on the way, at most *most* of them."""

    def __init__(self, *, most: int) -> None:
        self._most = float(most)
        self._threshold = self._most
        self._size = min(float(_AT_FIRST), self._most)
        self._cut_at = float("-inf")

    @property
    def size(self) -> int:
        return int(self._size)

    def answered(self) -> None:
        """Take in that a message was answered."""
        more = 1.0 if self._size < self._threshold else 1.0 / self._size
        self._size = min(self._size + more, self._most)

    def not_answered(self, *, sent_at: float, now: float) -> None:
        """
        Take in that a message sent at *sent_at* was not answered in time.

        What was on its way when the window was cut is no news of what came after.
        """
        if sent_at <= self._cut_at:
            return
        self._threshold = max(self._size / 2, float(_AT_LEAST))
        self._size = 1.0
        self._cut_at = now

    def begin_again(self) -> None:
        """Take in that the connection was lost: what was on the way may never have arrived."""
        self._size = min(self._size, float(_AT_FIRST))
