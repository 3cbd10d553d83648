"""Messages as an outbox keeps them, and a cloud that refuses them."""

from __future__ import annotations

from forecourt_edge.outbox import Cursor, Lane, Message, Outbox


def sale(number: int, **body: object) -> Message:
    return Message(lane=Lane.SALES, message_id=f"sale-{number}", body={"n": number, **body})


def telling(number: int) -> Message:
    return Message(lane=Lane.TELLINGS, message_id=f"telling-{number}", body={"n": number})


def at(number: int) -> Cursor:
    return Cursor(nozzle=1, device_serial="SN1", number=number, totalizer_ml=number)


def refuse(outbox: Outbox, reason: str, *messages: Message) -> None:
    """Store *messages* and let the cloud refuse them."""
    for message in messages:
        if message.lane is Lane.TELLINGS:
            outbox.put_telling(message)
        else:
            outbox.take_over(at(message.body["n"]), messages=[message])
    outbox.refuse({message.message_id: reason for message in messages})


def waiting(outbox: Outbox) -> list[str]:
    return [each.message_id for each in outbox.after(0, 1_000)]
