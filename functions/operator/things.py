"""Stations as AWS IoT knows them: a thing, and the certificates it may present."""

from __future__ import annotations

from typing import Any

from forecourt.operator_errors import InvalidCertificateRequest
from forecourt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate; `private_key_pem` is `None` when the station keeps its key to itself."""

    certificate_id: str
    certificate_pem: str
    private_key_pem: str | None


class Things:
    """The things behind the IoT client *iot*; *policy* says what a station may do."""

    def __init__(self, iot: Any, *, policy: str) -> None:
        self._iot = iot
        self._policy = policy

    def ensure(self, station_id: str) -> None:
        """Make the station's thing; AWS IoT takes a repeat of the same for done."""
        self._iot.create_thing(thingName=station_id)

    def certified(self, station_id: str) -> bool:
        """Return whether a certificate was ever attached to the station's thing."""
        response = self._iot.list_thing_principals(thingName=station_id)
        return bool(response["principals"])

    def issue(self, station_id: str, *, csr: str | None) -> Certificate:
        """
        Return a new certificate of the station, for the key in *csr* or for a new one.

        The policy only lets a certificate act as the thing it is attached to, so one that a
        failure leaves behind without its thing may do nothing.
        """
        response = self._create(csr)
        arn = response["certificateArn"]
        self._iot.attach_policy(policyName=self._policy, target=arn)
        self._iot.attach_thing_principal(thingName=station_id, principal=arn)
        return Certificate(
            certificate_id=response["certificateId"],
            certificate_pem=response["certificatePem"],
            private_key_pem=response.get("keyPair", {}).get("PrivateKey"),
        )

    def _create(self, csr: str | None) -> dict[str, Any]:
        if csr is None:
            made: dict[str, Any] = self._iot.create_keys_and_certificate(setAsActive=True)
            return made
        try:
            signed: dict[str, Any] = self._iot.create_certificate_from_csr(
                certificateSigningRequest=csr, setAsActive=True
            )
        except self._iot.exceptions.InvalidRequestException:
            raise InvalidCertificateRequest from None
        return signed
