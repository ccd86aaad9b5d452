"""Figures of Kubernetes: what an unchanged tool and a hundred tools cost, in a cluster that runs Pods."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from benchmarks.docker import MINOR, absent, docker
from benchmarks.measure import Spread
from benchmarks.place import PROGRAMS, Place
from benchmarks.report import Figure
from benchmarks.sampled import Sample, sample, surroundings
from tests import real_parts
from tests.cluster import cluster as clusters
from tests.cluster.cluster import Cluster
from tests.containers import bases
from tests.index import server, wheelhouse

_TOOLS: Final = 100
_MANIFEST: Final = """
[scale]
min = 1
max = 1

[serve]
drain = "1s"

[target.kubernetes]
registry = "{registry}/ours"
namespace = "ours"
start_timeout = "240s"
"""
_KINDS: Final = "serviceaccounts,configmaps,secrets,services,deployments,networkpolicies,poddisruptionbudgets"
_WORKSPACE: Final = """
[workspace]
project = "many"
targets = ["kubernetes"]
[defaults.target.kubernetes]
registry = "{registry}/many"
namespace = "many"
"""
_TOOL: Final = """\
from mcp_tool import tool


@tool
def greet(name: str) -> str:
    \"\"\"Greet somebody.\"\"\"
    return f"hello, {name}! This is NAME."
"""


@dataclass(frozen=True)
class _Scene:
    """A cluster, and the environment of commands that know of it."""

    place: Place
    cluster: Cluster
    env: Mapping[str, str]

    def pack(self, project: Path, *arguments: str) -> Any:
        """What a command of ``mcp-pack`` prints as JSON."""
        return _done([PROGRAMS / "mcp-pack", *arguments, "--json", "--project", project], self.env)


def kubernetes(place: Place, runs: int) -> Iterator[Figure]:
    """Everything; nothing where this machine lacks what it takes."""
    lacking = absent() or real_parts.missing("own-cluster")
    if lacking:
        print(f"kubernetes: left out: {lacking}", file=sys.stderr)
        return
    with ExitStack() as stack:
        running = stack.enter_context(docker(place))
        cluster = stack.enter_context(clusters.running())
        bases.push(cluster.registry, MINOR)
        stack.enter_context(patch.dict(os.environ))  # as it was, afterwards
        # Where this runs there may be no other network than the cluster's.
        os.environ["UV_DEFAULT_INDEX"] = stack.enter_context(server.serving(wheelhouse.wheels()))
        more = {"KUBECONFIG": str(cluster.kubeconfig), "MCP_PACK_REGISTRY_MIRROR": cluster.registry}
        os.environ |= {"KUBECONFIG": str(cluster.kubeconfig)}
        env = place.env | more | {"DOCKER_CONFIG": str(place.folder / "docker-config")}
        scene = _Scene(place, cluster, env)
        yield from _many(scene, max(2, runs // 2))
        stack.enter_context(surroundings(place, running))
        made = sample(place)
        with (made.project / "mcp-tool.toml").open("a") as manifest:
            manifest.write(_MANIFEST.format(registry=cluster.registry))
        scene.pack(made.project, "deploy", "--target", "kubernetes", "--yes")
        yield from _unchanged(scene, made, runs)


def _many(scene: _Scene, runs: int) -> Iterator[Figure]:
    """A workspace of a hundred tools, planned with everything at hand."""
    root = scene.place.fresh()
    (root / "mcp-workspace.toml").write_text(_WORKSPACE.format(registry=scene.cluster.registry))
    for number in range(_TOOLS):
        name = f"tool-{number:03}"
        (root / name).mkdir()
        (root / name / "server.py").write_text(_TOOL.replace("NAME", name))
        (root / name / "mcp-tool.toml").write_text(
            f'[tool]\nname = "{name}"\nentrypoint = "server"\n[target.kubernetes]\n'
        )
    line: list[str | Path] = [PROGRAMS / "mcp-pack", "plan", "--all", "--quiet", "--project", root]
    _peak(line, scene.env)
    told = [_peak(line, scene.env) for _ in range(runs)]
    used = Spread.of([one[2] for one in told]).median
    note = f"nothing deployed yet; {used:.2f} s of the processors"
    yield Figure(f"mcp-pack plan --all, {_TOOLS} tools, warm", " s", Spread.of([one[0] for one in told]), 5, note)
    yield Figure("the same, memory at its peak", " MB", Spread.of([one[1] for one in told]), 500)


def _peak(line: list[str | Path], env: Mapping[str, str]) -> tuple[float, float, float]:
    """Seconds of a command, the most memory in MB that it had at a time, and the processors' seconds."""
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(line, env=dict(env), stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode:
            raise RuntimeError(said.read().decode(errors="replace")[-2000:])
    return seconds, used.ru_maxrss * 1024 / 1e6, used.ru_utime + used.ru_stime


def _unchanged(scene: _Scene, made: Sample, runs: int) -> Iterator[Figure]:
    """A deploy that changes nothing, in process: what it asks the API server, and how long it takes."""
    from mcp_packager.pipeline.deploy import deploy
    from mcp_packager.pipeline.requests import Request
    from mcp_targets._kube import client

    asked: list[tuple[str, str]] = []
    seconds: list[float] = []
    send = client.Api.send

    def noted(self: client.Api, method: str, path: str, **others: Any) -> Any:
        asked.append((method, path))
        return send(self, method, path, **others)

    client.Api.send = noted  # type: ignore[method-assign]  # seen from outside, as nothing of it is told
    try:
        for _ in range(runs + 1):
            asked.clear()
            started = time.perf_counter()
            (report,) = deploy(Request(made.project, targets=("kubernetes",)))
            seconds.append(time.perf_counter() - started)
            if report.changed:
                raise RuntimeError("an unchanged tool was changed")
    finally:
        client.Api.send = send  # type: ignore[method-assign]  # as above
    objects = len(scene.cluster.get(_KINDS, "-n", "ours", "-l", "mcp-pack/tool=sample")["items"])
    each = Spread.of(seconds[1:]).median / objects * 1000
    writes = sorted({f"{method} {path}" for method, path in asked if method != "GET"})
    note = f"{len(asked)} requests; {objects} objects, {each:.0f} ms each"
    yield Figure("an unchanged tool deployed, in process", " s", Spread.of(seconds[1:]), None, note)
    yield Figure("the same: requests that write", "", Spread.of([len(writes)]), 0, ", ".join(writes))


def _done(line: list[str | Path], env: Mapping[str, str]) -> Any:
    done = subprocess.run(line, env=dict(env), capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, line))}\n{(done.stderr or done.stdout).decode(errors='replace')[-2000:]}"
        )
    return json.loads(done.stdout)
