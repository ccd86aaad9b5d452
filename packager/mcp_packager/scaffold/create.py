"""The story of ``mcp-pack new``: judge the name and the folder, render beside it, move it in place."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_packager.errors import Place, Problem, UsageError, UserError, WorldError
from mcp_packager.progress import Progress, Silent
from mcp_packager.scaffold import template as templates
from mcp_packager.scaffold.wrap import Server, adapt, find_server, is_taken

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40
SCHEMA_FILE = Path(".mcp-pack", "mcp-tool.schema.json")
"""Where a scaffolded manifest's first line points an editor at."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What to write and where. ``folder`` must be missing, empty, or hold nothing but ``.git``.

    ``settings`` are ``KEY=VALUE`` for the template; ``ask`` lets cookiecutter ask for the others of a foreign
    template; ``schema`` is the manifest's JSON Schema for the editor, if it is at hand.
    """

    name: str
    folder: Path
    template: str | None = None
    checkout: str | None = None
    settings: tuple[str, ...] = ()
    hooks: bool = False
    server: Path | None = None
    object_name: str | None = None
    git: bool = True
    ask: bool = False
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """What was written: the folder, its files relative to it, what to know, and what to type next."""

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]
    next_commands: tuple[str, ...]


def create(request: NewRequest, *, progress: Progress | None = None) -> Project:
    """Write the project; either all of it is there afterwards, or nothing.

    Raises:
        UsageError: the name, the folder or the options do not do.
        UserError: the template or the server to wrap is at fault.
        WorldError: the template cannot be fetched, or the folder not written.
    """
    progress = progress or Silent()
    _judge(request)
    server = None if request.server is None else find_server(request.server, request.object_name)
    folder = request.folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = folder if folder.is_dir() else folder.parent
        with tempfile.TemporaryDirectory(prefix=".mcp-pack-new-", dir=beside) as scratch:
            with progress.stage("template"):
                rendered = templates.render(_order(request, server), Path(scratch))
            notes = [*rendered.notes]
            if server is not None:
                notes += adapt(rendered.folder, server)
            if request.schema is not None and (rendered.folder / "mcp-tool.toml").is_file():
                _write_schema(rendered.folder, request.schema)
            _move(rendered.folder, folder)
    except OSError as error:
        what = f"{folder} cannot be written: {error.strerror or error}"
        raise WorldError(Problem(what, "let yourself write there, or name another folder")) from error
    files = tuple(sorted(_files(folder)))
    if request.git:
        notes += _repository(folder)
    return Project(request.folder, files, tuple(notes), _next(folder))


def _judge(request: NewRequest) -> None:
    problems: list[Problem] = []
    if not _NAME.fullmatch(request.name) or len(request.name) > _LONGEST:
        better = re.sub(r"[^a-z0-9]+", "-", request.name.lower()).strip("-0123456789")[:_LONGEST] or "my-tool"
        problems.append(
            Problem(
                f"`{request.name}` is no name for a tool",
                f"for example `{better}`",
                expected=f"lower-case letters, digits and single hyphens, a letter first, at most {_LONGEST}",
            )
        )
    if request.server is not None and request.template is not None:
        problems.append(Problem("--from and --template exclude each other", "use one of the two"))
    if request.object_name is not None and request.server is None:
        problems.append(Problem("--object names the server in a file", "add --from FILE"))
    wrong = [setting for setting in request.settings if not re.match(r"[A-Za-z_]\w*=", setting)]
    problems += [Problem(f"`{setting}` is no setting", "write `--set key=value`") for setting in wrong]
    if problems:
        raise UsageError(problems)
    _judge_folder(request.folder)


def _judge_folder(folder: Path) -> None:
    if folder.is_symlink() or folder.is_dir():
        inside = (
            sorted(path.name for path in folder.iterdir() if path.name != ".git") if folder.is_dir() else ["a link"]
        )
        if inside:
            found = ", ".join(inside[:3]) + (", …" if len(inside) > 3 else "")
            fix = "name an empty folder with --project, or one that is not there yet"
            raise UsageError(Problem("the folder is not empty", fix, Place(file=str(folder)), found=found))
    elif folder.exists():
        raise UsageError(Problem("there is a file of that name", "choose another name", Place(file=str(folder))))


def _order(request: NewRequest, server: Server | None) -> templates.Order:
    settings = dict(setting.split("=", 1) for setting in request.settings)
    if server is not None:
        settings["entrypoint"] = server.entrypoint
        settings.setdefault("description", server.description or "An MCP server")
    elif request.template is None and is_taken(module := request.name.replace("-", "_")):
        settings.setdefault("package", f"{module}_tools")
    return templates.Order(
        name=request.name,
        source=request.template,
        checkout=request.checkout,
        settings=settings,
        hooks=request.hooks,
        ask=request.ask,
    )


def _write_schema(folder: Path, schema: Mapping[str, Any]) -> None:
    file = folder / SCHEMA_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(schema, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _move(rendered: Path, folder: Path) -> None:
    if not folder.exists():
        rendered.rename(folder)
        return
    for path in sorted(rendered.iterdir()):
        path.rename(folder / path.name)


def _files(folder: Path) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts[:1]
    ]


def _repository(folder: Path) -> list[str]:
    """Make a repository and stage the files, unless the folder lies in one already. Nothing is committed."""
    git = shutil.which("git")
    if git is None:
        return ["git is not on PATH, so no repository was made"]
    inside = _git(git, folder, "rev-parse", "--is-inside-work-tree")
    if inside.returncode == 0 and not (folder / ".git").exists():
        return []
    steps = [] if (folder / ".git").exists() else [("init", "--quiet", "--initial-branch=main")]
    for step in (*steps, ("add", "--all")):
        done = _git(git, folder, *step)
        if done.returncode != 0:
            return [f"`git {shlex.join(step)}` failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"]
    return []


def _git(git: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [git, *arguments], cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def _next(folder: Path) -> tuple[str, ...]:
    """What to type now. The call is the manifest's first verification, since that one is known to work."""
    import tomli

    try:
        manifest = tomli.loads((folder / "mcp-tool.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        fix = "mend the template"
        raise UserError(Problem(f"the template wrote a broken mcp-tool.toml: {error}", fix)) from None
    commands = ["mcp-pack check", "mcp-pack deploy --target local"]
    calls = manifest.get("verify", {}).get("call", [])
    if calls:
        pairs = [_pair(key, value) for key, value in calls[0].get("arguments", {}).items()]
        commands.append(shlex.join(["mcp-pack", "invoke", calls[0]["tool"], *pairs]))
    else:
        commands.append("mcp-pack status")
    return tuple(commands)


def _pair(key: str, value: object) -> str:
    return f"{key}={value}" if isinstance(value, str) else f"{key}:={json.dumps(value)}"
