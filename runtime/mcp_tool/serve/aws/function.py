"""One execution environment: the author's code loaded once, one event loop, the shell driven by events.

Between two invocations the platform freezes the process, so nothing is left for later: what was logged is written
before an answer is given back. The end of the process is not announced.
"""

import asyncio
import base64
import importlib
import json
import logging
import os
import random
import zlib
from collections.abc import Coroutine, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from mcp_tool.serve import start
from mcp_tool.serve.aws import events
from mcp_tool.serve.http.gates import PLATFORM
from mcp_tool.serve.problem import StartProblem

if TYPE_CHECKING:
    from mcp_tool.app import App
    from mcp_tool.config import Config
    from mcp_tool.serve.http.shell import Shell
    from mcp_tool.serve.observe.seeing import Seeing
    from mcp_tool.serve.served import Served

CONFIG: Final = "MCP_TOOL_CONFIG_DATA"
"""Environment variable with `config.json`: its text, or that compressed with zlib and written in base64. There is no
other place beside a function that changes with its version, and all variables together may be 4 KB."""

_BALANCER: Final = ".elb.amazonaws.com"
_INTERNAL_ERROR: Final = -32603

logger = logging.getLogger("mcp_tool.serve")

T = TypeVar("T")


class CutShortError(Exception):
    """What answers has failed on the way: the client has a part of the answer."""


class Sink(Protocol):
    """Where an answer goes."""

    async def begin(self, status: int, headers: events.Raw) -> None:
        """The head; once, first."""

    async def more(self, body: bytes) -> None:
        """A part of the body."""


