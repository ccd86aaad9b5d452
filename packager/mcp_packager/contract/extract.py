"""The contract of a tool project, from importing the author's code in a child process.

The child sees the runtime, the tool's dependencies and its code: nothing of the packager, nothing of its environment.
The code may print, hang, exit, crash or fork; each becomes a problem with the author's own frames.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_packager.contract import child, trace
from mcp_packager.contract.document import Contract
from mcp_packager.errors import Place, Problem, UserError, WorldError

LIMIT: Final = 30.0
"""Seconds that importing the code may take."""

_LAST_LINES: Final = 12
_FAULTHANDLER: Final = ("Fatal Python error: Aborted", "Fatal Python error: Segmentation fault")
"""Headers of the stacks that we ask for or that the signal's name tells already."""


@dataclass(frozen=True, slots=True)
class ExtractRequest:
    """What to import, with what.

    ``python`` is the interpreter to use; ``lib`` a site-packages folder with the runtime and the dependencies;
    ``app`` the author's code as an import root; ``tool`` the content of ``tool.json``; ``env`` what the code sees of
    ``[env]``; ``secrets`` the names of declared secrets, for which placeholders are set; ``limit`` is in seconds.
    ``shown`` is what the author knows ``app`` as: file names in problems start with it.
    """

    python: Path
    lib: Path
    app: Path
    tool: Mapping[str, Any]
    env: Mapping[str, str]
    secrets: Sequence[str] = ()
    limit: float = LIMIT
    shown: Path | None = None


def extract(request: ExtractRequest, *, unwanted: Callable[[], bool] = child.never) -> Contract:
    """Import the author's code and read what it declares, unless ``unwanted`` says meanwhile that nobody asks any more.

    Raises:
        StoppedError: nobody does.
        UserError: the code does not declare a sound contract, or does not let itself be imported.
        WorldError: the interpreter cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="mcp-pack-contract-") as name:
        folder = Path(name).resolve()
        output = folder / "contract.json"
        bundle = _lay_out(request, folder)
        command = [os.fspath(request.python), "-S", "-P", "-B", "-X", "faulthandler", "-m", "mcp_tool"]
        command += ["contract", "--bundle", str(bundle), "--output", str(output)]
        try:
            ended = child.run(
                command,
                env=_environment(request, folder),
                cwd=folder / "work",
                limit=request.limit,
                answer=output,
                unwanted=unwanted,
            )
        except OSError as error:
            raise WorldError(
                Problem(
                    what=f"{request.python} could not be started: {error.strerror or error}",
                    fix="Name a working interpreter in MCP_PACK_PYTHONS",
                )
            ) from None
        answer = _read(output)
    seen = trace.View(folder, request.app, request.shown or request.app, request.lib)
    if isinstance(answer, dict) and "problems" in answer:
        raise UserError(_declared(answer, seen))
    if ended.late:
        raise UserError(_late(ended, request, seen))
    if not isinstance(answer, dict):
        raise UserError(_unanswered(ended, seen))
    _refuse_placeholders(answer, request.secrets)
    return Contract.from_document(answer)


def placeholder(name: str) -> str:
    """What a secret's variable holds while the contract is read: plainly no secret, the same every time."""
    return f"placeholder-for-{name}-while-reading-the-contract"


def _lay_out(request: ExtractRequest, folder: Path) -> Path:
    """A folder like a bundle's, with the tool's document and links to what is there already."""
    bundle = folder / "bundle"
    for path in (bundle, folder / "work", folder / "home", folder / "secrets"):
        path.mkdir()
    (bundle / "tool.json").write_text(json.dumps(request.tool), "utf-8")
    (bundle / "lib").symlink_to(request.lib.absolute())
    (bundle / "app").symlink_to(request.app.absolute())
    return bundle


def _environment(request: ExtractRequest, folder: Path) -> dict[str, str]:
    """The child's whole environment."""
    env = dict(request.env)
    declared = request.tool.get("secrets", {})
    for name in request.secrets:
        env[name] = placeholder(name)
        if declared.get(name, {}).get("as") == "file":
            file = folder / "secrets" / name
            file.write_text(placeholder(name), "utf-8")
            env[name] = str(file)
    env.update(
        PYTHONPATH=os.pathsep.join((str(folder / "bundle" / "lib"), str(folder / "bundle" / "app"))),
        PYTHONHASHSEED="0",
        # Looking for plugins reads every dependency's metadata, and none of them changes a schema.
        PYDANTIC_DISABLE_PLUGINS="__all__",
        PYTHONIOENCODING="utf-8:backslashreplace",
        PATH=os.defpath,
        HOME=str(folder / "home"),
        TMPDIR=str(folder / "work"),
        LANG="C.UTF-8",
        TZ="UTC",
    )
    return env


def _read(output: Path) -> object:
    try:
        return json.loads(output.read_bytes())
    except (OSError, ValueError):
        return None


def _declared(answer: Mapping[str, Any], seen: trace.View) -> list[Problem]:
    """The runtime's own records of what is wrong with what the code declares."""
    problems = []
    for record in answer["problems"]:
        frames = seen.frames(str(record.get("traceback") or ""))
        what = seen.text(str(record.get("what", "the code could not be read")))
        file, line = record.get("file"), record.get("line")
        where = Place(seen.name(str(file)), line or None) if file else seen.syntax(what) or trace.place(frames)
        problems.append(
            Problem(what=what + trace.block(frames), fix=str(record.get("fix", "Mend the code")), where=where)
        )
    return problems


def _late(ended: child.Ended, request: ExtractRequest, seen: trace.View) -> Problem:
    frames = seen.frames(ended.output)
    return Problem(
        what=f"importing {request.tool.get('entrypoint')} did not end within {request.limit:g} s"
        + trace.block(frames)
        + _tail(ended.output, seen),
        fix="Do the slow work in a function or in the lifespan, not while the module is imported",
        where=trace.place(frames),
    )


def _unanswered(ended: child.Ended, seen: trace.View) -> Problem:
    frames = seen.frames(ended.output)
    if ended.code < 0:
        how = f"was ended by signal {-ended.code} ({trace.signal_name(-ended.code)})"
        fix = "Mend the crash at this place, or the native library that it happens in"
    else:
        how = f"ended with exit code {ended.code} before its tools were read"
        fix = "Do not end the process while the module is imported; put that under: if __name__ == '__main__'"
    return Problem(
        what=f"the process that imports the code {how}{trace.block(frames)}{_tail(ended.output, seen)}",
        fix=fix,
        where=trace.place(frames),
    )


def _tail(output: str, seen: trace.View) -> str:
    said = (line for line in seen.plain(output) if line.strip() and not line.startswith(_FAULTHANDLER))
    lines = list(said)[-_LAST_LINES:]
    return "\n  its last output:\n" + "\n".join(f"    {line[:300]}" for line in lines) if lines else ""


def _refuse_placeholders(answer: Mapping[str, Any], secrets: Sequence[str]) -> None:
    """A secret's value must not become part of what every client sees."""
    text = json.dumps(answer, ensure_ascii=False)
    problems = [
        Problem(
            what=f"the contract shows the value of secret {name}",
            fix="Do not use the secret in a default, a description or a name; read it while the tool runs",
        )
        for name in secrets
        if placeholder(name) in text
    ]
    if problems:
        raise UserError(problems)
