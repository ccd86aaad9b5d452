"""Logs of a running server: one JSON document a line on standard error, from this runtime and from the author."""

import json
import logging
import sys
import time
import traceback
from typing import Any

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_CHATTY = ("mcp", "uvicorn", "asyncio", "sse_starlette")
"""Libraries whose info lines say nothing about the tool."""

logger = logging.getLogger("mcp_tool.serve")


class JsonLines(logging.Formatter):
    """`{"ts": seconds since the epoch, "level", "logger", "msg", …fields, "traceback"?}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON; fields come from `extra={"fields": {…}}`."""
        document: dict[str, Any] = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        document.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            document["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(document, ensure_ascii=False, default=str)


def configure(level: str) -> None:
    """Send every logger of the process to standard error as JSON, from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=_LEVELS[level], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)


def info(message: str, **fields: Any) -> None:
    """One line at level info, with fields of its own."""
    logger.info(message, extra={"fields": fields})


class Stopwatch:
    """Milliseconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def ms(self) -> float:
        """Elapsed, to a tenth of a millisecond."""
        return round((time.perf_counter() - self._start) * 1000, 1)
