"""
Stopping in time.

Lambda kills what runs into its time limit, and then nobody hears of the records that were done
before: all of them come again, and under the load that made them slow they come to the same
end. A batch that stops a little earlier says how far it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

# For a record that was begun, however slow the tables are, and for telling what was done.
RESERVED_MS = 3_000

T = TypeVar("T")


def while_time_lasts(records: Iterable[T], context: LambdaContext) -> Iterator[T]:
    """Yield the first of *records* in any case, and further ones while there is time for them."""
    for number, record in enumerate(records):
        if number and context.get_remaining_time_in_millis() < RESERVED_MS:
            return
        yield record
