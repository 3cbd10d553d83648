"""An MQTT 5 broker with mutual TLS, as much of one as a station needs, and its certificates."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP = 1, 2, 3, 4, 8, 9, 12, 13
NOT_AUTHORISED = 0x87


class Authority:
    """A certificate authority that writes what it signs into *directory*."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key.public_key(), authority=True)
        self.ca_path = self._write(f"{name}-ca.pem", self._certificate)

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a certificate for *name* and localhost, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), authority=False)
        key_path = self._directory / f"{name}.key"
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return self._write(f"{name}.pem", certificate), key_path

    def _sign(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._directory / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


class Broker:
    """
    Takes connections of clients whose certificate *authority* signed.

    `refusing` answers publishes with "not authorised", `deaf` takes them and answers nothing,
    `granting` off refuses subscriptions.
    """

    def __init__(self, authority: Authority) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*map(str, authority.issue("broker")))
        self._tls.load_verify_locations(str(authority.ca_path))
        self._tls.verify_mode = ssl.CERT_REQUIRED
        self._server: asyncio.Server | None = None
        self._writers: dict[asyncio.StreamWriter, str] = {}
        self.refusing = self.deaf = False
        self.granting = True
        self.connections = 0
        self.clients: list[str] = []
        self.subscribed = asyncio.Event()
        self.topics: list[str] = []
        self.published: list[tuple[str, bytes]] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()
            await asyncio.sleep(0.01)

    def cut(self) -> None:
        """Drop every connection without a word."""
        self.subscribed.clear()
        for writer in list(self._writers):
            writer.transport.abort()

    def send(self, topic: str, payload: bytes) -> None:
        """Deliver to everybody subscribed, with QoS 0."""
        name = topic.encode()
        body = len(name).to_bytes(2, "big") + name + b"\x00" + payload
        for writer in self._writers:
            writer.write(packet(PUBLISH, body))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers[writer] = ""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                first = (await reader.readexactly(1))[0]
                body = await reader.readexactly(await length_of(reader))
                self._answer(first >> 4, first & 0x0F, body, writer)
        self._writers.pop(writer, None)
        writer.close()

    def _answer(self, kind: int, flags: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        if kind == CONNECT:
            properties = body[10]
            start = 11 + properties
            size = int.from_bytes(body[start : start + 2], "big")
            self.clients.append(body[start + 2 : start + 2 + size].decode())
            writer.write(packet(CONNACK, b"\x00\x00\x00"))
        elif kind == SUBSCRIBE:
            size = int.from_bytes(body[3:5], "big")
            self.topics.append(body[5 : 5 + size].decode())
            reason = b"\x01" if self.granting else bytes([NOT_AUTHORISED])
            writer.write(packet(SUBACK, body[:2] + b"\x00" + reason))
            self.subscribed.set()
        elif kind == PUBLISH:
            self._take(flags, body, writer)
        elif kind == PINGREQ:
            writer.write(packet(PINGRESP, b""))

    def _take(self, flags: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        assert flags >> 1 & 3 == 1, "a station publishes with QoS 1"
        size = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        identifier, payload = rest[:2], rest[3 + rest[2] :]
        self.published.append((topic, payload))
        if self.deaf:
            return
        reason = bytes([NOT_AUTHORISED if self.refusing else 0])
        writer.write(packet(PUBACK, identifier + reason + b"\x00"))


def packet(kind: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind << 4]) + bytes(encoded) + body


async def length_of(reader: asyncio.StreamReader) -> int:
    length, shift = 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return length
        shift += 7
