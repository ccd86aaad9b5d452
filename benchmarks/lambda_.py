"""Figures of Lambda: cold start and warm call in AWS's emulator, the zip after an edit, its size, the whole command."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.lambdas import EVENT, MINOR, Made, made, mine, missing, only_imports, served, surroundings, wrapped
from benchmarks.measure import Pair, Spread, Timer, environment, paired, process
from benchmarks.place import PROGRAMS, Place
from benchmarks.report import Figure, milliseconds
from tests import real_parts
from tests.lambda_.emulator import Emulated, emulated, started

_PER_WINDOW: Final = 50
"""Warm calls of ours in one measurement; the wrapper, which starts a process for each, gets three."""
_THEIRS_PER_WINDOW: Final = 3
_LEVEL: Final = 9
"""At which both zips are made, as far as they are compressed and not copied out of wheels."""


def functions(place: Place, runs: int) -> Iterator[Figure]:
    """Everything about the target lambda; nothing where this machine lacks what it takes."""
    if lacking := missing():
        print(f"lambda: left out: {lacking}", file=sys.stderr)
        return
    with surroundings(place):
        example, sample = made(place, place.project), made(place, place.fresh() / "sample", sample=True)
        yield from _starts(place, example, runs)
        yield from _calls(place, example, runs)
        yield _size(place, sample)
        yield from _edits(place, sample, max(2, runs // 2))
        yield from _commands(place, sample, max(2, runs // 2))


def _starts(place: Place, example: Made, runs: int) -> Iterator[Figure]:
    """From the first invocation of a new environment to its answer: its start is within."""
    ours = _cold(place, mine(place, example))
    pair = paired(ours, _cold(place, only_imports(place, example)), runs)
    yield _ratio("cold start in the emulator, first call / a handler that only imports mcp.server", pair, 1.15)
    pair = paired(ours, _cold(place, wrapped(place)), max(2, runs // 2))
    yield _ratio("cold start in the emulator, first call / the AWS stdio wrapper", pair, None)
    pair = paired(ours, _cold_web(place, served(place, example)), max(2, runs // 2))
    yield _ratio("cold start in the emulator, first call / uvicorn behind a stand-in for the web adapter", pair, None)


def _cold(place: Place, task: Path) -> Timer:
    def once() -> float:
        with _emulated(place, task) as function:
            started = time.perf_counter()
            _answered(function)
            return time.perf_counter() - started

    return once


def _cold_web(place: Place, task: Path) -> Timer:
    """The same of a web server behind what stands for the web adapter (see benchmarks/adapter.py)."""

    def once() -> float:
        program = [str(real_parts.python(MINOR)), "-S", "-B", str(task / "adapter.py")]
        log, env = place.fresh() / "log", {"PATH": "/usr/bin:/bin", "LAMBDA_TASK_ROOT": str(task)}
        with started(real_parts.lambda_emulator(), program, task, log, env) as function:
            began = time.perf_counter()
            _answered(function)
            return time.perf_counter() - began

    return once


def _calls(place: Place, example: Made, runs: int) -> Iterator[Figure]:
    """Seconds of one call where the environment is warm."""
    with _emulated(place, mine(place, example)) as ours, _emulated(place, wrapped(place)) as theirs:
        pair = paired(_warm(theirs, _THEIRS_PER_WINDOW), _warm(ours, _PER_WINDOW), max(2, runs // 2))
    note = f"{pair.theirs.median * 1000:.1f} ms / {milliseconds(pair.ours)}"
    name = "warm call, times faster than behind the AWS stdio wrapper"
    yield Figure(name, "x", pair.ratio, 20, note, least=True)


def _warm(function: Emulated, calls: int) -> Timer:
    def once() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            _answered(function)
        return (time.perf_counter() - started) / calls

    return once


def _emulated(place: Place, task: Path) -> Any:
    env = {"MCP_TOOL_CONFIG_DATA": json.dumps({"schema": 1, "target": "lambda", "serve": {"listen": False}, "emf": {}})}
    log = place.fresh() / "log"
    return emulated(real_parts.lambda_emulator(), task, real_parts.python(MINOR), MINOR, log, env)


def _answered(function: Emulated) -> None:
    answer = function.invoke(EVENT)
    if answer.failed or answer.document["statusCode"] != 200 or "error" in str(answer.document["body"])[:200]:
        raise RuntimeError(f"it did not answer: {answer.document}; {function.log.read_text()[-2000:]}")


def _size(place: Place, sample: Made) -> Figure:
    """Ours against what an installer lays down of the same wheels, compiled whole, at the same level."""
    folder = place.fresh() / "theirs"
    sample.installed(folder)
    theirs = place.fresh() / "theirs.zip"
    with zipfile.ZipFile(theirs, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    ours, other = sample.zipped().size, theirs.stat().st_size
    note = f"{ours / 1e6:.1f} MB / {other / 1e6:.1f} MB"
    return Figure(f"zip / pip install -t, compiled, zipped at {_LEVEL}", "x", Spread.of([ours / other]), 1.0, note)


def _edits(place: Place, sample: Made, runs: int) -> Iterator[Figure]:
    """A line edited: from the bundle to the zip, against SAM with everything it can keep."""
    folder = place.fresh() / "sam"
    env = _sam(folder, sample)
    # No region and no credentials are asked of it: it builds.
    build = process(
        [real_parts.checker("sam"), "build", "--cached", "--template", folder / "template.yaml"], cwd=folder, env=env
    )
    code = folder / "code" / "sample" / "tools.py"
    original = code.read_text()

    def theirs() -> float:
        code.write_text(original + sample.edit())
        return build()

    def ours() -> float:
        bundle = sample.bundle(sample.edit())
        started = time.perf_counter()
        sample.zipped(bundle)
        return time.perf_counter() - started

    pair = paired(ours, theirs, runs)
    yield _ratio("one line edited, bundle to zip / sam build --cached", pair, 0.06)


def _sam(folder: Path, sample: Made) -> dict[str, str]:
    """The same function as SAM is told of it: code, and what it depends on, by versions."""
    code = folder / "code"
    shutil.copytree(sample.project / "src", code, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "handler.py").write_text("import sample.tools\n\n\ndef handler(event, context):\n    return {}\n")
    (code / "requirements.txt").write_text("".join(f"{name}\n" for name in sample.requirements()))
    architecture = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    properties = {
        "CodeUri": "code",
        "Handler": "handler.handler",
        "Runtime": f"python{MINOR}",
        "Architectures": [architecture],
    }
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"Function": {"Type": "AWS::Serverless::Function", "Properties": properties}},
    }
    (folder / "template.yaml").write_text(json.dumps(template))  # JSON is YAML
    env = environment(HOME=str(folder / "home"), SAM_CLI_TELEMETRY="0", PIP_ROOT_USER_ACTION="ignore")
    return env | {"PATH": f"{real_parts.python(MINOR).parent}:{env['PATH']}"}


def _commands(place: Place, sample: Made, runs: int) -> Iterator[Figure]:
    """``mcp-pack build --target lambda`` as a whole, less what importing the author's module takes by itself."""
    from mcp_packager import registry

    if "lambda" not in registry.names():
        print("lambda: the whole command is left out: no entry point names the target", file=sys.stderr)
        return
    shares: list[dict[str, float]] = []
    command: list[str | Path] = [
        PROGRAMS / "mcp-pack",
        "build",
        "--target",
        "lambda",
        "--json",
        "--project",
        sample.project,
    ]
    tree = sample.tree(place.fresh() / "tree")
    imported = process(
        [real_parts.python(MINOR), "-S", "-P", "-c", "import sample.tools"],
        env=place.env | {"PYTHONPATH": f"{tree / 'lib'}:{tree / 'app'}"},
    )

    def whole() -> float:
        sample.write(sample.edit())
        started = time.perf_counter()
        done = subprocess.run(command, env=place.env, capture_output=True, check=True)
        seconds = time.perf_counter() - started
        shares.append(json.loads(done.stdout)["builds"][0]["seconds"])
        return seconds

    pair = Pair.of([(whole(), imported()) for _ in range(runs + 1)][1:])
    stages = {stage: Spread.of([share.get(stage, 0.0) for share in shares[1:]]).median for stage in shares[-1]}
    told = ", ".join(f"{stage} {seconds * 1000:.0f}" for stage, seconds in stages.items())
    note = f"{milliseconds(pair.ours)} - {milliseconds(pair.theirs)}; ms by stage: {told}"
    yield Figure("mcp-pack build, one line edited - importing the module", " s", pair.difference, 0.4, note)


def _ratio(name: str, pair: Pair, bar: float | None) -> Figure:
    return Figure(name, "x", pair.ratio, bar, f"{milliseconds(pair.ours)} / {milliseconds(pair.theirs)}")
