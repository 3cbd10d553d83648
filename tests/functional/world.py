"""
A platform in memory, filled by its real writers: nothing in a table is made by hand.

Records are what DynamoDB's own stream holds, in the spelling Lambda gives them.
"""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from moto.iotdata.models import iotdata_backends

from forecourt.adjustments_table import AdjustmentsTable
from forecourt.attributes import Item, from_item
from forecourt.budgets_table import BudgetsTable
from forecourt.candidates_table import CandidatesTable
from forecourt.decided_sales import DecidedSales
from forecourt.documents import ProgramDocument
from forecourt.hashes import FIRST, EvidenceKey
from forecourt.identities_table import IdentitiesTable
from forecourt.identity import normalise
from forecourt.keyring import KeyRing
from forecourt.ledger import Policies, WalletPolicy
from forecourt.ledger_table import LedgerTable
from forecourt.loyalty_table import LoyaltyTable
from forecourt.members_table import MembersTable
from forecourt.merged_members import MergedMembers
from forecourt.operator_table import OperatorTable
from forecourt.pools_table import PoolsTable
from forecourt.portraits_table import PortraitsTable
from forecourt.presences_table import PresencesTable
from forecourt.proposals import proposal_to_record
from forecourt.questions_table import QuestionsTable
from forecourt.retellings import Source, Telling
from forecourt.retold_sales import RetoldSales
from forecourt.ruled_sales import RuledSales
from forecourt.rulings import Verdict, assign, decline, split
from forecourt.rulings_book import RulingsBook
from forecourt.sales_table import SalesTable
from forecourt.sealing import Sealer
from forecourt.statements import Statements
from forecourt.stations_table import Station, StationsTable
from forecourt.stored_sales import KeyedEvidence
from forecourt.stored_tellings import StoredTelling
from forecourt.weights_table import WeightsTable
from tests.functional.conftest import (
    ACCOUNT_ID,
    IDENTITY_SECRET,
    LOYALTY_TABLE,
    REGION,
    SALES_TABLE,
    SEAL_KEY_ID,
    client,
)
from tests.specimens import (
    OPEN_SINCE,
    RECEIVED_AT,
    SALE,
    STATION_ID,
    credited_to,
    earned_nothing,
    payload,
    proposal,
    sale_document,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecourt.baskets import Basket
    from forecourt.ledger import Answer, Entry
    from forecourt.ledger.commands import Command
    from forecourt.rulings import Ruling
    from forecourt.sales import Evidence, Sale
    from forecourt.stored_rulings import AppliedRuling
    from forecourt.stored_sales import StoredSale
    from forecourt.weighing import Weights

RULED_AT = RECEIVED_AT + timedelta(days=2)
LEARNT_IN = "2026-11-23T20:00:00Z"
BOUND_AT = datetime(2026, 11, 1, tzinfo=UTC)
RING = KeyRing.from_text(IDENTITY_SECRET)

POLICIES = Policies(default=WalletPolicy(zone=ZoneInfo("Asia/Shanghai")))
LITRES: dict[str, Any] = {
    "zone": "Asia/Shanghai",
    "rules": [
        {
            "rule_id": "litre",
            "grades": [],
            "basis": "volume",
            "points": 1,
            "per": 1000,
            "minimum": 0,
            "rounding": "floor",
        }
    ],
    "validity": {"months": 12, "end_of": "month"},
}


def with_wallets(**wallets: Any) -> dict[str, Any]:
    """Return a program whose wallets are described, as the operator's door stores it."""
    return ProgramDocument.model_validate({**LITRES, "wallets": wallets}).model_dump(mode="json")


def key_of(evidence: Evidence) -> EvidenceKey:
    """Return the keyed hash under which ingest and the members API file *evidence*."""
    (key,) = RING.hashes(evidence.kind, normalise(evidence.kind, evidence.value))
    return key


def keyed(*evidence: Evidence) -> tuple[KeyedEvidence, ...]:
    """Return *evidence* as it is stored."""
    return tuple(
        KeyedEvidence(key=key_of(each), confidence=each.confidence, source=each.source)
        for each in evidence
    )


def block_of(phone: str, key_id: str = FIRST) -> str:
    """Return the keyed hash under which the members API counts the block of *phone*."""
    return RING.block(phone, key_id)


class World:
    """The tables, and what people and stations do to them."""

    def __init__(self, dynamodb: Any) -> None:
        self.dynamodb = dynamodb
        self.sales = SalesTable(dynamodb, name=SALES_TABLE)
        self.decided = DecidedSales(dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
        self.candidates = CandidatesTable(dynamodb, name=LOYALTY_TABLE)
        self.loyalty = LoyaltyTable(dynamodb, name=LOYALTY_TABLE)
        self.stations = StationsTable(dynamodb, name=LOYALTY_TABLE)
        self.sealer = Sealer(client("kms"), key_id=SEAL_KEY_ID)
        self.members = MembersTable(dynamodb, name=LOYALTY_TABLE, sealer=self.sealer)
        self.statements = Statements(dynamodb, name=LOYALTY_TABLE)
        self.adjustments = AdjustmentsTable(dynamodb, name=LOYALTY_TABLE)
        self.pools = PoolsTable(dynamodb, name=LOYALTY_TABLE)
        self.budgets = BudgetsTable(dynamodb, name=LOYALTY_TABLE)
        self.identities = IdentitiesTable(
            dynamodb, name=LOYALTY_TABLE, sealer=self.sealer, block_of=block_of
        )
        self.weights = WeightsTable(dynamodb, name=LOYALTY_TABLE)
        self.portraits = PortraitsTable(dynamodb, name=LOYALTY_TABLE)
        self.presences = PresencesTable(dynamodb, name=LOYALTY_TABLE)
        self.questions = QuestionsTable(dynamodb, name=LOYALTY_TABLE)
        self.book = RulingsBook(dynamodb, name=LOYALTY_TABLE)
        self.ruled = RuledSales(
            dynamodb, sales=self.sales, sales_name=SALES_TABLE, loyalty_name=LOYALTY_TABLE
        )
        self.operator = OperatorTable(dynamodb, name=LOYALTY_TABLE)
        self.ledger = LedgerTable(dynamodb, name=LOYALTY_TABLE, now=lambda: RECEIVED_AT)
        self.merged = MergedMembers(
            dynamodb,
            name=LOYALTY_TABLE,
            members=self.members,
            identities=self.identities,
            ledger=self.ledger,
        )
        self._streams = client("dynamodbstreams")
        self._iterators: dict[str, str] = {}

    def register(
        self, station_id: str = STATION_ID, *, open_since: datetime = OPEN_SINCE
    ) -> Station:
        station = Station(
            station_id=station_id,
            name="West Lake",
            zone="Asia/Shanghai",
            grades=frozenset({"92", "95"}),
            open_since=open_since,
        )
        return self.operator.register(station, opening_stated=True)

    def enrol(self, member_id: str, *evidence: Evidence) -> None:
        self.members.enrol(
            member_id, {"name": "Li Lei"}, enrolled_by=member_id, enrolled_at=BOUND_AT
        )
        for each in evidence:
            self.bind(member_id, each)

    def bind(self, member_id: str, evidence: Evidence) -> EvidenceKey:
        key = key_of(evidence)
        self.identities.bind(member_id, key, evidence.value, bound_at=BOUND_AT)
        return key

    def credit(self, sale: Sale, member_id: str) -> None:
        """Let somebody else decide whose a sale is, as it is stored now."""
        stored = self.stored(sale)
        assert self.decided.decide(stored, credited_to(member_id), decided_at=RECEIVED_AT)

    def rule(
        self,
        sale: Sale,
        member_id: str | None = None,
        *,
        asked: str | None = None,
        number: int | None = None,
        ruled_at: datetime = RULED_AT,
    ) -> AppliedRuling:
        """Let a person decide: *member_id* has the sale, *asked* is asked, or nobody has it."""
        last = self.stored(sale).ruled
        number = number or (last.ruling.number + 1 if last else 1)

        def decree(_: StoredSale) -> Ruling:
            if member_id is None:
                verdict = Verdict.ASK if asked else Verdict.NONE
                return decline(
                    sale.sale_id, verdict, asked=asked, number=number, actor="op", reason="why"
                )
            return assign(
                sale.sale_id,
                member_id,
                volume_ml=sale.volume_ml,
                amount_fen=sale.amount_fen,
                number=number,
                actor="op",
                reason="wrong_plate",
            )

        return self.ruled.rule(sale.sale_id, number, decree, ruled_at=ruled_at)

    def tell(self, sale: Sale, basket: Basket, told_id: str = "R-1") -> None:
        """Let a till tell the receipt of a sale, as ingest does."""
        telling = Telling(
            source=Source.TILL,
            told_id=told_id,
            station_id=sale.key.station_id,
            at=sale.key.completed_at,
            amount_fen=basket.total_fen,
            nozzle=sale.key.nozzle,
            basket=basket,
        )
        retold = RetoldSales(self.dynamodb, sales=SALES_TABLE, loyalty=LOYALTY_TABLE)
        retold.add(StoredTelling(telling=telling, received_at=RECEIVED_AT))
        retold.reunite(telling, now=RECEIVED_AT)

    def split(self, sale: Sale, parts: Mapping[str, int]) -> AppliedRuling:
        """Let a person divide a sale among members."""

        def decree(_: StoredSale) -> Ruling:
            return split(
                sale.sale_id,
                parts,
                volume_ml=sale.volume_ml,
                amount_fen=sale.amount_fen,
                number=1,
                actor="op",
                reason="shared_car",
            )

        return self.ruled.rule(sale.sale_id, 1, decree, ruled_at=RULED_AT)

    def activate(
        self, document: Mapping[str, Any] = LITRES, *, effective_at: datetime = OPEN_SINCE
    ) -> int:
        """Put a program in force; return its version."""
        request_id = f"request-{effective_at:%Y%m%dT%H%M%S}"
        version = self.operator.draft(
            document, request_id=request_id, drafted_by="op", drafted_at=OPEN_SINCE
        )
        self.operator.activate(
            version, effective_at=effective_at, now=OPEN_SINCE, request_id=request_id
        )
        return version.version

    def propose(self, weights: Weights, *, run_id: str = LEARNT_IN) -> int:
        """Let a run propose weights; return their version."""
        return self.weights.propose(
            run_id,
            lambda version: proposal_to_record(proposal(weights), version=version),
            proposed_at=RECEIVED_AT,
        )

    def post(self, command: Command) -> Entry:
        """Carry out a command of the ledger; return its entry."""
        return self.ledger.execute(command, policies=POLICIES).posted()

    def earn_nothing(self, member_id: str, sale: Sale = SALE, **changes: Any) -> Answer:
        """Let accrual have judged that a sale, or what else an `entry_id` names, earns nothing."""
        command = earned_nothing(member_id, sale, **changes)
        return self.ledger.execute(command, policies=POLICIES)

    def records(self, table: str, *, status: str | None = None) -> list[dict[str, Any]]:
        """
        Return the stream records of *table* since the last call, as Lambda delivers them.

        With a *status*, only those whose new image is a sale in it: the mapping's filter.
        """
        if table not in self._iterators:
            arn = self.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
            shards = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
            self._iterators[table] = self._streams.get_shard_iterator(
                StreamArn=arn, ShardId=shards[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
        response = self._streams.get_records(ShardIterator=self._iterators[table])
        self._iterators[table] = response["NextShardIterator"]
        found = [_as_lambda_spells_it(record) for record in response["Records"]]
        return [
            record
            for record in found
            if status is None
            or record["dynamodb"].get("NewImage", {}).get("status") == {"S": status}
        ]

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return everything in *table*, decoded, by key."""
        items = self.dynamodb.scan(TableName=table)["Items"]
        return sorted(map(from_item, items), key=lambda item: (item["pk"], item["sk"]))

    def snapshot(self) -> list[dict[str, Any]]:
        """Return everything there is, to be compared after a refusal."""
        return [item for table in (SALES_TABLE, LOYALTY_TABLE) for item in self.items(table)]

    def snapshot_items(self) -> dict[str, list[Item]]:
        """Return both tables as they are, to be restored."""
        return {
            table: self.dynamodb.scan(TableName=table)["Items"]
            for table in (SALES_TABLE, LOYALTY_TABLE)
        }

    def restore(self, before: Mapping[str, Sequence[Item]]) -> None:
        """Make both tables what they were."""
        for table, items in before.items():
            for item in self.dynamodb.scan(TableName=table)["Items"]:
                key = {name: item[name] for name in ("pk", "sk")}
                self.dynamodb.delete_item(TableName=table, Key=key)
            for item in items:
                self.dynamodb.put_item(TableName=table, Item=item)

    def stored(self, sale: Sale) -> StoredSale:
        return self.sales.sale(sale.sale_id)


def acknowledgements() -> list[tuple[str, dict[str, Any]]]:
    """Return what stations were sent, as (topic, document), in order."""
    published = iotdata_backends[ACCOUNT_ID][REGION].published_payloads
    return [(topic, json.loads(body)) for topic, body in published]


def sqs_record(
    message: bytes,
    *,
    topic: str = f"forecourt/{STATION_ID}/up/sales",
    message_id: str = "message-1",
    received_at: datetime = RECEIVED_AT,
) -> dict[str, Any]:
    """Return *message* as the topic rule puts it on the queue and Lambda hands it over."""
    body = {
        "payload": base64.b64encode(message).decode(),
        "topic": topic,
        "client_id": topic.split("/")[1],
        "received_at_ms": int(received_at.timestamp() * 1000),
    }
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-of-{message_id}",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:messages",
        "awsRegion": REGION,
    }


def sale_record(sale: Sale, **changes: Any) -> dict[str, Any]:
    """Return the queue's record of a message that tells *sale*."""
    sent_at = changes.pop("sent_at", RECEIVED_AT)
    return sqs_record(payload(sale_document(sale, sent_at=sent_at)), **changes)


def _as_lambda_spells_it(record: Mapping[str, Any]) -> dict[str, Any]:
    """Write binary values in base64 and times as numbers, as JSON has neither."""
    spelt = copy.deepcopy(dict(record))
    change = spelt["dynamodb"]
    created_at: datetime = change["ApproximateCreationDateTime"]
    change["ApproximateCreationDateTime"] = created_at.timestamp()
    for image in ("NewImage", "OldImage"):
        if image in change:
            change[image] = {name: _in_base64(value) for name, value in change[image].items()}
    assert json.loads(json.dumps(spelt)) == spelt
    return spelt


def _in_base64(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {"B": base64.b64encode(content).decode()}
        case "L":
            return {"L": [_in_base64(each) for each in content]}
        case "M":
            return {"M": {name: _in_base64(each) for name, each in content.items()}}
        case _:
            return value
