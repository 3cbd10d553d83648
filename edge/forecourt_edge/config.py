"""
The component's configuration: one JSON document, validated before anything is opened.

Every wrong field is named in one `InvalidConfig`; values stay out of the message.
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from forecourt.sales import STATION_ID
from forecourt_edge.errors import InvalidConfig
from forecourt_edge.profile import Code, Grade, findings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

NozzleNumber = Annotated[int, Field(ge=1, le=999)]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

_CLOSED = ConfigDict(frozen=True, extra="forbid")


class NozzleConfig(BaseModel):
    """`nozzle` is the station's number, `position` the controller's, from 1."""

    model_config = _CLOSED

    nozzle: NozzleNumber
    position: NozzleNumber


class ControllerConfig(BaseModel):
    """
    A forecourt controller or dispenser on Modbus TCP.

    Controllers with the same host and port share one connection.  `grades` replaces the
    profile's meaning of grade codes; `authorise_calls` lets the station authorise every
    lifted nozzle (self-service without prepayment).
    """

    model_config = _CLOSED

    name: Name
    host: str = Field(min_length=1)
    port: Port = 502
    device_id: int = Field(default=1, ge=1, le=247)
    framing: Literal["socket", "rtu"] = "socket"
    profile: str = Field(min_length=1)
    nozzles: list[NozzleConfig] = Field(min_length=1)
    grades: dict[Code, Grade] | None = None
    authorise_calls: bool = False


class CameraConfig(BaseModel):
    """
    A camera pushes to `/cameras/{name}`.

    It sees `nozzles`; when it reports lanes, `lanes` narrows a read to the lane's nozzles.
    """

    model_config = _CLOSED

    name: Name
    nozzles: list[NozzleNumber] = Field(min_length=1)
    lanes: dict[int, list[NozzleNumber]] = {}
    address: str | None = None

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        return address if address is None else str(ip_address(address))

    def sees(self, lane: int | None) -> list[int]:
        return self.lanes.get(lane, self.nozzles) if lane is not None else self.nozzles


class ListenConfig(BaseModel):
    """Where cameras push and the till reports evidence; port 0 takes a free one."""

    model_config = _CLOSED

    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65535)
    body_bytes_max: int = Field(default=8 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    till_token: str | None = Field(default=None, min_length=16)

    @model_validator(mode="after")
    def _till_is_known(self) -> Self:
        # Whoever may say which phone stands at a nozzle decides who gets the points.
        loopback = self.host == "localhost" or ip_address(self.host).is_loopback
        if not loopback and self.till_token is None:
            raise ValueError("till_token is required when listening beyond this machine")
        return self


class JoiningConfig(BaseModel):
    """When a plate belongs to a sale."""

    model_config = _CLOSED

    arrival_window_seconds: Seconds = 900  # A car may wait this long between plate and lift.
    lift_slack_seconds: float = Field(default=15, ge=0, le=600)  # The camera may be late.
    reuse_pause_seconds: float = Field(default=600, ge=0, le=86_400)
    duplicate_seconds: float = Field(default=10, ge=0, le=600)


class OutboxConfig(BaseModel):
    """
    Where messages wait for the cloud's acknowledgement.

    At `sales_max` no further sale is taken over: the pump keeps it.  At `tellings_max` the
    till keeps what it tells.  Beyond `readings_max` and `sightings_max` the oldest are dropped.
    """

    model_config = _CLOSED

    path: Path
    sales_max: int = Field(default=500_000, ge=1)
    tellings_max: int = Field(default=100_000, ge=1)
    readings_max: int = Field(default=2_000, ge=1)
    sightings_max: int = Field(default=5_000, ge=1)


class SendingConfig(BaseModel):
    """
    How fast the outbox drains.

    A message is sent again after `acknowledgement_seconds`, or later when the cloud has been
    slower to answer, or was asked before; never later than `resend_seconds_max`.
    """

    model_config = _CLOSED

    rate_per_second: float = Field(default=50, gt=0, le=10_000)
    in_flight_max: int = Field(default=200, ge=1, le=10_000)
    acknowledgement_seconds: Seconds = 20
    resend_seconds_max: Seconds = 600


class ReadingsConfig(BaseModel):
    """When totalizers of idle nozzles are reported, beside start and shutdown."""

    model_config = _CLOSED

    interval_seconds: Seconds | None = 3600
    day_turn: bool = True


class MqttUplink(BaseModel):
    """MQTT with mutual TLS: the station's certificate is its identity."""

    model_config = _CLOSED

    kind: Literal["mqtt"]
    host: str = Field(min_length=1)
    port: Port = 8883
    ca_path: Path
    certificate_path: Path
    key_path: Path
    keep_alive_seconds: int = Field(default=30, ge=5, le=1200)
    reconnect_seconds_max: float = Field(default=8, ge=1, le=300)