class Function:
    """A tool behind Lambda's events: `load`, then `begin`, then `answer` as often as there are events.

    Args:
        bundle: The folder with `tool.json`, `contract.json`, `app/` and `lib/`.
    """

    def __init__(self, bundle: Path) -> None:
        named = os.environ.get("MCP_TOOL_CONFIG")
        self._request = start.Request("http", bundle, Path(named) if named else None, "", 0)
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def load(self, *, everything: bool = False) -> None:
        """Read the config and import the author's code.

        Args:
            everything: Whether to import the SDK as well, though most calls need nothing of it: where the process is
                kept as a snapshot, that import costs nothing.

        Raises:
            StartProblem: And whatever else a start may fail with; `start.problem_of` tells it.
        """
        start.show_prints_at_once()
        told = self._told = start.prepare(self._request, given_config())
        self._made: App | tuple[Served, Seeing]
        if ":" in told.tool["entrypoint"]:
            self._made = start.load_wrapped(told)
        else:
            self._made = start.load_app(told)
        if everything:
            importlib.import_module("mcp_tool.serve.sdk.server")

    def begin(self, *, restored: bool = False) -> None:
        """Start the author's part, and make everything that no two environments may share.

        Args:
            restored: Whether the process comes out of a snapshot: then secrets are read anew, since they may have
                changed meanwhile, and random numbers begin somewhere else.

        Raises:
            StartProblem: And whatever else a start may fail with.
        """
        if restored:
            random.seed()
            self._told = start.prepare(self._request, given_config())
        self.run(self._begin())
        start.settle()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something on the environment's event loop."""
        return self._loop.run_until_complete(work)

    @property
    def worn(self) -> bool:
        """Whether so many threads are lost that the environment is at its end."""
        return self._shell.readiness.worn

    async def answer(self, asked: events.Asked, request_id: str) -> dict[str, Any]:
        """The whole answer to a request, in the form that its event wants.

        Args:
            asked: As `asked` read it.
            request_id: What Lambda calls this invocation; log lines carry it, unless the client has sent one.
        """
        whole = _Whole()
        await self.serve(asked, request_id, whole)
        written = events.write(whole.answered(), asked.form)
        if events.too_large(written, asked.form):
            most = events.MOST[asked.form]
            logger.warning("an answer is larger than the %d bytes that can be sent in one piece", most)
            written = events.write(_too_large(asked, most), asked.form)
        return written

    def asked(self, event: Any) -> events.Asked:
        """The request in an event.

        Raises:
            UnknownEventError: It is none.
        """
        return events.read(event, self._names_us)

    async def serve(self, asked: events.Asked, request_id: str, sink: Sink) -> None:
        """Answer a request into a sink.

        Raises:
            CutShortError: The answer was begun and has no end. The log says why.
        """
        from mcp_tool.serve.observe import log

        scope = asked.scope()
        scope[PLATFORM] = asked.platform
        if all(name != b"x-request-id" for name, _ in asked.headers):
            scope["headers"].append((b"x-request-id", request_id.encode("latin-1")))
        over, is_whole = asyncio.Event(), False
        body = [asked.body]

        async def receive() -> MutableMapping[str, Any]:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            await over.wait()  # the platform does not say when a client leaves
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal is_whole
            if message["type"] == "http.response.start":
                await sink.begin(message["status"], message.get("headers", ()))
            else:
                is_whole = not message.get("more_body", False)
                await sink.more(message.get("body", b""))

        try:
            await self._shell(scope, receive, send)
        finally:
            over.set()
            self._watched.flush()
            log.flush()
        if not is_whole:
            raise CutShortError

    def _names_us(self, host: str) -> bool:
        """Whether a load balancer's request is for this server; only its rules know, where the config names nobody."""
        settings = self._told.config.serve
        if settings.public_url is None and not settings.allowed_hosts:
            return host.lower().endswith(_BALANCER)
        return self._shell.names.host_is_ours(host)

    async def _begin(self) -> None:
        from mcp_tool.app import App
        from mcp_tool.serve.aws import making
        from mcp_tool.serve.http import limits, shell
        from mcp_tool.serve.http.names import Names
        from mcp_tool.serve.http.ready import Readiness

        told, self._held = self._told, making.Held()
        config, settings = told.config, told.config.serve
        if isinstance(self._made, App):
            made = await making.from_app(self._made, told, self._held)
        else:
            made = await making.from_served(self._made[0], told, self._made[1], self._held)
        self._watched = made.watched
        self._shell: Shell = shell.Shell(
            made.watched.around(made.application),
            settings,
            Names.of("", settings.public_url, settings.allowed_hosts, settings.allowed_origins),
            None if told.asking is None else told.asking(made.scopes),
            made.scopes,
            limits.limiter(config, told.tool["name"]),
            Readiness(config.dependencies, made.worn),
            made.watched.calls.seen,
            ready=True,
        )


class _Whole:
    """An answer that is collected."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: events.Raw = ()
        self._parts: list[bytes] = []

    async def begin(self, status: int, headers: events.Raw) -> None:
        self._status, self._headers = status, headers

    async def more(self, body: bytes) -> None:
        self._parts.append(body)

    def answered(self) -> events.Answered:
        """All of it."""
        return events.Answered(self._status, self._headers, b"".join(self._parts))


def _too_large(asked: events.Asked, most: int) -> events.Answered:
    """What is said instead, as an answer to the same JSON-RPC request."""
    try:
        document = json.loads(asked.body)
    except (ValueError, RecursionError):
        document = None
    identity = document.get("id") if isinstance(document, dict) else None
    message = f"The answer is larger than the {most} bytes that this server can send in one piece"
    error = {"jsonrpc": "2.0", "id": identity, "error": {"code": _INTERNAL_ERROR, "message": message}}
    return events.Answered(200, ((b"content-type", b"application/json"),), json.dumps(error).encode())


def given_config() -> "Config | None":
    """The config in the environment; None where there is none.

    Raises:
        StartProblem: It is not what the deploy wrote.
    """
    text = os.environ.get(CONFIG)
    if not text:
        return None
    from mcp_tool import config

    try:
        plain = text if text.startswith("{") else zlib.decompress(base64.b64decode(text, validate=True)).decode()
        document = json.loads(plain)
    except (ValueError, zlib.error):
        raise StartProblem(f"{CONFIG} holds no config", "deploy again") from None
    return config.parse(document, source=CONFIG)
