"""``mcp-pack doctor``: what this machine has, and what each thing is needed for."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown
from mcp_packager.target.examination import Finding, Grant

_PATIENCE = 10.0
"""Seconds that a program may take to tell its version."""


@click.command()
@common_options(targets=True)
def doctor(common: Common) -> None:
    """Check this machine: Python, uv, git, containers, folders. Exits with 3 where something needed is broken.

    With --target, check the place that the target deploys to as well, as far as it can be looked at, and print the
    rights that a deployer needs there.
    """
    findings = list(examine())
    grants: list[Grant] = []
    if common.targets:
        from mcp_packager.pipeline.examine import examine as look

        with Shown(quiet=common.quiet) as progress:
            for name, seen in look(common.request(progress)):
                findings += [replace(found, name=f"{name}: {found.name}") for found in seen.findings]
                grants += seen.grants
    broken = [finding for finding in findings if finding.state == "broken"]
    if common.as_json:
        output.document("doctor", sound=not broken, findings=findings, **({"grants": grants} if grants else {}))
    else:
        output.data("\n".join(_page(findings, grants)))
    if broken:
        raise click.exceptions.Exit(3)


def _page(findings: Sequence[Finding], grants: Sequence[Grant]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.state:<8} {finding.name}: {finding.detail}"
        yield f"         needed for {finding.needed_for}"
        if finding.fix is not None:
            yield f"         to mend: {finding.fix}"
    for grant in grants:
        yield f"\n{grant.name}:"
        yield json.dumps(grant.document, indent=2, ensure_ascii=False)


def examine() -> tuple[Finding, ...]:
    """Every finding, in a fixed order. Only reads, apart from a probe file in the two folders."""
    from mcp_packager.cli.places import home
    from mcp_packager.store import default_root

    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        _interpreters,
        _uv,
        lambda: _program("git", "the list of files that a bundle takes, and `mcp-pack new`", "install git"),
        _containers,
        lambda: _folder("cache folder", default_root(), "wheels and layers that builds share", "MCP_PACK_CACHE"),
        lambda: _folder("home folder", home(), "releases of the target local, and crash reports", "MCP_PACK_HOME"),
    )
    return tuple(check() for check in checks)


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}", "running mcp-pack")


def _interpreters() -> Finding:
    from mcp_packager.errors import PackError
    from mcp_packager.interpreters import find

    found: list[str] = []
    for minor in ("3.11", "3.12", "3.13", "3.14"):
        try:
            interpreter = find(">=3.11", minors=(minor,))
        except PackError:
            continue
        found.append(f"{interpreter.version} at {interpreter.path}")
    need = "bytecode for the Python that a target runs, for example 3.12 to 3.14 for Lambda"
    fix = "install one, or name it in MCP_PACK_PYTHONS (paths separated like PATH)"
    return Finding(
        "interpreters", "ok" if found else "missing", ", ".join(found) or "none", need, None if found else fix
    )


def _uv() -> Finding:
    import uv

    need = "resolving and fetching dependencies"
    try:
        path = uv.find_uv_bin()
    except FileNotFoundError:
        return Finding("uv", "broken", "the package is there, its program is not", need, "reinstall mcp-packager")
    return Finding("uv", "ok", f"{_version(path)} at {path}", need)


def _containers() -> Finding:
    need = "the target docker and for building images"
    for name in ("docker", "podman"):
        path = shutil.which(name)
        if path is not None:
            answers = _runs([path, "version"])
            detail = f"{_version(path)} at {path}" + ("" if answers else ", but its service does not answer")
            fix = None if answers else f"start the {name} service, or let your user reach it"
            return Finding("containers", "ok" if answers else "missing", detail, need, fix)
    return Finding(
        "containers", "missing", "neither docker nor podman is on PATH", need, "install one of them if you need it"
    )


def _program(name: str, need: str, fix: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, "missing", "not on PATH", need, fix)
    return Finding(name, "ok", f"{_version(path)} at {path}", need)


def _folder(name: str, folder: Path, need: str, variable: str) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, probe = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        Path(probe).unlink()
    except OSError as error:
        fix = f"let yourself write there, or name another folder in {variable}"
        return Finding(name, "broken", f"{folder} cannot be written: {error.strerror}", need, fix)
    return Finding(name, "ok", f"{folder} can be written", need)


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return "(does not run)"
    return (done.stdout.strip().splitlines() or ["(tells no version)"])[0]


def _runs(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
