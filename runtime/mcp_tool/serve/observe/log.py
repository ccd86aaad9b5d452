"""Logs of a running server: one JSON document a line on standard error, from this runtime and from the author.

    {"ts": seconds since the epoch, "level", "logger", "msg", "service", "version", …fields}

A request's line has `request_id`, `trace_id`, `span_id`, `transport`, `method`, `tool`, `protocol`, `principal` (a
hash), `client`, `status`, `outcome`, `error_type`, `refused` and `duration_ms`, each where there is one; what the
author's code logs during a request has its `request_id` and `trace_id`.
"""

import atexit
import json
import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pydantic_core

from mcp_tool.config import Log
from mcp_tool.record import CURRENT, Record
from mcp_tool.serve.observe.log_file import LogFile, stdio_file
from mcp_tool.serve.observe.log_writer import Writer

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_CHATTY = ("mcp", "uvicorn", "asyncio", "sse_starlette")
"""Libraries whose info lines say nothing about the tool."""

_AT_EXIT: Final = 0.5
"""Seconds that a slow reader of the log gets at the end of the process."""

_RARE: Final = 60.0
"""Seconds between two lines of a logger that would say the same again and again."""

_ENDS: Final = tuple((end.encode(), f"\\u{ord(end):04x}".encode()) for end in "\x85\u2028\u2029")
"""Ends of lines that JSON leaves as they are, and how they are written."""

logger = logging.getLogger("mcp_tool.serve")


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as one line of JSON, without its end; what JSON has no words for is written as text.

    pydantic's encoder takes a third of the time of the standard library's, which writes what the other refuses:
    letters that are none. What some readers of text take for the end of a line is escaped: a client's words must not
    look like a line of their own.
    """
    try:
        line = pydantic_core.to_json(document, fallback=str, inf_nan_mode="null")
    except ValueError:
        line = json.dumps(document, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace")
    for end, escaped in _ENDS:
        if end in line:
            line = line.replace(end, escaped)
    return line


class _Outlet:
    """Where lines go: standard error, and on stdio a file as well."""

    def __init__(self) -> None:
        self.writer: Writer | None = None
        self.file: LogFile | None = None
        self.common: Mapping[str, Any] = {}
        self.scrub: Callable[[str], str] = str

    def write(self, line: bytes) -> None:
        if self.writer is not None:
            self.writer.write(line)
        if self.file is not None:
            self.file.write(line)


_OUT = _Outlet()


class _Handler(logging.Handler):
    """Writes what is logged through `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _OUT.write(encode(_document(record)))
        except Exception:  # noqa: BLE001 - as logging itself does: what cannot be logged ends nobody's call
            self.handleError(record)


def _document(record: logging.LogRecord) -> dict[str, Any]:
    """The line of a record, secrets blotted out; fields come from `extra={"fields": {…}}`."""
    document: dict[str, Any] = {
        "ts": round(record.created, 3),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": _OUT.scrub(record.getMessage()),
        **_OUT.common,
    }
    request = CURRENT.get()
    if request is not None:
        document.update(_identity(request))
    fields = getattr(record, "fields", None)
    if isinstance(fields, Mapping):
        document.update({str(key): _scrubbed(value) for key, value in fields.items()})
    if record.exc_info and record.exc_info[1] is not None:
        document["traceback"] = _OUT.scrub("".join(traceback.format_exception(record.exc_info[1])))
    return document


class _Rarely(logging.Filter):
    """Lets one line a minute of some loggers through."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names, self._next = tuple(names), 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(self._names):
            return True
        if record.created < self._next:
            return False
        self._next = record.created + _RARE
        return True


def configure(level: str) -> None:
    """Send every logger of the process to standard error as JSON, from `level` up."""
    _OUT.writer = Writer(2)
    atexit.register(flush)
    logging.basicConfig(handlers=[_Handler()], level=_LEVELS[level], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)


def describe(service: str, version: str, secrets: tuple[str, ...] = ()) -> None:
    """Say on every line which server it is, and let none of the secrets' values stand in what the author logs."""
    _OUT.common = {"service": service, "version": version}
    if secrets:
        from mcp_tool.calling import Scrub

        _OUT.scrub = Scrub(secrets)


def rarely(*names: str) -> None:
    """Let these loggers, and those below them, say something once a minute at most."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Rarely(names))


def keep(settings: Log, tool: str, stage: str) -> None:
    """Write the same lines to a file that is put aside when it is full: the config's, else that of `stdio_file`.

    Where that is not possible, one line says why, and standard error has to do.
    """
    try:
        path = settings.file or stdio_file(os.environ, tool, stage)
        _OUT.file = LogFile(path, settings.size, settings.files)
    except (OSError, RuntimeError) as error:  # the latter where this user has no home
        logger.warning("the log cannot be kept in a file: %s", error)


def line(document: Mapping[str, Any]) -> None:
    """Write a document that is ready, whatever the level: what the audit stream and a failed start have to say."""
    _OUT.write(encode(document))


def info(message: str, **fields: Any) -> None:
    """One line at level info, with fields of its own."""
    logger.info(message, extra={"fields": fields})


def request(record: Record) -> None:
    """The one line of a request that is over."""
    failed = record.outcome == "failed" or record.error_type in {"crash", "timeout"}
    if not logger.isEnabledFor(logging.WARNING if failed else logging.INFO):
        return
    document: dict[str, Any] = {
        "ts": round(time.time(), 3),
        "level": "warning" if failed else "info",
        "logger": "mcp_tool.serve",
        "msg": "request",
        **_OUT.common,
        **_identity(record),
        "transport": record.transport,
    }
    known = {
        "method": record.method,
        "tool": record.tool,
        "protocol": record.protocol,
        "principal": record.principal.id,
        "client": record.client,
        "status": record.status,
        "outcome": record.outcome,
        "error_type": record.error_type,
        "refused": record.refused,
    }
    document.update({key: value for key, value in known.items() if value})
    document["duration_ms"] = round(record.seconds * 1000, 1)
    _OUT.write(encode(document))


def kept(document: Mapping[str, Any]) -> None:
    """A document for the file alone: standard error has it."""
    if _OUT.file is not None:
        _OUT.file.write(encode(document))


def lost() -> int:
    """Lines that nobody read in time, so far."""
    return 0 if _OUT.writer is None else _OUT.writer.lost


def flush(seconds: float = _AT_EXIT) -> None:
    """Wait until what was logged is written, but no longer than that."""
    if _OUT.writer is not None:
        _OUT.writer.flush(seconds)


def _identity(record: Record) -> dict[str, str]:
    found = {"request_id": record.request_id, "trace_id": record.trace_id, "span_id": record.span_id}
    return {key: value for key, value in found.items() if value}


def _scrubbed(value: Any) -> Any:
    return _OUT.scrub(value) if isinstance(value, str) else value


class Stopwatch:
    """Milliseconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def ms(self) -> float:
        """Elapsed, to a tenth of a millisecond."""
        return round((time.perf_counter() - self._start) * 1000, 1)


__all__ = [
    "configure",
    "describe",
    "encode",
    "flush",
    "info",
    "keep",
    "kept",
    "line",
    "logger",
    "lost",
    "rarely",
    "request",
]
