"""A sender between an outbox and a cloud that answers when a test says so."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forecourt_edge.config import OutboxConfig, SendingConfig
from forecourt_edge.outbox import Cursor, Lane, Message, Outbox
from forecourt_edge.sender import Sender
from tests.edge.stand_in_cloud import Cloud, id_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SENT_AT = datetime(2026, 11, 23, 8, 15, 3, 500_000, tzinfo=UTC)


class Mailbox(Cloud):
    """A cloud that does not look into the bodies and answers when told to, or told how late."""

    answers_after_seconds: float | None = None

    async def publish(self, topic: str, payload: bytes) -> None:
        await super().publish(topic, payload)
        if self.answering:
            self.answer(id_of(payload))
        if self.answers_after_seconds is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.answers_after_seconds, self.answer, id_of(payload))

    @property
    def ids(self) -> list[str]:
        return [id_of(payload) for _, payload in self.payloads]


def silent() -> Mailbox:
    return Mailbox(answering=False)


def put(outbox: Outbox, *numbers: int, **body: Any) -> None:
    for number in numbers:
        name = f"sale-{number}"
        outbox.take_over(
            Cursor(nozzle=1, device_serial="SN1", number=number, totalizer_ml=0),
            messages=[Message(lane=Lane.SALES, message_id=name, body={"sale_id": name, **body})],
        )


def tell(outbox: Outbox, number: int) -> None:
    name = f"telling-{number}"
    outbox.put_telling(Message(lane=Lane.TELLINGS, message_id=name, body={"telling_id": name}))


@asynccontextmanager
async def sending(
    directory: Path, cloud: Mailbox, *, already: int = 0, **config: Any
) -> AsyncIterator[tuple[Outbox, Sender]]:
    """Let a sender run over an outbox that has so many sales *already*."""
    settings = {"acknowledgement_seconds": 0.1, "rate_per_second": 10_000, **config}
    with closing(Outbox(OutboxConfig(path=directory / "outbox.db"))) as outbox:
        put(outbox, *range(1, already + 1))
        sender = Sender(
            station_id="s0001",
            config=SendingConfig.model_validate(settings),
            outbox=outbox,
            uplink=cloud,
            real_now=lambda: SENT_AT,
        )
        outbox.on_stored = sender.wake
        await cloud.start(subscribe_to="acks", on_message=sender.on_message)
        task = asyncio.create_task(sender.run())
        try:
            yield outbox, sender
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - the condition is the test's own
            await asyncio.sleep(0.005)
