"""From files to a serving process: config, environment, the author's code, the transport. One story, once."""

import asyncio
import gc
import io
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from mcp_tool import loading
from mcp_tool.errors import ContractError, EntrypointError, SettingsError
from mcp_tool.serve.problem import StartProblem

if TYPE_CHECKING:
    from mcp_tool.app import App
    from mcp_tool.config import Config
    from mcp_tool.serve import auth
    from mcp_tool.serve.observe.seeing import Seeing
    from mcp_tool.serve.served import Served

Transport = Literal["stdio", "http"]

_EXIT_HANDLERS = 1.0
"""Seconds for exit handlers and for threads that a tool still blocks; longer is not waited for."""


@dataclass(frozen=True)
class Request:
    """What the command line asked for.

    Attributes:
        bundle: The folder with `tool.json`, `app/` and, in artifacts, `lib/` and `contract.json`.
        config: The `config.json` file; None for defaults.
        host, port: Where HTTP listens; port 0 is any free one.
        descriptors: Open sockets to listen on instead, the first one for its address in the log.
    """

    transport: Transport
    bundle: Path
    config: Path | None
    host: str
    port: int
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """What a server was told, read and judged.

    Attributes:
        tool: The `tool.json` document.
        contract: The contract document; None where the bundle has none, so that it is made of the author's code.
        secrets: Where the value of each declared secret stands: `{"env": NAME}` or `{"file": path}`.
        asking: Makes what asks every caller who it is; None where nobody is asked.
    """

    config: "Config"
    tool: Mapping[str, Any]
    contract: Mapping[str, Any] | None
    secrets: Mapping[str, Mapping[str, str]]
    asking: "auth.Making | None"


def serve(request: Request) -> NoReturn:
    """Serve until the client or the system ends it; never returns. A start that fails exits 1 with one line."""
    show_prints_at_once()
    code = 0
    try:
        match request.transport:
            case "stdio":
                _serve_stdio(request)
            case "http":
                code = _serve_http(request)
    except Exception as error:  # noqa: BLE001 - the author's own start and stop may raise anything
        _fail(problem_of(error))
    _leave(code)


def _fail(problem: StartProblem) -> NoReturn:
    """Say what is wrong, also where a client that starts servers lets nobody look at their standard error."""
    problem.report()
    from mcp_tool.serve.observe import log

    log.kept({"ts": round(time.time(), 3), **problem.document()})
    _leave(1)


def show_prints_at_once() -> None:
    """Write out each line that the author's code prints, also into a file or a pipe."""
    # Into a file or a pipe Python prints in blocks, and the last one is lost when the process is ended from outside.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def problem_of(error: Exception) -> StartProblem:
    """Why a start went wrong, told as a problem."""
    match error:
        case StartProblem():
            return error
        case EntrypointError():
            return StartProblem(error.what, error.fix, error.trace or None)
        case SettingsError():
            return StartProblem(str(error), "give them a value under [env] or [secrets] of the manifest")
        case ContractError():
            return StartProblem(str(error), "mend them, then build again")
        case _:
            return _unexpected(error)


def _unexpected(error: Exception) -> StartProblem:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    what = f"the server cannot go on: {type(error).__name__}: {error}"
    return StartProblem(what, "mend the line that the traceback ends with", loading.trimmed(error))


def _serve_stdio(request: Request) -> None:
    # Both before anything heavy: the fork while there is one thread, the pipes before the author can print.
    from mcp_tool.serve import guard

    guard.start()
    from mcp_tool.serve import stdio

    pipes = stdio.take_pipes()
    served, watched, _ = _load(request)
    from mcp_tool.serve import watchdog

    async def run() -> None:
        async with watched.exporting(), served.running():
            with watchdog.watching() as watch:

                def ready() -> None:
                    guard.ready()
                    settle()
                    watch()

                await stdio.serve(served.server, pipes, ready, watched.calls.seen)

    asyncio.run(run())


def _serve_http(request: Request) -> int:
    from mcp_tool.serve.http import limits, shell
    from mcp_tool.serve.http import server as http
    from mcp_tool.serve.http.names import Names
    from mcp_tool.serve.http.ready import Readiness
    from mcp_tool.serve.observe import log

    sockets = http.inherited(request.descriptors) or (http.bind(request.host, request.port),)
    served, watched, asking = _load(request)
    config, settings = watched.config, watched.config.serve
    names = Names.of(request.host, settings.public_url, settings.allowed_hosts, settings.allowed_origins)
    inner = served.application(settings)
    outer = shell.Shell(
        watched.around(served.shortened(inner)),
        settings,
        names,
        None if asking is None else asking(served.scopes),
        served.scopes,
        limits.limiter(config, served.server.name),
        Readiness(config.dependencies, lambda: served.runner is not None and served.runner.worn),
        watched.calls.seen,
    )

    def ready() -> None:
        settle()
        log.info("listening", url=http.url(sockets[0], settings.path))

    def lost_threads() -> int:
        return 0 if served.runner is None else served.runner.lost

    async def run() -> int:
        async with watched.exporting(), watched.collected(outer.takes_requests, lost_threads), served.running():
            return await http.serve(
                outer,
                inner.router.lifespan_context(inner),
                sockets,
                served.close_listens,
                ready,
                handed_over=bool(request.descriptors),
            )

    with asyncio.Runner(loop_factory=http.new_loop) as runner:
        return runner.run(run())


