"""
What is refused about all that head office keeps: programs, weights and stations.

* Malformed
  - InvalidProgram         a program document that contradicts itself
  - InvalidCertificateRequest
* Unknown
  - UnknownStation
  - UnknownProgram
  - UnknownWeights
* Rejected
  - StationExists
  - ProgramNotDraft
  - RetroactiveActivation
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecourt.errors import Malformed, Rejected, Unknown

if TYPE_CHECKING:
    from datetime import datetime


class InvalidProgram(Malformed):
    """A program document contradicts itself; `findings` names each place and fault."""

    code = "invalid_program"

    def __init__(self, *, findings: list[str]) -> None:
        super().__init__(findings)
        self.findings = findings


class InvalidCertificateRequest(Malformed):
    """What should be a certificate signing request (PKCS#10, PEM) was refused by AWS IoT."""

    code = "invalid_certificate_request"


class UnknownStation(Unknown):
    """No station is registered under that id."""

    code = "unknown_station"

    def __init__(self, station_id: str) -> None:
        super().__init__(station_id)
        self.station_id = station_id


class UnknownProgram(Unknown):
    """The program has no such version."""

    code = "unknown_program"

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class UnknownWeights(Unknown):
    """There is no such version of the weights."""

    code = "unknown_weights"

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class StationExists(Rejected):
    """A station is already registered under that id."""

    code = "station_exists"

    def __init__(self, station_id: str) -> None:
        super().__init__(station_id)
        self.station_id = station_id


class ProgramNotDraft(Rejected):
    """Only a draft may be changed; an activated version is fixed for ever."""

    code = "program_not_draft"

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class RetroactiveActivation(Rejected):
    """An activation would change what was already in force; sales were judged by it."""

    code = "retroactive_activation"

    def __init__(self, *, effective_at: datetime, earliest_at: datetime) -> None:
        super().__init__(effective_at, earliest_at)
        self.effective_at = effective_at
        self.earliest_at = earliest_at
