"""Stream records, delivered again: late, out of order and to functions that had them before."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from infra.redrive import as_lambda_writes_it

if TYPE_CHECKING:
    from infra.local.stack import LocalStack

READERS = {"SalesTableName": ("matching", "accrual"), "LoyaltyTableName": ("relay", "archive")}
MOST_IN_A_BATCH = 10
TRIES = 5  # a batch may stop in time, or meet a rival at the same sale


class Redelivery:
    """Reads the tables' streams beside the real readers and invokes these again with the same."""

    def __init__(self, stack: LocalStack, *, seed: int) -> None:
        self._random = random.Random(seed)
        self._lambda = stack.client("lambda")
        self._streams = stack.client("dynamodbstreams")
        self._names = {
            function: stack.function_name(function)
            for functions in READERS.values()
            for function in functions
        }
        self._iterators = {
            output: self._open(stack.outputs[output], stack.client("dynamodb"))
            for output in READERS
        }
        self._seen: dict[str, list[dict[str, Any]]] = {output: [] for output in READERS}
        self.delivered = 0

    def again(self) -> None:
        """Deliver a random choice of all records so far once more, in random order."""
        for output, iterators in self._iterators.items():
            self._seen[output] += self._new_records(iterators)
            for function in READERS[output]:
                fitting = [each for each in self._seen[output] if fits(function, each)]
                count = min(len(fitting), self._random.randrange(1, MOST_IN_A_BATCH + 1))
                batch = self._random.sample(fitting, count)
                if batch:
                    self._invoke(function, batch)

    def _invoke(self, function: str, records: list[dict[str, Any]]) -> None:
        """Deliver *records* as Lambda does: again from the first that is given back."""
        rest = records
        for _ in range(TRIES):
            answer = self._lambda.invoke(
                FunctionName=self._names[function],
                Payload=json.dumps({"Records": rest}).encode(),
            )
            result = json.loads(answer["Payload"].read())
            if "FunctionError" in answer:
                break
            if not result["batchItemFailures"]:
                self.delivered += len(records)
                return
            (given_back,) = result["batchItemFailures"]
            numbers = [each["dynamodb"]["SequenceNumber"] for each in rest]
            rest = rest[numbers.index(given_back["itemIdentifier"]) :]
        raise AssertionError(f"{function} refuses what it had taken before: {result}")

    def _open(self, table: str, dynamodb: Any) -> list[str]:
        arn = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        shards = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        return [
            self._streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="LATEST"
            )["ShardIterator"]
            for shard in shards
        ]

    def _new_records(self, iterators: list[str]) -> list[dict[str, Any]]:
        found = []
        for index, iterator in enumerate(iterators):
            answer = self._streams.get_records(ShardIterator=iterator)
            iterators[index] = answer["NextShardIterator"]
            found += [as_lambda_writes_it(record) for record in answer["Records"]]
        return found


def fits(function: str, record: dict[str, Any]) -> bool:
    """Return whether the event source's filter would let *record* through to *function*."""
    image = record["dynamodb"].get("NewImage", {})
    status = image.get("status", {}).get("S")
    match function:
        case "matching":
            return bool(status == "received")
        case "accrual":
            return bool(status == "matched" and record["eventName"] == "MODIFY")
        case "archive":
            return bool(
                image.get("type", {}).get("S") == "entry" and record["eventName"] == "INSERT"
            )
        case _:
            return True
