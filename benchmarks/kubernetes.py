"""Figures of Kubernetes: what an unchanged tool, a hundred tools and an edit cost, in a cluster that runs Pods."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from benchmarks.docker import MINOR, Docker, absent, docker
from benchmarks.load import Address, modern_call
from benchmarks.measure import Pair, Spread
from benchmarks.place import PROGRAMS, Place
from benchmarks.pods import Pod, Watch
from benchmarks.report import Figure, milliseconds
from benchmarks.sampled import Sample, context, edited, sample, surroundings
from tests import real_parts
from tests.cluster import cluster as clusters
from tests.cluster.api import Api
from tests.cluster.cluster import Cluster
from tests.containers import bases
from tests.index import server, wheelhouse

_TOOLS: Final = 100
_PORT: Final = 8000
_LIMIT: Final = 300.0
"""Seconds in which a new Pod must answer, on however busy a machine."""
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

[stage.theirs.target.kubernetes]
namespace = "theirs"
"""
_EDITION: Final = """

@tool
def edition() -> int:
    \"\"\"Tell the edition.\"\"\"
    return {number}
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
    """A cluster, a daemon of Docker's, and the sample deployed by us and by ``kubectl``."""

    place: Place
    cluster: Cluster
    docker: Docker
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
        scene = _Scene(place, cluster, running, env)
        yield from _many(scene, max(2, runs // 2))
        stack.enter_context(surroundings(place, running))
        made = sample(place)
        with (made.project / "mcp-tool.toml").open("a") as manifest:
            manifest.write(_MANIFEST.format(registry=cluster.registry))
        made = _with_an_edition(made)
        scene.pack(made.project, "deploy", "--target", "kubernetes", "--yes")
        yield from _unchanged(scene, made, runs)
        yield from _edit(scene, made, max(2, runs // 2))


def _with_an_edition(made: Sample) -> Sample:
    """The sample read anew with one tool more, so that its bundles know of it."""
    from mcp_packager.pipeline.prepare import prepare
    from mcp_packager.pipeline.project import open_project
    from mcp_packager.pipeline.requests import Request
    from mcp_packager.progress import Silent

    made.write(_EDITION.format(number=0))
    opened = open_project(Request(made.project, targets=("docker",)))
    return replace(made, prepared=prepare(opened.manifest, opened.aims, locked=False, progress=Silent()))


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


def _edit(scene: _Scene, made: Sample, runs: int) -> Iterator[Figure]:
    """One line edited, until a new Pod answers; then the same objects by ``docker build``, ``push`` and ``kubectl``."""
    theirs = _theirs(scene, made)
    numbers = itertools.count(1)
    runs_of: dict[str, list[_Run]] = {"ours": [], "theirs": []}
    watches = {side: Watch(scene.cluster.kubeconfig, side) for side in runs_of}

    def ours(number: int) -> float:
        run = _ours(scene, made, number, watches["ours"])
        runs_of["ours"].append(run)
        return run.seconds

    def them(number: int) -> float:
        run = theirs(number, watches["theirs"])
        runs_of["theirs"].append(run)
        return run.seconds

    for side in (ours, them):
        side(next(numbers))
    pair = Pair.of([(ours(next(numbers)), them(next(numbers))) for _ in range(runs)])
    told = "; ".join(f"{side}: {_by_share([run.shares for run in ran[1:]])}" for side, ran in runs_of.items())
    note = f"{milliseconds(pair.ours)} / {milliseconds(pair.theirs)}; {told}"
    yield Figure(
        "one line edited to new Pod answering / docker build + push + kubectl apply", "x", pair.ratio, 0.7, note
    )
    both = zip(runs_of["ours"][1:], runs_of["theirs"][1:], strict=True)
    first = Pair.of([(mine.verified, other.seconds) for mine, other in both])
    note = f"{milliseconds(first.ours)} / {milliseconds(first.theirs)}"
    yield Figure("the same, until ours has verified its candidate, a new Pod too", "x", first.ratio, None, note)
    whole = Spread.of([run.whole for run in runs_of["ours"][1:]])
    yield Figure("the whole deploy, verified twice", " s", whole, None)


@dataclass(frozen=True)
class _Run:
    """Seconds from an edit on: until a new Pod answers, until the candidate is verified, until the command ends."""

    seconds: float
    verified: float
    whole: float
    shares: Mapping[str, float]
    """What ``seconds`` are made of, by name."""


def _ours(scene: _Scene, made: Sample, number: int, watch: Watch) -> _Run:
    """Edit and deploy."""
    made.write(_EDITION.format(number=number))
    words = ("deploy", "--target", "kubernetes", "--yes", "--json", "--project")
    line: list[str | Path] = [PROGRAMS / "mcp-pack", *words, made.project]
    started = time.perf_counter()
    with subprocess.Popen(line, env=dict(scene.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        answered = _until_answered(scene.cluster, "ours", number, lambda: not process.poll())
        said, complaint = process.communicate()
    ended = time.perf_counter()
    if process.returncode:
        raise RuntimeError(complaint.decode(errors="replace")[-2000:])
    prepare: float = json.loads(said)["deployments"][0]["seconds"].get("prepare", 0.0)
    candidate, turned = watch.candidate(started), watch.turned(started)
    shares = {
        "build and judging": candidate.told["made"] - started - prepare,
        "push and objects": prepare,
        **_steps("candidate", watch, candidate),
        "candidate verified": turned - candidate.told["ready"],
        **_rollout(watch, turned, answered),
    }
    return _Run(answered - started, turned - started, ended - started, shares)


def _rollout(watch: Watch, turned: float, answered: float) -> dict[str, float]:
    """From the change of a Deployment until its new Pod answers, step by step."""
    pod = watch.server(turned)
    return {
        "Pod made": pod.told["made"] - turned,
        **_steps("Pod", watch, pod),
        "Pod answering": answered - pod.told["ready"],
    }


def _steps(what: str, watch: Watch, pod: Pod) -> dict[str, float]:
    """Shares of a new Pod's start; the pull is told apart from the rest of what comes before it runs."""
    shares, pulled = pod.shares(), watch.pulled(pod)
    shares = {"scheduled": shares["scheduled"], "pulled": pulled, **shares, "running": shares["running"] - pulled}
    return {f"{what} {step}": seconds for step, seconds in shares.items()}


def _by_share(shares: list[Mapping[str, float]]) -> str:
    medians = {name: Spread.of([one.get(name, 0.0) for one in shares]).median for name in shares[-1]}
    return ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in medians.items() if seconds >= 0.02)


def _theirs(scene: _Scene, made: Sample) -> Callable[[int, Watch], _Run]:
    """The sample's Dockerfile and the objects that ``mcp-pack build`` writes, by hand."""
    folder = context(scene.place, made, compiled=True)
    output = scene.place.fresh() / "out"
    scene.pack(made.project, "build", "--target", "kubernetes", "--stage", "theirs", "--output", str(output))
    manifests = sorted((output / "kubernetes" / "manifests").glob("*.yaml"))
    (image,) = {line.split()[-1] for file in manifests for line in file.read_text().splitlines() if " image: " in line}
    kubectl = scene.cluster.kubectl
    kubectl("apply", "--server-side", "-f", str(next(file for file in manifests if "namespace" in file.name)))
    # The one Secret that the objects expect, as the file beside them says.
    (key,) = re.findall(
        r"^kubectl create secret generic (\S+)", (output / "kubernetes" / "SECRETS.md").read_text(), re.MULTILINE
    )
    kubectl(
        "create", "secret", "generic", key, "--namespace", "theirs", f"--from-literal=value={secrets.token_hex(32)}"
    )

    def once(number: int, watch: Watch) -> _Run:
        edited(folder, _EDITION.format(number=number))
        name = f"{scene.cluster.registry}/theirs/sample:{number}"
        moments = [time.perf_counter()]
        scene.docker.build(folder, name)
        moments.append(time.perf_counter())
        scene.docker.run("push", "--quiet", name)
        moments.append(time.perf_counter())
        objects = "\n---\n".join(file.read_text().replace(image, name) for file in manifests)
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=objects)
        answered = _until_answered(scene.cluster, "theirs", number)
        started, built, pushed = moments
        turned = watch.turned(pushed)
        shares = {"build": built - started, "push": pushed - built, "kubectl apply": turned - pushed}
        seconds = answered - started
        return _Run(seconds, seconds, seconds, {**shares, **_rollout(watch, turned, answered)})

    return once


def _until_answered(
    cluster: Cluster, namespace: str, number: int, may_come: Callable[[], bool] = lambda: True
) -> float:
    """When a Pod that the Service leads to first answered with that edition, by the clock of ``time.perf_counter``."""
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    api, deadline = Api(cluster.kubeconfig), time.perf_counter() + _LIMIT
    while time.perf_counter() < deadline and may_come():
        for one in api.items(slices):
            name = f"{one['metadata']['labels']['kubernetes.io/service-name']}.{namespace}.svc.cluster.local"
            ready = [each for each in one.get("endpoints") or () if each["conditions"].get("ready")]
            if any(_answer(each["addresses"][0], name) == number for each in ready):
                return time.perf_counter()
        time.sleep(0.02)
    raise RuntimeError(f"nobody in {namespace} answers with edition {number}")


def _answer(address: str, name: str) -> int | None:
    asked = modern_call(Address(name, 80), "edition", {}, headers={"host": name, "connection": "close"})
    try:
        with socket.create_connection((address, _PORT), 5) as connection:
            connection.sendall(asked)
            answered = b"".join(iter(lambda: connection.recv(65536), b""))
        return int(json.loads(answered.partition(b"\r\n\r\n")[2])["result"]["structuredContent"]["result"])
    except (OSError, ValueError, KeyError):
        return None


def _done(line: list[str | Path], env: Mapping[str, str]) -> Any:
    done = subprocess.run(line, env=dict(env), capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, line))}\n{(done.stderr or done.stdout).decode(errors='replace')[-2000:]}"
        )
    return json.loads(done.stdout)
