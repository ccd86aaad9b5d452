"""The audit stream: who called which tool, was it let through, how did it end. Apart from the log, append-only.

    {"ts", "stream": "audit", "service", "version", "release", "stage", "request_id", "trace_id",
     "who": {"kind", "id", "issuer", "client", "address"}, "method", "tool", "tool_sha256",
     "arguments": "hmac-sha256:<key>:<hex>", "decision": "allowed" | "refused", "reason", "outcome", "error_type",
     "duration_ms"}

`who.id` is a hash over issuer and subject. `tool_sha256` is the tool's hash in the contract, so that an entry says what
the tool claimed to be at that time.

`arguments` is a keyed digest of the redacted arguments (canonical JSON; see `redact`). Plain SHA-256 would tell:
whoever reads the stream could try every account number until one fits. The key is derived from the deployment's state
keys, so that equal arguments have equal digests on every replica; without such keys it is one of this process.
`<key>` names it: digests are comparable where it is the same.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_tool.record import Record
from mcp_tool.serve.observe import log
from mcp_tool.serve.observe.log_file import LogFile
from mcp_tool.serve.observe.redact import Redaction

SYNC: Final = 1.0
"""Seconds for which an entry may be in the system's memory alone; the process's own death loses none."""

_LONGEST: Final = 200
"""Characters of what an issuer or a client calls itself."""
_COMPLAIN: Final = 60.0

logger = logging.getLogger("mcp_tool.serve")

Sink = Callable[[Mapping[str, Any]], None]
"""Takes one entry; does not wait and does not raise."""


@dataclass(frozen=True)
class Audited:
    """What the stream says of a tool: its hash in the contract, and how to redact what it is called with."""

    sha256: str
    redaction: Redaction


class Audit:
    """Writes the entries.

    Args:
        sink: Where they go.
        server: `service`, `version`, `release` and `stage`, which stand in each.
        keys: The deployment's state keys, the current one first.
        tools: By name.
    """

    def __init__(
        self, sink: Sink, server: Mapping[str, Any], keys: Sequence[str], tools: Mapping[str, Audited]
    ) -> None:
        self._sink, self._server, self._tools = sink, dict(server), tools
        shared = keys[0].encode() if keys else secrets.token_bytes(32)
        self._key = hmac.digest(shared, b"mcp-tool audit arguments", "sha256")
        self._key_name = hashlib.sha256(self._key).hexdigest()[:8]

    def call(self, record: Record, arguments: Mapping[str, Any]) -> None:
        """A tool call that is over, refused ones included."""
        tool = self._tools.get(record.tool)
        entry = self._entry(record)
        if tool is not None:
            entry["tool_sha256"] = tool.sha256
            entry["arguments"] = self._digest(tool.redaction, arguments)
        self._sink(entry)

    def refused(self, record: Record) -> None:
        """A request that was refused before it reached a tool."""
        self._sink(self._entry(record))

    def _entry(self, record: Record) -> dict[str, Any]:
        principal = record.principal
        who = {
            "kind": principal.kind,
            "id": principal.id,
            "issuer": principal.issuer[:_LONGEST],
            "client": principal.client_id[:_LONGEST],
            "address": record.address,
        }
        return {
            "ts": round(time.time(), 3),
            "stream": "audit",
            **self._server,
            "request_id": record.request_id,
            "trace_id": record.trace_id,
            "who": {key: value for key, value in who.items() if value},
            "method": record.method,
            "tool": record.tool,
            "decision": "refused" if record.refused else "allowed",
            "reason": record.refused,
            "outcome": record.outcome,
            "error_type": record.error_type,
            "duration_ms": round(record.seconds * 1000, 1),
        }

    def _digest(self, redaction: Redaction, arguments: Mapping[str, Any]) -> str:
        try:
            found = hmac.digest(self._key, _canonical(redaction(arguments)), "sha256").hex()
        except (TypeError, ValueError):
            return ""  # not JSON, so not from a client
        return f"hmac-sha256:{self._key_name}:{found}"


_ordered = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def _canonical(value: Any) -> bytes:
    return _ordered(value).encode("utf-8", "backslashreplace")


class FileSink:
    """Entries in a file of their own, one `write` each, readable by its owner alone; moved away, it is begun anew.

    A thread brings it to the disk at most `SYNC` seconds after an entry. An entry that the system does not take (a
    full disk) fails no call; it is counted, and the log says so at most once a minute.

    Raises:
        OSError: The file cannot be made or opened.
    """

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._complained = -_COMPLAIN
        self._written = threading.Event()
        self._thread: threading.Thread | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def __call__(self, entry: Mapping[str, Any]) -> None:
        """Append one entry."""
        if not self._file.write(log.encode(entry)):
            if time.monotonic() - self._complained > _COMPLAIN:
                self._complained = time.monotonic()
                logger.error("the audit file takes no more entries; %d are missing", self._file.failed)
            return
        if not self._written.is_set():  # what is set already is cleared before the sync, which then has this entry too
            self._written.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._sync, name="audit", daemon=True)
            self._thread.start()

    def _forget(self) -> None:
        """In a child, where the thread did not come along."""
        self._written, self._thread = threading.Event(), None

    def _sync(self) -> None:
        while True:
            self._written.wait()
            self._written.clear()
            self._file.sync()
            time.sleep(SYNC)
