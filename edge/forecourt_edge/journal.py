"""
The component's log: one JSON object a line, for the nucleus' log files and for people.

Facts are ids, counts and reasons.  Plates, phone numbers, cards and other evidence never
appear in it.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("forecourt_edge")


class JsonLines(logging.Formatter):
    """`{"at": …, "level": …, "event": …, facts}`."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = getattr(record, "facts", {})
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **facts,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: int = logging.INFO) -> None:
    """Write everything to standard output; Modbus errors are told once, by the poller."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


def note(event: str, **facts: object) -> None:
    LOGGER.info(event, extra={"facts": facts})


def warn(event: str, **facts: object) -> None:
    LOGGER.warning(event, extra={"facts": facts})


def alarm(event: str, **facts: object) -> None:
    """Say what a person has to look at; the level `error` is what alarms are built on."""
    LOGGER.error(event, extra={"facts": facts})


def failure(event: str, error: BaseException, **facts: object) -> None:
    """Like `alarm`, with the traceback of *error*."""
    LOGGER.error(event, exc_info=error, extra={"facts": facts})
