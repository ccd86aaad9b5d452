"""What a platform does with an image: pull it, start it, wait for the first answer. Against the Dockerfile's."""

from __future__ import annotations

import itertools
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks.docker import Docker, absent, docker
from benchmarks.measure import Pair, Timer
from benchmarks.place import Place
from benchmarks.report import Figure, milliseconds
from benchmarks.sampled import context, sample, surroundings

_LIMIT = 60.0


def pulls(place: Place, runs: int) -> Iterator[Figure]:
    """Pull, start, first call answered; the base image is there. Nothing where this machine lacks what it takes."""
    if lacking := absent():
        print(f"pulls: left out: {lacking}", file=sys.stderr)
        return
    with ExitStack() as stack:
        running = stack.enter_context(docker(place))
        stack.enter_context(surroundings(place, running))
        made = sample(place)
        bundle = made.bundle()
        made.push(bundle, f"{running.registry}/pull/ours")
        names = {"ours": f"{running.registry}/pull/ours:{bundle.hash[:12]}"}
        for name, compiled in (("compiled", True), ("uncompiled", False)):
            names[name] = f"{running.registry}/pull/{name}:1"
            running.build(context(place, made, compiled=compiled), names[name])
            running.run("push", "--quiet", names[name])
        running.forget(*(name for side, name in names.items() if side != "ours"))
        timers = {side: _timer(running, name) for side, name in names.items()}
        for timer in timers.values():
            timer()
        rounds = [{side: timer() for side, timer in timers.items()} for _ in range(runs)]
    for side, bar in (("compiled", 1.0), ("uncompiled", 0.8)):
        yield _figure(f"pull + start to first answer / the Dockerfile's, {side}", rounds, side, bar)


def _figure(name: str, rounds: list[dict[str, float]], side: str, bar: float) -> Figure:
    pair = Pair.of([(one["ours"], one[side]) for one in rounds])
    return Figure(name, "x", pair.ratio, bar, f"{milliseconds(pair.ours)} / {milliseconds(pair.theirs)}")


def _timer(running: Docker, name: str) -> Timer:
    numbers = itertools.count()

    def once() -> float:
        container = f"{name.rsplit('/', maxsplit=1)[-1].partition(':')[0]}-{next(numbers)}"
        port = _free_port()
        started = time.perf_counter()
        running.run("pull", "--quiet", name)
        command = ["run", "--detach", "--network", "host", "--name", container, name]
        running.run(*command, "--transport", "http", "--host", "127.0.0.1", "--port", str(port))
        try:
            _answered(port, started + _LIMIT, lambda: running.said(container))
            return time.perf_counter() - started
        finally:
            running.run("rm", "--force", container)
            running.forget(name)

    return once


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answered(port: int, until: float, log: Callable[[], str]) -> None:
    """Until the server has answered a call."""
    from mcp_packager.verify import McpClient

    while time.perf_counter() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                client = McpClient(f"http://127.0.0.1:{port}/mcp", {})
                client.request("tools/call", {"name": "mean", "arguments": {"numbers": [1.0, 2.0, 6.0]}})
                return
        time.sleep(0.002)
    raise RuntimeError(f"the container did not answer in time: {log()[-2000:]}")
