"""Servers on one core, their client on another: this runtime with everything switched on, and its peers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.load import LEGACY, Address
from benchmarks.measure import environment
from benchmarks.place import PYTHON, ROOT, Place

_START: Final = 60.0
_KEY: Final = "benchmark-" + "k" * 40
BEARER: Final = {"authorization": f"Bearer {_KEY}"}

ECHO: Final = '''
from mcp_tool import Context, tool


@tool
async def echo(text: str) -> str:
    """Give a text back."""
    return text


@tool
async def steps(text: str, ctx: Context) -> str:
    """Give a text back after a word on the way."""
    await ctx.progress(1, 2)
    return text
'''
"""The same two tools as the peers offer."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens.

    Attributes:
        headers: What its clients have to show.
    """

    address: Address
    pid: int
    headers: Mapping[str, str]

    @property
    def resident(self) -> float:
        """MiB of memory that it holds."""
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, text=True, check=True)
        return int(told.stdout) / 1024

    @property
    def cpu(self) -> float:
        """Seconds of processor time that its threads used so far; 0 where the system does not say (Linux does)."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """This process, which is the client, on the last core; what it starts meanwhile by `_pinned` on the first."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _pinned(command: Sequence[str | Path]) -> list[str | Path]:
    if not hasattr(os, "sched_setaffinity"):
        return list(command)
    return ["taskset", "--cpu-list", "0", *command]


def switched_on(folder: Path, **serve: Any) -> dict[str, Any]:
    """The config with a bearer key, limits, logs, audit and metrics; `serve` says otherwise."""
    key = folder / "key"
    key.write_text(_KEY)
    settings = {
        "auth": {"mode": "bearer", "keys": [{"file": str(key)}]},
        "rate": {"calls": 10_000_000, "per": 1.0},
        "concurrency": 100,
        "max_body": 1024 * 1024,
    }
    return {
        "schema": 1,
        "serve": settings | serve,
        "metrics": {"host": "127.0.0.1", "port": 0},
        "log": {"level": "info", "audit": {"file": str(folder / "audit.jsonl")}},
    }


def bundle(folder: Path) -> Path:
    """A bundle of the two tools, with its contract; the packages are this interpreter's own."""
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "echo_tools.py").write_text(ECHO)
    tool = {"schema": 1, "name": "echo", "version": "1", "entrypoint": "echo_tools", "secrets": {}, "env": []}
    (folder / "tool.json").write_text(json.dumps(tool))
    extract: list[str | Path] = [PYTHON, "-m", "mcp_tool", "contract", "--bundle", folder]
    subprocess.run([*extract, "--output", folder / "contract.json"], env=environment(), check=True)
    return folder


@contextlib.contextmanager
def ours(place: Place, headers: Mapping[str, str] = BEARER, **serve: Any) -> Iterator[Running]:
    """This runtime, everything switched on."""
    folder = place.fresh()
    made = bundle(folder / "bundle")
    (folder / "config.json").write_text(json.dumps(switched_on(folder, **serve)))
    command: list[str | Path] = [PYTHON, "-m", "mcp_tool", "serve", "--bundle", made]
    command += ["--config", folder / "config.json"]
    with _listening([*command, "--transport", "http", "--fd"], folder, headers) as running:
        yield running


@contextlib.contextmanager
def peer(place: Place, name: str) -> Iterator[Running]:
    """One of `benchmarks.peers.PEERS`."""
    with _listening([PYTHON, "-m", "benchmarks.peers", name], place.fresh(), {}) as running:
        yield running


@contextlib.contextmanager
def _listening(command: Sequence[str | Path], folder: Path, headers: Mapping[str, str]) -> Iterator[Running]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        number = listening.fileno()
        line = _pinned([*command, str(number)])
        with (folder / "stderr").open("wb") as log:
            server = subprocess.Popen(
                line, pass_fds=[number], cwd=ROOT, env=environment(), stdout=log, stderr=subprocess.STDOUT
            )
        address = Address("127.0.0.1", listening.getsockname()[1])
    try:
        _await_answer(server, address, folder / "stderr")
        yield Running(address, server.pid, headers)
    finally:
        server.kill()
        server.wait()


def _await_answer(server: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    """Until it answers something: the socket listens from the beginning."""
    deadline = time.monotonic() + _START
    with socket.create_connection((address.host, address.port), timeout=_START) as probe:
        probe.sendall(f"GET /healthz HTTP/1.1\r\nhost: {address.host}\r\n\r\n".encode())
        probe.settimeout(0.1)
        while server.poll() is None and time.monotonic() < deadline:
            try:
                if probe.recv(1):
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                break
    raise RuntimeError(f"the server did not start ({server.poll()}): {log.read_text(errors='replace')[-2000:]}")


def piped(place: Place, tool: str, arguments: Mapping[str, Any], count: int) -> int:
    """How many of `count` calls, all written into one pipe before any answer is read, are answered."""
    folder = place.fresh()
    command: list[str | Path] = [PYTHON, "-m", "mcp_tool", "serve", "--bundle", bundle(folder / "bundle")]
    calls = [_message(number, "tools/call", {"name": tool, "arguments": arguments}) for number in range(1, count + 1)]
    with (folder / "stderr").open("wb") as log, _process(command, log) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(_message(0, "initialize", _HELLO))
        server.stdin.flush()
        json.loads(server.stdout.readline())
        server.stdin.write(b"".join([_INITIALIZED, *calls]))
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in calls]
    return len({answer["id"] for answer in answers if not answer.get("result", {}).get("isError", True)})


@contextlib.contextmanager
def _process(command: Sequence[str | Path], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=pipe, stdout=pipe, stderr=log) as server:
        try:
            yield server
        finally:
            server.kill()


def _message(identity: int, method: str, params: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": identity, "method": method, "params": params}).encode() + b"\n"


_HELLO: Final = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}
_INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