def _load(request: Request) -> tuple["Served", "Seeing", "auth.Making | None"]:
    """Everything between the command line and the transport."""
    from mcp_tool.serve import stdio
    from mcp_tool.serve.observe import log

    stdio.AT_CUT_OFF.append(log.flush)
    ready = prepare(request)
    if ":" in ready.tool["entrypoint"]:
        return *load_wrapped(ready), ready.asking
    return *_load_app(ready), ready.asking


def prepare(request: Request, given: "Config | None" = None) -> Prepared:
    """Read what a server is told, and make the surroundings that the author's code is to find. Loads nothing of it.

    Args:
        request: What the command line, or whatever stands for it, asked for.
        given: The config, where it does not come in a file.

    Raises:
        StartProblem: A document cannot be read or understood, or a key or secret is missing.
    """
    gc.disable()  # collections during the imports find nothing and cost a twentieth of the start
    from mcp_tool import config as configuration
    from mcp_tool.serve import auth, environment
    from mcp_tool.serve.observe import log
    from mcp_tool.settings import Values

    # A wheel carries a config with [env], so that it runs where nobody deployed it; its client may say otherwise.
    beside = request.bundle / "config.json"
    config = given or configuration.load(request.config or (beside if beside.is_file() else None))
    log.configure(config.log.level)
    tool = _read_json(request.bundle / "tool.json", "the bundle", "build it again, or name another with --bundle")
    if remote := config.remote():
        from mcp_tool.serve.aws import store

        declared = tool.get("secrets") or {}
        optional = [config.secret(name) for name, one in declared.items() if not one.get("required", True)]
        store.fetch(remote, [reference for reference in optional if reference.is_remote])
    if request.transport == "stdio":
        log.keep(config.log, tool["name"], config.stage)
    # Before the author's code could look for the keys. Whoever starts a server on stdio is its one caller.
    asking = auth.prepare(config) if request.transport == "http" else None
    environment.open_paths(request.bundle)
    secrets = environment.enter(config, tool, defaults=given is None and request.config is None)
    log.describe(tool["name"], tool.get("version") or "", Values(os.environ, secrets).secret_texts())
    kept = request.bundle / "contract.json"
    contract = _read_json(kept, "the contract", "build the bundle again") if kept.exists() else None
    return Prepared(config, tool, contract, secrets, asking)


def _load_app(ready: Prepared) -> tuple["Served", "Seeing"]:
    from mcp_tool.serve.observe.seeing import seeing
    from mcp_tool.serve.sdk import server as sdk

    app = load_app(ready)
    contract = app.contract() if ready.contract is None else ready.contract
    watched = seeing(ready.config, ready.tool, contract)
    return sdk.serve_app(app, ready.tool, contract, ready.config, watched.calls), watched


def load_app(ready: Prepared) -> "App":
    """The author's code, imported and checked.

    Raises:
        EntrypointError: It cannot be imported, or declares nothing.
        ContractError: What it declares is wrong.
    """
    from mcp_tool.app import App
    from mcp_tool.running import THREADS

    settings = ready.config.serve
    threads = min(THREADS, settings.concurrency)
    return App.load(ready.tool, secrets=ready.secrets, timeout=settings.timeout, threads=threads)


def load_wrapped(ready: Prepared) -> tuple["Served", "Seeing"]:
    """A server that the author wrote with another library.

    Raises:
        EntrypointError: It cannot be imported, or there is no such object.
    """
    from mcp_tool.serve import author
    from mcp_tool.serve.observe.seeing import seeing
    from mcp_tool.serve.sdk import wrapped

    watched = seeing(ready.config, ready.tool, ready.contract)
    candidate = author.load_object(ready.tool["entrypoint"])
    return wrapped.serve_object(candidate, ready.tool, ready.config, watched.calls), watched


def _read_json(path: Path, name: str, fix: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartProblem(f"{name} has no {path.name}: {path}: {error.strerror}", fix) from None
    except ValueError as error:
        raise StartProblem(f"{path} is not JSON: {error}", fix) from None
    if not isinstance(document, dict):
        raise StartProblem(f"{path} is not a JSON object", fix)
    return document


def settle() -> None:
    """What was loaded stays: keep it out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _leave(code: int) -> NoReturn:
    """End the process in the ordinary way, so that exit handlers run, but not for longer than they may take."""
    from mcp_tool.serve import private
    from mcp_tool.serve.stdio import cut_off_after

    cut_off_after(_EXIT_HANDLERS, code)
    private.remove()
    raise SystemExit(code)
