"""What was committed becomes an event for everyone: the bus, its archive and the relay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_events as events
from constructs import Construct

from infra.functions import PlatformFunction
from infra.queues import FailureQueue
from infra.streams import read_stream

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Bus", "Relay"]

ARCHIVED_FOR = cdk.Duration.days(90)
# What the relay has an event for; the other items do not wake it.
EVENTFUL_TYPES = [
    "book",
    "adjustment",
    "answer",
    "bound",
    "budget",
    "case",
    "entry",
    "evaluation",
    "member",
    "merge",
    "program",
    "question",
    "refusal",
    "ruling",
    "reminder",
    "station",
    "timeline",
    "verification",
    "unbound",
    "weights",
    "weights_timeline",
]
ITEM_WRITTEN = {
    "eventName": ["INSERT", "MODIFY"],
    "dynamodb": {"NewImage": {"type": {"S": EVENTFUL_TYPES}}},
}
IDENTITY_REMOVED = {
    "eventName": ["REMOVE"],
    "dynamodb": {"OldImage": {"type": {"S": ["bound"]}}},
}


class Bus(events.EventBus):
    """The bus of everything that happened, with an archive to replay it from."""

    def __init__(self, scope: Construct, construct_id: str, *, archived: bool) -> None:
        super().__init__(scope, construct_id, description="Forecourt: everything that happened")
        if archived:
            self.archive(
                "Archive",
                description="Forecourt: replay for consumers that failed or came later",
                event_pattern=events.EventPattern(source=["forecourt"]),
                retention=ARCHIVED_FOR,
            )


class Relay(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        bus: events.IEventBus,
        keys: Keys,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = PlatformFunction(
            self,
            "Function",
            name="relay",
            description="Turns committed items into bus events",
            runtime=runtime,
            environment={"EVENT_BUS": bus.event_bus_name},
        )
        self.function.allow("events:PutEvents", on=bus.event_bus_arn)
        read_stream(
            self.function,
            tables.loyalty,
            filters=[ITEM_WRITTEN, IDENTITY_REMOVED],
            on_failure=FailureQueue(self, "NotRelayed", keys=keys, target=runtime.target),
        )