class GreengrassUplink(BaseModel):
    """The nucleus' interprocess communication; address and token come from the nucleus."""

    model_config = _CLOSED

    kind: Literal["greengrass"]
    timeout_seconds: Seconds = 10
    reconnect_seconds_max: float = Field(default=8, ge=1, le=300)


class GreengrassSdkUplink(BaseModel):
    """`greengrasssdk`, for cores that run the component as an imported Lambda function."""

    model_config = _CLOSED

    kind: Literal["greengrasssdk"]
    timeout_seconds: Seconds = 10


UplinkConfig = Annotated[
    MqttUplink | GreengrassUplink | GreengrassSdkUplink, Field(discriminator="kind")
]


class EdgeConfig(BaseModel):
    """
    One station.

    `poll_interval_seconds` lies between the end of one poll and the beginning of the next, so a
    slow line is never asked faster than it answers.  About that long a finished sale waits at
    most: a small part of the second in which it is to be on its account, for six requests a poll
    of 64 nozzles.
    """

    model_config = _CLOSED

    station_id: str
    time_zone: str = "Asia/Shanghai"
    controllers: list[ControllerConfig] = Field(min_length=1)
    poll_interval_seconds: float = Field(default=0.2, ge=0.001, le=60)
    device_timeout_seconds: float = Field(default=2, ge=0.05, le=60)
    device_back_off_seconds_max: float = Field(default=8, ge=0.05, le=60)
    cameras: list[CameraConfig] = []
    listen: ListenConfig | None = None
    joining: JoiningConfig = JoiningConfig()
    outbox: OutboxConfig
    sending: SendingConfig = SendingConfig()
    readings: ReadingsConfig = ReadingsConfig()
    uplink: UplinkConfig

    @field_validator("station_id")
    @classmethod
    def _station_id_is_one(cls, station_id: str) -> str:
        if not STATION_ID.fullmatch(station_id):
            raise ValueError(f"does not match {STATION_ID.pattern}")
        return station_id

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("no IANA time zone") from error
        return zone

    @model_validator(mode="after")
    def _numbers_are_used_once(self) -> Self:
        nozzles = [wired.nozzle for controller in self.controllers for wired in controller.nozzles]
        _refuse_repeats("nozzle", nozzles)
        _refuse_repeats("controller", [controller.name for controller in self.controllers])
        _refuse_repeats("camera", [camera.name for camera in self.cameras])
        devices = [(each.host, each.port, each.device_id) for each in self.controllers]
        _refuse_repeats("host, port and device_id", devices)
        for controller in self.controllers:
            positions = [wired.position for wired in controller.nozzles]
            _refuse_repeats(f"{controller.name}: position", positions)
        framings = {(each.host, each.port, each.framing) for each in self.controllers}
        _refuse_repeats("framing of one host and port", [bus[:2] for bus in framings])
        for camera in self.cameras:
            seen = {*camera.nozzles, *(n for lane in camera.lanes.values() for n in lane)}
            if unknown := seen - set(nozzles):
                raise ValueError(f"{camera.name} sees unknown nozzles {sorted(unknown)}")
        if self.cameras and self.listen is None:
            raise ValueError("cameras need listen")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


def load_config(path: Path) -> EdgeConfig:
    """Return the configuration at *path*; raise `InvalidConfig` naming each wrong field."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(source=str(path), findings=[f"cannot be read: {error}"]) from error
    return parse_config(text, source=str(path))


def parse_config(text: str, *, source: str = "configuration") -> EdgeConfig:
    """Return the configuration in *text*; raise `InvalidConfig` naming each wrong field."""
    try:
        return EdgeConfig.model_validate(json.loads(text))
    except ValidationError as error:
        raise InvalidConfig(source=source, findings=findings_of(error)) from error
    except ValueError as error:
        raise InvalidConfig(source=source, findings=[f"not JSON: {error}"]) from error


def _refuse_repeats(what: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        raise ValueError(f"{what} is used twice")
