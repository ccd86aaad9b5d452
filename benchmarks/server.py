"""Starts the example's server from its bundle and waits for the first answer."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path

from benchmarks.measure import Timer
from benchmarks.pinned import BEARER, switched_on
from benchmarks.place import PYTHON, Place

LIMIT = 60.0


def bundle_of(place: Place) -> Path:
    """The bundle of the example as a folder, with bytecode, as a target would run it."""
    from mcp_packager.bundle import materialise
    from mcp_packager.pipeline.prepare import bundles, prepare
    from mcp_packager.pipeline.project import open_project
    from mcp_packager.pipeline.requests import Request
    from mcp_packager.progress import Silent

    project = open_project(Request(place.project))
    prepared = prepare(project.manifest, project.aims, locked=False, progress=Silent())
    made = bundles(prepared, project.aims[0], progress=Silent())
    folder = place.folder / "bundle"
    materialise(next(iter(made.values())), folder)
    return folder


def first_answer(place: Place, bundle: Path) -> Timer:
    """A timer from the start of a server that has everything switched on to the answer of its first call."""
    from mcp_packager.verify import McpClient

    config = place.fresh() / "config.json"
    config.write_text(json.dumps(switched_on(config.parent)))
    env = place.env | {"PYTHONPATH": f"{bundle / 'lib'}:{bundle / 'app'}"}

    def once() -> float:
        port = _free_port()
        where: list[str | Path] = [
            "--transport",
            "http",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--config",
            config,
        ]
        command: list[str | Path] = [PYTHON, "-S", "-P", "-m", "mcp_tool", "serve", "--bundle", bundle, *where]
        started = time.perf_counter()
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as server:
            try:
                _wait(server, port, started + LIMIT)
                client = McpClient(f"http://127.0.0.1:{port}/mcp", BEARER)
                client.request("tools/call", {"name": "count", "arguments": {"text": "one two three"}})
                return time.perf_counter() - started
            finally:
                server.kill()

    return once


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], port: int, until: float) -> None:
    while time.perf_counter() < until:
        if server.poll() is not None:
            said = server.stderr.read().decode(errors="replace")[-2000:] if server.stderr else ""
            raise RuntimeError(f"the server ended ({server.returncode}): {said}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.002)
    raise RuntimeError("the server did not listen in time")
