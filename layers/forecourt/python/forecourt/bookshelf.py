"""
Closed days: their files in S3, and an item each by which they are found and told.

| where | what |
| --- | --- |
| `books/<day>/book.json` | the book: how many entries, the root, the book before |
| `books/<day>/<root>.leaves` | the leaves' hashes, sorted, 32 bytes each |
| `books/<day>/<root>.parquet` | the entries, a row each, in the order of the leaves |
| pk `BOOKS`, sk `<day>` of the Loyalty table | the book again |

`book.json` is written last and only if it is not there: that closes the day. The item follows
from it and relay tells the bus, so a close that broke off anywhere is finished by the next one.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from forecourt.attributes import encode, from_item, to_item
from forecourt.ledger.canonical import canonical
from forecourt.ledger.daybook import (
    LATE_DAYS,
    Leaves,
    book_from_record,
    book_to_record,
    day_of,
    leaf_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from forecourt.ledger import Entry
    from forecourt.ledger.daybook import Book, Proof

BOOKS = "BOOKS"


def file_key(book: Book, kind: str) -> str:
    """Return where the file *kind* (`leaves`, `parquet`) of a book lies."""
    return f"books/{book.day.isoformat()}/{book.root}.{kind}"


def book_from_item(item: Mapping[str, Mapping[str, Any]]) -> Book:
    """Decode a book."""
    return book_from_record(from_item(item))


class ClosedDays:
    """Some closed days and what is in their books; each is read when it is first asked."""

    def __init__(self, shelf: Bookshelf, books: Iterable[Book]) -> None:
        self._leaves = {book.day: cache(partial(shelf.leaves, book)) for book in books}

    def __contains__(self, day: date) -> bool:
        return day in self._leaves

    def hold(self, entry: Entry) -> bool:
        """Return whether *entry* is in the book of its day, or in a later one."""
        leaf, day = leaf_of(entry), day_of(entry)
        return any(
            day <= closed and leaves().index(leaf) is not None
            for closed, leaves in self._leaves.items()
        )


class Bookshelf:
    """The books in the bucket *bucket* and the table *table*."""

    def __init__(self, s3: Any, dynamodb: Any, *, bucket: str, table: str) -> None:
        self._s3 = s3
        self._dynamodb = dynamodb
        self._bucket = bucket
        self._table = table

    def books(self, *, since: date | None = None, limit: int | None = None) -> list[Book]:
        """Return the closed days from *since* on, in order, no more than *limit*."""
        first = since.isoformat() if since else "0"
        return self._query("pk = :pk AND sk >= :day", {":day": first}, limit=limit)

    def last(self) -> Book | None:
        """Return the book of the latest closed day."""
        found = self._query("pk = :pk", {}, limit=1, ScanIndexForward=False)
        return found[0] if found else None

    def closed_days(self, *, since: date) -> ClosedDays:
        """Return the closed days from *since* on."""
        return ClosedDays(self, self.books(since=since))

    def shelve(self, book: Book, *, leaves: bytes, parquet: Path) -> Book:
        """
        Close the day with *book* and its files; return the book the day is closed with.

        That is another one when somebody was faster: what only *book* holds is late then.
        """
        self._put_once(file_key(book, "leaves"), leaves)
        with parquet.open("rb") as rows:
            self._put_once(file_key(book, "parquet"), rows)
        key = f"books/{book.day.isoformat()}/book.json"
        if not self._put_once(key, canonical(book_to_record(book))):
            response = self._s3.get_object(Bucket=self._bucket, Key=key)
            book = book_from_record(json.loads(response["Body"].read()))
        item = to_item({"pk": BOOKS, "sk": book.day.isoformat(), "type": "book"})
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item | to_item(book_to_record(book)),
                # Excludes telling the bus again of a book it knows.
                ConditionExpression="attribute_not_exists(pk)",
            )
        return book

    def leaves(self, book: Book) -> Leaves:
        """Return the hashes of what is in *book*: 32 bytes an entry."""
        response = self._s3.get_object(Bucket=self._bucket, Key=file_key(book, "leaves"))
        return Leaves(response["Body"].read())

    def prove(self, entry: Entry) -> tuple[Book, Proof] | None:
        """Return the book that holds *entry* and the proof that it does; `None`: no book does."""
        leaf, day = leaf_of(entry), day_of(entry)
        for book in self.books(since=day, limit=LATE_DAYS + 1):
            if book.oldest_on <= day:
                proof = self.leaves(book).prove(leaf)
                if proof is not None:
                    return book, proof
        return None

    def _put_once(self, key: str, body: Any) -> bool:
        """Write an object if there is none under *key*; `False`: there is one."""
        try:
            # Excludes closing a day twice, and a further version of a file that is kept for years.
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    def _query(
        self, condition: str, values: Mapping[str, str], *, limit: int | None, **more: Any
    ) -> list[Book]:
        arguments: dict[str, Any] = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {":pk": encode(BOOKS), **to_item(values)},
            "ConsistentRead": True,
            **({"Limit": limit} if limit else {}),
            **more,
        }
        found: list[Book] = []
        while True:
            response = self._dynamodb.query(TableName=self._table, **arguments)
            found += map(book_from_item, response["Items"])
            if "LastEvaluatedKey" not in response or (limit and len(found) >= limit):
                return found
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]
