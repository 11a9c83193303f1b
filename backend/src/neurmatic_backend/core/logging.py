"""Logs: JSON lines from warnings up in production, readable lines from info up elsewhere."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

EXTRA = ("request_id", "route", "method", "status", "seconds", "job")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        line |= {name: getattr(record, name) for name in EXTRA if hasattr(record, name)}
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class ReadableFormatter(logging.Formatter):
    """For people: time, level, message, and what belongs to the request."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        extra = " ".join(f"{name}={getattr(record, name)}" for name in EXTRA if hasattr(record, name))
        return f"{text} {extra}" if extra else text


def configure_logging(*, production: bool) -> None:
    """Send everything to standard output, from where the supervisor's logger keeps it."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter() if production else ReadableFormatter("%(asctime)s %(levelname)-7s %(message)s")
    )
    logging.basicConfig(level=logging.WARNING if production else logging.INFO, handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "httpx", "pgqueuer"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
