"""The front that holds a port: bytes both ways, a switch that breaks nothing, a server that is away for a while."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mcp_tool import front
from tests.image.registries import free_port

Running = tuple[int, Path, "subprocess.Popen[bytes]"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    port = free_port()
    process = _start(port, tmp_path)
    yield port, tmp_path, process
    process.kill()
    process.wait()


def _start(port: int, state: Path) -> subprocess.Popen[bytes]:
    line = [
        sys.executable,
        "-S",
        "-m",
        "mcp_tool.front",
        "serve",
        "--listen",
        f"127.0.0.1:{port}",
        "--state",
        str(state),
    ]
    library = str(Path(front.__file__).parents[1])
    process = subprocess.Popen([*line, "--state", str(state)], env={"PYTHONPATH": library})
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process
        assert process.poll() is None
        signal.sigtimedwait([], 0.02)
    raise AssertionError("no front")


@contextlib.asynccontextmanager
async def server(word: bytes) -> AsyncIterator[int]:
    """Answers every line with its word and the line; at the end it closes what is open, as a server does."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while line := await reader.readline():
            writer.write(word + b" " + line)
            await writer.drain()
        writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield made.sockets[0].getsockname()[1]
    made.close()
    for writer in writers:
        await ended(writer)


async def ended(writer: asyncio.StreamWriter) -> None:
    """Close it, and come back when it is closed: nothing is left to a loop that ends."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def said(port: int, line: bytes = b"hello\n") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(line)
    answer = await asyncio.wait_for(reader.readline(), 15)
    await ended(writer)
    return answer


def test_a_switch_moves_new_connections_and_leaves_the_open_one(
    running: Running,
) -> None:
    port, state, _ = running

    async def go() -> None:
        async with server(b"one") as one, server(b"two") as two:
            front.ask(state, {"switch": f"127.0.0.1:{one}"})
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"first\n")
            assert await reader.readline() == b"one first\n"
            told = front.ask(state, {"switch": f"127.0.0.1:{two}"})
            assert told["upstream"] == f"127.0.0.1:{two}"
            # The connection that saw the front come up went to a server too, and is gone when that one noticed.
            for _ in range(500):
                if front.ask(state, {})["open"] == {f"127.0.0.1:{one}": 1}:
                    break
                await asyncio.sleep(0.02)
            assert front.ask(state, {})["open"] == {f"127.0.0.1:{one}": 1}
            writer.write(b"second\n")
            assert await reader.readline() == b"one second\n"
            assert await said(port) == b"two hello\n"
            await ended(writer)

    asyncio.run(go())


def test_a_request_to_a_server_that_clients_left_is_the_last_of_its_connection(running: Running) -> None:
    port, state, _ = running
    request = b"POST /mcp HTTP/1.1\r\nHost: here\r\n\r\n"

    async def go() -> None:
        async with server(b"one") as one, server(b"two") as two:
            front.ask(state, {"switch": f"127.0.0.1:{one}"})
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

            async def heard(lines: int) -> list[bytes]:
                writer.write(request)
                return [(await asyncio.wait_for(reader.readline(), 15))[4:] for _ in range(lines)]

            assert b"".join(await heard(3)) == request
            front.ask(state, {"switch": f"127.0.0.1:{two}"})
            line, rest = request.split(b"\r\n", 1)
            assert b"".join(await heard(4)) == line + b"\r\nConnection: close\r\n" + rest
            await ended(writer)

    asyncio.run(go())


def test_a_connection_waits_for_a_server_that_is_away(running: Running) -> None:
    port, state, _ = running

    async def go() -> None:
        away = free_port()
        front.ask(state, {"switch": f"127.0.0.1:{away}"})
        waiting = asyncio.create_task(said(port))
        await asyncio.sleep(0)
        async with server(b"back") as back:
            front.ask(state, {"switch": f"127.0.0.1:{back}"})
            assert await waiting == b"back hello\n"

    asyncio.run(go())


def test_a_client_learns_at_once_that_its_server_closed(running: Running) -> None:
    port, state, _ = running

    async def go() -> None:
        async with server(b"one") as one:
            front.ask(state, {"switch": f"127.0.0.1:{one}"})
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x\n")
            assert await reader.readline() == b"one x\n"
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await ended(writer)

    asyncio.run(go())


def test_much_passes_both_ways(running: Running) -> None:
    port, state, _ = running
    sent = b"".join(b"%0999d\n" % number for number in range(5_000))

    async def go() -> None:
        async with server(b"") as one:
            front.ask(state, {"switch": f"127.0.0.1:{one}"})
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)

            async def send() -> None:
                writer.write(sent)
                await writer.drain()
                writer.write_eof()

            _, got = await asyncio.gather(send(), asyncio.wait_for(reader.read(), 30))
            assert got == b"".join(b" " + line for line in sent.splitlines(keepends=True))
            await ended(writer)

    asyncio.run(go())


def test_what_was_said_outlives_a_restart(running: Running) -> None:
    port, state, process = running

    async def go() -> None:
        async with server(b"one") as one:
            front.ask(state, {"switch": f"127.0.0.1:{one}"})
            process.kill()
            process.wait()
            again = _start(port, state)
            try:
                assert await said(port) == b"one hello\n"
            finally:
                again.kill()
                again.wait()

    asyncio.run(go())


def test_it_ends_when_told_to(running: Running) -> None:
    _, _, process = running
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0


@pytest.mark.parametrize("order", ["nonsense", "host:", ":1", "host:port"])
def test_an_order_that_makes_no_sense_is_refused(running: Running, order: str) -> None:
    _, state, _ = running
    assert "error" in front.ask(state, {"switch": order})
    assert front.ask(state, {})["upstream"] == ""


def test_the_commands(tmp_path: Path, running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    _, state, _ = running
    assert front.main(["switch", "--state", str(state), "127.0.0.1:9"]) == 0
    assert front.main(["show", "--state", str(state)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["upstream"] == "127.0.0.1:9"
    assert front.main(["show", "--state", str(tmp_path / "none")]) == 1
    assert "no front runs here" in capsys.readouterr().out
