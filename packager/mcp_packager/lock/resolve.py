"""Resolution by uv: one platform at a time, wheels only, never a Python downloaded."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mcp_packager.errors import PackError, Place, Problem, UserError, WorldError
from mcp_packager.interpreters import Interpreter
from mcp_packager.lock import credentials, runtime, uv
from mcp_packager.lock.inputs import Inputs
from mcp_packager.lock.tags import best
from mcp_packager.platforms import Platform
from mcp_packager.process import Finished, run
from mcp_packager.store import Store

_NO_WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:[=<>!~]\S*)? ha(?:s|ve) no (?:usable wheels|wheels with a matching)"
)
_MISSING = re.compile(r"(?P<name>[A-Za-z0-9._-]+) was not found in the (?:package registry|provided package locations)")
_PROJECT = "mcp-tool-inputs"
_UNREACHABLE = ("Failed to fetch", "error sending request", "Network connectivity is disabled", "Failed to download")
_REFUSED = ("401", "403", "Unauthorized", "Forbidden")
_UNREACHABLE_FIX = (
    "Check the network, the proxy and the index that uv is set to (UV_DEFAULT_INDEX, UV_INDEX, uv.toml); "
    "with everything in the store a build needs no index"
)
_REFUSED_FIX = (
    "Give uv the credentials of that index: UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD, netrc, a keyring, "
    "or `uv auth login`"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A wheel that uv chose. ``sha256`` is ``None`` where the index gives none; ``url`` may be a file's."""

    name: str
    version: str
    file: str
    sha256: str | None
    url: str


def resolve(
    inputs: Inputs,
    platform: Platform,
    interpreter: Interpreter,
    *,
    project: Path,
    preferences: Mapping[str, str],
    store: Store,
) -> tuple[Found, ...]:
    """Every package that the tool needs on ``platform``, the runtime itself left out, sorted by name.

    ``preferences`` (package to version) are kept where they still fit.

    Raises:
        UserError: the requirements cannot be met there; the problem names the package and the platform.
        WorldError: an index cannot be reached or refuses.
    """
    document = {
        "project": {"name": _PROJECT, "version": "0", "dependencies": [*_requirements(inputs, store)]},
        "tool": {"uv": {"sources": _index_sources(inputs), "index": _indexes(inputs, project)}},
    }
    with store.scratch() as folder:
        source = folder / "pyproject.toml"
        source.write_text(_as_toml(document), encoding="utf-8")
        constraints = folder / "constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in inputs.constraints), encoding="utf-8")
        output = folder / "pylock.toml"
        if preferences:
            output.write_text(_preferences(preferences), encoding="utf-8")
        done = _compile([source, "-c", constraints], output, platform, interpreter, project)
        if not done.ok:
            raise _explain(done, platform, inputs.origin)
        return _select(output, platform, project)


def locate(
    pins: Sequence[tuple[str, str]],
    platform: Platform,
    interpreter: Interpreter,
    *,
    inputs: Inputs,
    project: Path,
    store: Store,
) -> tuple[Mapping[str, Any], ...]:
    """Ask the indexes where the files of exact versions are: the packages of uv's ``pylock.toml``."""
    names = {canonicalize_name(name) for name, _ in pins}
    sources = {name: entry for name, entry in _index_sources(inputs).items() if canonicalize_name(name) in names}
    document = {
        "project": {
            "name": _PROJECT,
            "version": "0",
            "dependencies": [f"{name}=={version}" for name, version in pins],
        },
        "tool": {"uv": {"sources": sources, "index": _indexes(inputs, project)}},
    }
    with store.scratch() as folder:
        source = folder / "pyproject.toml"
        source.write_text(_as_toml(document), encoding="utf-8")
        output = folder / "pylock.toml"
        done = _compile([source, "--no-deps"], output, platform, interpreter, project)
        if not done.ok:
            raise _explain(done, platform, inputs.origin)
        return _packages(output)


def wheels_of(package: Mapping[str, Any], project: Path) -> dict[str, tuple[str | None, str]]:
    """File name to (SHA-256 if known, URL) of one package of a ``pylock.toml``."""
    found = {}
    for wheel in package.get("wheels") or ():
        address = wheel.get("url")
        if address is None:
            path = Path(wheel["path"])
            address = (path if path.is_absolute() else project / path).resolve().as_uri()
        name = wheel.get("name") or unquote(urlsplit(address).path.rsplit("/", 1)[-1])
        found[name] = ((wheel.get("hashes") or {}).get("sha256"), address)
    return found


def _compile(
    what: Iterable[str | Path], output: Path, platform: Platform, interpreter: Interpreter, project: Path
) -> Finished:
    command: list[str | Path] = [uv.program(), "pip", "compile", *what]
    command += ["--python", interpreter.path, "--python-version", platform.python]
    command += ["--python-platform", platform.tag, "--only-binary", ":all:", "--no-header", "--no-annotate"]
    command += ["--format", "pylock.toml", "--output-file", output]
    return run(command, cwd=project, env=uv.environment(), secrets=credentials.values(project, os.environ))


