"""Figures of images: what an edit, a cold build and no change at all cost, against Docker's two builders."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.delaying import delaying, in_a_row
from benchmarks.docker import Docker, absent, docker
from benchmarks.measure import Pair, Spread, Timer, paired, process
from benchmarks.place import PROGRAMS, PYTHON, Place
from benchmarks.report import Figure, milliseconds
from benchmarks.sampled import Sample, context, edited, lend_wheels, sample, surroundings

if TYPE_CHECKING:
    from mcp_packager.store import Store

_LATENCY: Final = 0.03
"""Seconds from here to the registry and back, where it is far away."""

_COLD_RUNS: Final = 3
"""At most: a cold build of a builder's takes its ten seconds."""


@dataclass(frozen=True)
class _Scene:
    """All that the figures are taken with. ``full`` and ``plain`` are contexts with and without bytecode."""

    place: Place
    docker: Docker
    sample: Sample
    uncompiled: Sample
    full: Path
    plain: Path


def images(place: Place, runs: int) -> Iterator[Figure]:
    """Everything about builds and pushes; nothing where this machine lacks what it takes."""
    if lacking := absent():
        print(f"images: left out: {lacking}", file=sys.stderr)
        return
    with ExitStack() as stack:
        running = stack.enter_context(docker(place))
        stack.enter_context(surroundings(place, running))
        made, uncompiled = sample(place), sample(place, bytecode=False)
        full, plain = context(place, made, compiled=True), context(place, uncompiled, compiled=False)
        lend_wheels(place, uncompiled, plain)
        scene = _Scene(place, running, made, uncompiled, full, plain)
        yield from _edit(scene, runs)
        yield from _far_away(scene, max(2, runs // 2))
        yield from _commands(scene, runs)
        yield from _cold(scene, min(_COLD_RUNS, max(1, runs // 3)))
        yield _layers(scene)


def _edit(scene: _Scene, runs: int) -> Iterator[Figure]:
    """A line edited: from the bundle to the image in the registry."""
    sides = {
        "ours": _ours_edited(scene, f"{scene.docker.registry}/edit/ours"),
        "BuildKit": _theirs_edited(scene, "buildkit", buildkit=True),
        "classic": _theirs_edited(scene, "classic", buildkit=False),
    }
    for side in sides.values():
        side()
    # The classic builder takes seconds, and its ratio is far from the bar: fewer runs do.
    few = max(2, runs // 2)
    quick = [(sides["ours"](), sides["BuildKit"]()) for _ in range(runs)]
    slow = [(sides["ours"](), sides["classic"]()) for _ in range(few)]
    name = "one line edited, bundle to pushed image / docker build + push"
    yield _ratio(f"{name} (classic)", Pair.of(slow), 0.06)
    yield _ratio(f"{name} (BuildKit)", Pair.of(quick), 0.4)


def _ours_edited(scene: _Scene, repository: str) -> Timer:
    def once() -> float:
        bundle = scene.sample.bundle(scene.sample.edit())
        started = time.perf_counter()
        scene.sample.push(bundle, repository)
        return time.perf_counter() - started

    return once


def _theirs_edited(scene: _Scene, name: str, *, buildkit: bool) -> Timer:
    reference = f"{scene.docker.registry}/edit/{name}:latest"

    def once() -> float:
        edited(scene.full, scene.sample.edit())
        started = time.perf_counter()
        scene.docker.build(scene.full, reference, buildkit=buildkit)
        scene.docker.run("push", "--quiet", reference)
        return time.perf_counter() - started

    return once


def _far_away(scene: _Scene, runs: int) -> Iterator[Figure]:
    """The same edit where the registry is 30 ms away."""
    rows: list[float] = []
    counts: list[float] = []
    near = _ours_edited(scene, f"{scene.docker.registry}/far/ours")
    with delaying(scene.docker.registry, _LATENCY) as proxy:
        repository = f"{proxy.address}/far/ours"

        def far() -> float:
            bundle = scene.sample.bundle(scene.sample.edit())
            before = len(proxy.log)
            started = time.perf_counter()
            scene.sample.push(bundle, repository)
            seconds = time.perf_counter() - started
            rows.append(in_a_row(proxy.log[before:]))
            counts.append(len(proxy.log) - before)
            return seconds

        pair = paired(far, near, runs)
        requests = Spread.of(counts[1:]).median
    yield Figure(
        "one line edited, registry 30 ms away: round trips in a row",
        "",
        Spread.of(rows[1:]),
        4,
        f"of {requests:.0f} requests; {milliseconds(pair.ours)}, and {milliseconds(pair.theirs)} where it is near",
    )


def _commands(scene: _Scene, runs: int) -> Iterator[Figure]:
    """Whole commands: an edit against importing the author's module, no change against ``check``."""
    env = _environment(scene)
    to = f"{scene.docker.registry}/command/ours"
    shares: list[Mapping[str, float]] = []
    sent: list[int] = []

    def build() -> float:
        started = time.perf_counter()
        command = _command(scene, "build", "--json", "--push", to)
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
        stages, blobs = _told(json.loads(done.stdout))
        shares.append({**stages, "interpreter and imports": seconds - sum(stages.values())})
        sent.append(blobs)
        return seconds

    def edit() -> float:
        scene.sample.write(scene.sample.edit())
        return build()

    tree = scene.full
    importing = env | {"PYTHONPATH": f"{tree / 'lib'}:{tree / 'code' / 'app'}"}
    pair = paired(edit, process([PYTHON, "-S", "-P", "-c", "import sample.tools"], env=importing), runs)
    told = f"{milliseconds(pair.ours)} - {milliseconds(pair.theirs)}; ms by stage: {_by_stage(shares[1:])}"
    name = "mcp-pack build --push, one line edited - importing the module"
    yield Figure(name, " s", pair.difference, 0.4, told)
    build()
    shares.clear()
    sent.clear()
    pair = paired(build, process(_command(scene, "check"), env=env), runs)
    told = f"{milliseconds(pair.ours)} - {milliseconds(pair.theirs)}; ms by stage: {_by_stage(shares[1:])}"
    yield Figure("mcp-pack build --push, unchanged - mcp-pack check", " s", pair.difference, 0.1, told)
    yield Figure("mcp-pack build --push, unchanged: blobs sent", "", Spread.of(sent), 0)


def _environment(scene: _Scene) -> dict[str, str]:
    config = str(scene.place.folder / "docker-config")
    return scene.place.env | {"MCP_PACK_REGISTRY_MIRROR": scene.docker.registry, "DOCKER_CONFIG": config}


def _command(scene: _Scene, *arguments: str) -> list[str | Path]:
    return [PROGRAMS / "mcp-pack", *arguments, "--project", scene.sample.project]


def _told(document: Mapping[str, object]) -> tuple[Mapping[str, float], int]:
    match document:
        case {"builds": [{"seconds": dict(seconds), "pushed": {"blobs": int(blobs)}}, *_]}:
            return {str(stage): float(value) for stage, value in seconds.items()}, blobs
        case _:
            raise ValueError(f"`mcp-pack build --push --json` tells something else: {json.dumps(document)[:500]}")


def _by_stage(shares: list[Mapping[str, float]]) -> str:
    medians = {stage: Spread.of([share.get(stage, 0.0) for share in shares]).median for stage in shares[-1]}
    return ", ".join(f"{stage} {seconds * 1000:.0f}" for stage, seconds in medians.items())


def _cold(scene: _Scene, runs: int) -> Iterator[Figure]:
    """Nothing built before, into a repository that is new."""
    numbers = itertools.count()

    def ours(of: Sample, kept: tuple[str, ...]) -> Callable[[], float]:
        def once() -> float:
            number = next(numbers)
            store = _store(scene, kept)
            started = time.perf_counter()
            of.push(of.bundle(of.edit(), store), f"{scene.docker.registry}/cold/ours-{number}", store)
            return time.perf_counter() - started

        return once

    def theirs(folder: Path, file: str) -> Callable[[], float]:
        def once() -> float:
            reference = f"{scene.docker.registry}/cold/theirs-{next(numbers)}:latest"
            scene.docker.forget()
            # A file of its own makes the layer another one, so that no registry has it already.
            for part in ("lib", "wheels") if (folder / "wheels").is_dir() else ("lib",):
                (folder / part / "cold").write_text(reference)
            started = time.perf_counter()
            scene.docker.build(folder, reference, file=file)
            scene.docker.run("push", "--quiet", reference)
            seconds = time.perf_counter() - started
            scene.docker.forget(reference)
            return seconds

        return once

    def by_turns(mine: Timer, other: Timer) -> Pair:
        mine()
        return Pair.of([(mine(), other()) for _ in range(runs)])

    wheels = ("wheels", "runtime")
    pair = by_turns(ours(scene.uncompiled, wheels), theirs(scene.plain, "Dockerfile"))
    yield _ratio("cold, wheels at hand, no bytecode / BuildKit, COPY of an installed folder", pair, 0.3)
    pair = by_turns(ours(scene.sample, (*wheels, "listed", "bytecode")), theirs(scene.full, "Dockerfile"))
    yield _ratio("cold, installed and compiled / BuildKit, COPY of such a folder", pair, 0.3)
    pair = by_turns(ours(scene.sample, wheels), theirs(scene.plain, "Dockerfile.pip"))
    yield _ratio("cold, wheels at hand, compiling / BuildKit, RUN pip", pair, 0.15)


def _store(scene: _Scene, kept: tuple[str, ...]) -> Store:
    """A new store with nothing but these kinds of the one that is warm."""
    from mcp_packager.store import Store

    warm, fresh = Store().root, scene.place.fresh() / "store"
    for kind in kept:
        shutil.copytree(warm / kind, fresh / kind, copy_function=shutil.copy2)
    return Store(fresh)


def _layers(scene: _Scene) -> Figure:
    """What is above the base, bytecode in both."""
    place = f"{scene.docker.registry}/sizes"
    bundle = scene.sample.bundle()
    scene.sample.push(bundle, f"{place}/ours")
    edited(scene.full, "")
    (scene.full / "lib" / "cold").unlink(missing_ok=True)
    scene.docker.build(scene.full, f"{place}/theirs:1")
    scene.docker.run("push", "--quiet", f"{place}/theirs:1")
    ours = scene.docker.above_the_base(f"{place}/ours:{bundle.hash[:12]}")
    theirs = scene.docker.above_the_base(f"{place}/theirs:1")
    note = f"{ours / 1e6:.1f} MB / {theirs / 1e6:.1f} MB"
    return Figure("layers above the base / the Dockerfile's", "x", Spread.of([ours / theirs]), 1.0, note)


def _ratio(name: str, pair: Pair, bar: float) -> Figure:
    return Figure(name, "x", pair.ratio, bar, f"{milliseconds(pair.ours)} / {milliseconds(pair.theirs)}")
