"""``mcp-pack run``: the tool in the foreground, from its locked environment and the files as they are saved."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from mcp_packager import launch
from mcp_packager.bundle import environment, import_root
from mcp_packager.errors import Problem, TerminatedError, UserError
from mcp_packager.interpreters import Interpreter, find, host_platform
from mcp_packager.lock import ensure
from mcp_packager.manifest import Manifest, load
from mcp_packager.pipeline.requests import Request
from mcp_packager.pipeline.saved import LOOK_EVERY, differing, saved
from mcp_packager.progress import Progress
from mcp_packager.store import Store
from mcp_packager.target import (
    Exposure,
    auth_problems,
    auth_warning,
    base_config,
    with_secrets,
    with_services,
)

GRACE = 10.0
"""Seconds that a server gets to end before it is killed; twice what it promises for stdio."""


@dataclass(frozen=True)
class _Asking:
    """How it is to be served, and who can then reach it; ``None``: only whoever starts it."""

    arguments: tuple[str, ...]
    exposure: Exposure | None


@dataclass(frozen=True)
class _Server:
    """One way to start the server."""

    command: list[str]
    environment: dict[str, str]


def run(request: Request, *, transport: str, host: str = "127.0.0.1", port: int = 8000, reload: bool = False) -> int:
    """Serve until the user stops it; 0 where the server ended orderly, after Ctrl-C and SIGTERM too, else 1.

    With ``reload`` the server is started again after a file of the project changed. A version that does not start
    is reported by the server itself, and the next save tries again.

    Raises:
        KeyboardInterrupt: it came before anything was served.
        UserError: manifest or dependencies are wrong, or ``reload`` is asked of stdio, whose client would be cut off.
    """
    if reload and transport == "stdio":
        raise UserError(
            Problem("--reload cannot restart a stdio server: its client holds the pipes", "use --transport http")
        )
    asking = _Asking(("--transport", transport, "--host", host, "--port", str(port)), _exposure(transport, host))
    with Store().scratch() as folder:
        if not reload:
            return _foreground(_prepare(request, folder, asking))
        return _reloading(request, folder, asking)


def _exposure(transport: str, host: str) -> Exposure | None:
    """Who can reach it; over stdio only whoever started it."""
    if transport == "stdio":
        return None
    try:
        return Exposure.LOOPBACK if ip_address(host).is_loopback else Exposure.NETWORK
    except ValueError:
        return Exposure.LOOPBACK if host == "localhost" else Exposure.NETWORK


def _prepare(request: Request, folder: Path, asking: _Asking) -> _Server:
    """Write what the server reads beside its code, and say how it starts."""
    manifest = load(request.project, request.stage)
    config = _config(manifest, asking.exposure)
    if asking.exposure is not None:
        _judge(manifest, asking.exposure, config, request.progress)
    interpreter = find(manifest.tool.python)
    platform = host_platform(interpreter)
    lock = ensure(
        manifest,
        [(platform, interpreter)],
        locked=request.locked,
        extras=manifest.extras,
        progress=request.progress,
    )
    library = environment(lock, platform, interpreter=interpreter, progress=request.progress)
    (folder / "tool.json").write_text(json.dumps(manifest.tool_document()), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return _Server(
        _command(interpreter, folder, asking.arguments),
        launch.environment(library, import_root(manifest.project), os.environ),
    )


def _command(interpreter: Interpreter, folder: Path, arguments: tuple[str, ...]) -> list[str]:
    config = str(folder / "config.json")
    return launch.command(interpreter.path, "serve", "--bundle", str(folder), "--config", config, *arguments)


def _judge(manifest: Manifest, exposure: Exposure, config: dict[str, Any], progress: Progress) -> None:
    if problems := auth_problems(manifest, exposure, "run"):
        raise UserError(problems)
    if warning := auth_warning(config["serve"]["auth"], exposure):
        progress.note(warning)


def _config(manifest: Manifest, exposure: Exposure | None) -> dict[str, Any]:
    """As on the target ``local``, with secrets where they are: nothing is copied."""
    config = base_config(manifest, "local", exposure or Exposure.LOOPBACK)
    secrets: dict[str, Any] = {}
    for name, secret in manifest.secrets.items():
        scheme, rest = secret.source(name)
        match scheme:
            case "env":
                secrets[name] = {"env": rest}
            case "file":
                secrets[name] = {"file": str((manifest.project / Path(rest).expanduser()).absolute())}
            case _:
                secrets[name] = {"env": name}
    outside = {name: service for name, service in manifest.services.items() if service.external}
    addresses = {name: service.external or "" for name, service in outside.items()}
    if config["log"]["audit"] == "file":
        config = {**config, "log": {"audit": "stderr"}}  # in the foreground it is where everything else is
    reached = with_services(config, manifest.model_copy(update={"services": outside}), addresses)
    return with_secrets(reached, secrets)


def _foreground(server: _Server) -> int:
    """Run it to its end. Ctrl-C reaches the server through the terminal, SIGTERM through us; we wait for its end."""
    with subprocess.Popen(server.command, env=server.environment) as process:
        while True:
            try:
                code = process.wait()
            except TerminatedError:
                process.terminate()
                continue
            except KeyboardInterrupt:
                continue
            return 0 if code in {0, -signal.SIGINT, -signal.SIGTERM} else 1


def _reloading(request: Request, folder: Path, asking: _Asking) -> int:
    seen = dict(saved(request.project))
    process = _try(request, folder, asking)
    try:
        while True:
            time.sleep(LOOK_EVERY)
            now = dict(saved(request.project))
            if now != seen:
                request.progress.note(f"changed: {', '.join(differing(seen, now)[:5])}; starting again")
                seen = now
                _end(process)
                process = _try(request, folder, asking)
    except KeyboardInterrupt:
        return 0
    finally:
        _end(process)


def _try(request: Request, folder: Path, asking: _Asking) -> subprocess.Popen[bytes] | None:
    """Start it; what is wrong with the project is said, and waits for the next save."""
    try:
        server = _prepare(request, folder, asking)
    except UserError as error:
        request.progress.note(str(error))
        return None
    return subprocess.Popen(server.command, env=server.environment, start_new_session=True)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
