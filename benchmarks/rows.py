"""The figures. Each row takes its place and the number of runs, and yields figures."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from benchmarks import throughput
from benchmarks.images import images
from benchmarks.kubernetes import kubernetes
from benchmarks.lambda_ import functions
from benchmarks.measure import Pair, Spread, Timer, paired, process, single
from benchmarks.place import PROGRAMS, PYTHON, Place
from benchmarks.pulls import pulls
from benchmarks.report import Figure, milliseconds
from benchmarks.server import bundle_of, first_answer

Row = Callable[[Place, int], Iterator[Figure]]


def command_line(place: Place, runs: int) -> Iterator[Figure]:
    """``mcp-pack --help`` and ``check`` as whole processes."""
    env = place.env
    bare = process([PYTHON, "-c", "pass"], env=env)
    overview = process([PROGRAMS / "mcp-pack", "--help"], env=env)
    pair = paired(overview, bare, runs * 2)
    yield _ratio("mcp-pack --help / python -c pass", pair, 6)
    pair = paired(overview, process([PROGRAMS / "fastmcp", "--help"], env=env), runs)
    yield _ratio("mcp-pack --help / fastmcp --help", pair, 0.3)
    pair = paired(process(place.pack("check"), env=env), bare, runs)
    yield _ratio("mcp-pack check (warm) / python -c pass", pair, None)


def imports(place: Place, runs: int) -> Iterator[Figure]:
    """``import mcp_tool`` above bare Python."""
    pair = paired(
        process([PYTHON, "-c", "import mcp_tool"], env=place.env),
        process([PYTHON, "-c", "pass"], env=place.env),
        runs * 2,
    )
    note = f"{milliseconds(pair.ours)} - {milliseconds(pair.theirs)}"
    yield Figure("import mcp_tool - python -c pass", " ms", pair.difference.scaled(1000), 30, note)


def builds(place: Place, runs: int) -> Iterator[Figure]:
    """``mcp-pack build`` of the example: from nothing, unchanged, after a one-line edit."""
    cold_runs = max(1, runs // 4)
    lock = place.project / "mcp-tool.lock"

    def resolve() -> float:
        lock.unlink(missing_ok=True)
        return process(place.pack("lock"), env=place.emptied())()

    def build() -> float:
        lock.unlink(missing_ok=True)
        return process(place.pack("build"), env=place.emptied())()

    cold = Spread.of([resolve() for _ in range(cold_runs)])
    yield Figure("mcp-pack lock, nothing fetched yet", " s", cold, None, "resolve from the package index")
    cold = Spread.of([build() for _ in range(cold_runs)])
    yield Figure("mcp-pack build, nothing fetched yet", " s", cold, None, "resolve, fetch, compile, bundle")
    yield _build("mcp-pack build, unchanged", place, runs, 1.0, lambda: None)
    numbers = itertools.count()
    original = place.edited.read_text()

    def edit() -> None:
        place.edited.write_text(f"{original}\nEDITED = {next(numbers)}\n")

    yield _build("mcp-pack build, one line edited", place, runs, 1.5, edit)
    place.edited.write_text(original)


def _build(name: str, place: Place, runs: int, bar: float, before: Callable[[], None]) -> Figure:
    shares: list[Mapping[str, float]] = []

    def once() -> float:
        before()
        started = time.perf_counter()
        command = place.pack("build", "--json")
        done = subprocess.run(command, env=place.env, capture_output=True, check=True)
        seconds = time.perf_counter() - started
        shares.append(_stages(json.loads(done.stdout)))
        return seconds

    spread = single(once, runs)
    stages = {stage: Spread.of([share.get(stage, 0.0) for share in shares[1:]]).median for stage in shares[-1]}
    told = ", ".join(f"{stage} {seconds * 1000:.0f}" for stage, seconds in stages.items())
    return Figure(name, " s", spread, bar, f"ms by stage: {told}")


def _stages(document: Mapping[str, object]) -> Mapping[str, float]:
    match document:
        case {"builds": [{"seconds": dict(seconds)}, *_]}:
            return {str(stage): float(value) for stage, value in seconds.items()}
        case _:
            raise ValueError(f"`mcp-pack build --json` names no seconds: {sorted(document)}")


def serving(place: Place, runs: int) -> Iterator[Figure]:
    """The server from its start to the first answered call, against importing the SDK's server."""
    bundle = bundle_of(place)
    sdk: Timer = process(
        [PYTHON, "-S", "-P", "-c", "import mcp.server"],
        env=place.env | {"PYTHONPATH": str(bundle / "lib")},
    )
    pair = paired(first_answer(place, bundle), sdk, runs)
    yield _ratio("server start to first answered call, everything on / import mcp.server", pair, 1.15)


def _ratio(name: str, pair: Pair, bar: float | None) -> Figure:
    return Figure(name, "x", pair.ratio, bar, f"{milliseconds(pair.ours)} / {milliseconds(pair.theirs)}")


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "imports": imports,
        "command-line": command_line,
        "builds": builds,
        "serving": serving,
        **throughput.ROWS,
        "images": images,
        "pulls": pulls,
        "lambda": functions,
        "kubernetes": kubernetes,
    }
)
