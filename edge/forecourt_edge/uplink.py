"""
The seam between the component and whatever carries its messages.

An uplink's word that it took a message means little: a spool can overflow, a broker can
be cut off.  Only the cloud's acknowledgement on the station's own topic lets a message go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecourt_edge.config import EdgeConfig

# A lost connection is seen as lost for at least half of this: jitter halves it at most.
RECONNECT_SECONDS_MIN = 1.0


class Uplink(Protocol):
    """Publishes at least once and receives the station's own topic."""

    @property
    def connected(self) -> bool:
        """Whether a message published now has a chance; subscribed topics are subscribed."""
        ...

    async def start(self, *, subscribe_to: str, on_message: Callable[[str, bytes], None]) -> None:
        """
        Begin connecting; returns at once, and an absent network is no error.

        *on_message* is called on the event loop.  Raises `InvalidConfig` for what will not
        mend by itself.
        """
        ...

    async def publish(self, topic: str, payload: bytes) -> None:
        """Hand over a message; raises `UplinkDown` when it was not taken."""
        ...

    async def stop(self) -> None:
        """Disconnect; messages not yet acknowledged stay in the outbox."""
        ...


def uplink_for(config: EdgeConfig) -> Uplink:
    """Return the configured uplink; its SDK is imported only when it is used."""
    match config.uplink.kind:
        case "mqtt":
            from forecourt_edge.uplink_mqtt import MqttUplink  # noqa: PLC0415 - see above

            return MqttUplink(config.uplink, client_id=config.station_id)
        case "greengrass":
            from forecourt_edge.uplink_greengrass import GreengrassUplink  # noqa: PLC0415

            return GreengrassUplink(config.uplink)
        case "greengrasssdk":
            from forecourt_edge.uplink_greengrasssdk import GreengrassSdkUplink  # noqa: PLC0415

            return GreengrassSdkUplink(config.uplink)