def _requirements(inputs: Inputs, store: Store) -> Iterable[str]:
    """The author's requirements without the runtime, which comes as the wheel beside mcp-pack."""
    problems: list[Problem] = []
    extras = set(inputs.extras)
    for text in inputs.requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            problems.append(
                _bad(
                    inputs, f"{text!r} is not a requirement: {str(error).splitlines()[0]}", "Write it as name>=version"
                )
            )
            continue
        if canonicalize_name(requirement.name) == runtime.DISTRIBUTION:
            extras |= requirement.extras
            problems += _unfit_runtime(inputs, requirement.specifier)
        elif requirement.url:
            fix = "Publish the wheel to an index (or a folder named in UV_FIND_LINKS) and name a version"
            problems.append(_bad(inputs, f"{requirement.name} is named by an address, and a lock holds none", fix))
        else:
            yield text
    unknown = sorted(extras - set(runtime.facts().extras))
    if unknown:
        fix = f"Use {', '.join(runtime.facts().extras) or 'none'}"
        problems.append(_bad(inputs, f"The runtime has no extra {', '.join(unknown)}", fix))
    if problems:
        raise UserError(problems)
    made = runtime.wheel(store)
    chosen = f"[{','.join(sorted(extras))}]" if extras else ""
    yield f"{runtime.DISTRIBUTION}{chosen} @ {made.path.as_uri()}"


def _unfit_runtime(inputs: Inputs, wanted: SpecifierSet) -> list[Problem]:
    version = runtime.facts().version
    if wanted.contains(version, prereleases=True):
        return []
    fix = f"Allow {version}, or install the mcp-pack that comes with a version you allow"
    return [
        _bad(inputs, f"{runtime.DISTRIBUTION} {version} is installed with mcp-pack, the tool asks for {wanted}", fix)
    ]


def _bad(inputs: Inputs, what: str, fix: str) -> Problem:
    key = "project.dependencies" if inputs.origin.name == "pyproject.toml" else "tool.dependencies"
    return Problem(what=what, fix=fix, where=Place(file=str(inputs.origin), key=key))


def _index_sources(inputs: Inputs) -> dict[str, Any]:
    """Sources that pick an index. Folders and repositories are the author's work-place, not what is shipped."""
    return {
        name: {"index": source["index"]}
        for name, source in inputs.sources.items()
        if isinstance(source, dict) and "index" in source
    }


def _indexes(inputs: Inputs, project: Path) -> list[dict[str, Any]]:
    """The author's indexes, a relative folder made absolute because the file that names them moved."""
    found = []
    for entry in inputs.indexes:
        url = str(entry.get("url", ""))
        address = url if urlsplit(url).scheme else urljoin(project.resolve().as_uri() + "/", url)
        found.append({**entry, "url": address})
    return found


def _preferences(versions: Mapping[str, str]) -> str:
    rows = "".join(
        f"[[packages]]\nname = {json.dumps(name)}\nversion = {json.dumps(versions[name])}\n"
        for name in sorted(versions)
    )
    return f'lock-version = "1.0"\ncreated-by = "mcp-pack"\n{rows}'


def _select(output: Path, platform: Platform, project: Path) -> tuple[Found, ...]:
    chosen = []
    for package in _packages(output):
        name = canonicalize_name(package["name"])
        if name == runtime.DISTRIBUTION:
            continue
        files = wheels_of(package, project)
        file = best(files, platform)
        if file is None:
            raise UserError(_no_wheel(name, platform, None))
        sha256, url = files[file]
        chosen.append(Found(name, package["version"], file, sha256, url))
    return tuple(sorted(chosen, key=lambda found: found.name))


def _packages(output: Path) -> tuple[Mapping[str, Any], ...]:
    return tuple(tomllib.loads(output.read_text(encoding="utf-8")).get("packages", ()))


def _explain(done: Finished, platform: Platform, origin: Path) -> PackError:
    """Uv's answer as a problem: what is at fault, and what mends it."""
    text = " ".join(line.strip() for line in done.stderr.splitlines() if not line.startswith("warning"))
    text = text.removeprefix("error: ").replace(_PROJECT, "your tool").strip()
    place = Place(file=str(origin))
    if wheel := _NO_WHEEL.search(text):
        return UserError(_no_wheel(canonicalize_name(wheel["name"]), platform, text, place))
    if "No solution found" not in text and any(sign in text for sign in (*_UNREACHABLE, *_REFUSED)):
        refused = any(sign in text for sign in _REFUSED)
        what = "A package index refuses" if refused else "A package index cannot be reached"
        return WorldError(Problem(what=what, fix=_REFUSED_FIX if refused else _UNREACHABLE_FIX, found=text))
    if missing := _MISSING.search(text):
        what = f"No index that uv is set to has {missing['name']}"
        fix = "Check the name, and that the index that holds it is set (UV_INDEX, [[tool.uv.index]])"
        if any(sign in text for sign in _REFUSED):
            fix = _REFUSED_FIX
        return UserError(Problem(what=what, fix=fix, where=place, found=text))
    if "No solution found" in text or "unsatisfiable" in text:
        fix = "Widen one of the requirements that exclude each other"
        return UserError(
            Problem(what=f"The dependencies cannot be met together on {platform}", fix=fix, where=place, found=text)
        )
    fix = "Run `mcp-pack doctor`; the text under 'found' is uv's own"
    return UserError(
        Problem(what="uv could not resolve the dependencies", fix=fix, where=place, found=text or f"exit {done.code}")
    )


def _no_wheel(name: str, platform: Platform, text: str | None, place: Place | None = None) -> Problem:
    return Problem(
        what=f"{name} has no wheel for Python {platform.python} on {platform.tag}",
        fix=(
            f"Allow a version of {name} that has one, choose another Python or platform, "
            f"or build its wheel yourself and put it on an index of yours"
        ),
        where=place or Place(),
        found=text,
    )


def _as_toml(document: Mapping[str, Any]) -> str:
    """A small TOML file through tomlkit, the writer that the project has."""
    import tomlkit

    return tomlkit.dumps(document)
