"""Rendering a cookiecutter template, with nothing of the user's touched and no foreign code run unasked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_packager.errors import PackError, Place, Problem, UsageError, UserError, WorldError

_NAME_KEYS = ("name", "tool_name", "project_name", "project_slug", "repo_name")
"""The variable that takes the tool's name: the first of these that the template has."""

_OWN_EXTENSIONS = ("cookiecutter.extensions.", "jinja2.ext.", "jinja2_time.")
"""Jinja2 extensions that come with cookiecutter; every other one is code that somebody else wrote."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to render: ``source`` is a folder, a URL or an abbreviation such as ``gh:owner/name``; ``None`` is ours."""

    name: str
    source: str | None
    checkout: str | None
    settings: Mapping[str, str]
    hooks: bool
    ask: bool


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rendered project, still in the scratch folder, and what the user should know."""

    folder: Path
    notes: tuple[str, ...]


def built_in() -> Path:
    """The template that ships with mcp-pack: inside the installed package, else in the repository beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_tool_template"
    return installed if installed.is_dir() else package.parents[1] / "tool_template"


def render(order: Order, scratch: Path) -> Rendered:
    """Fetch the template where it has to be fetched, and render it below ``scratch``.

    cookiecutter's own configuration, its cache of templates and its replay folder lie in the user's home; here
    all three are kept in ``scratch``.
    """
    from cookiecutter.exceptions import (
        CookiecutterException,
        RepositoryCloneFailed,
        RepositoryNotFound,
        VCSNotInstalled,
    )

    try:
        folder = built_in() if order.source is None else _fetch(order, scratch)
        notes = [] if order.source is None else _judge_code(folder, order)
        return Rendered(_render(order, folder, scratch), tuple(notes))
    except PackError:
        raise
    except (RepositoryNotFound, RepositoryCloneFailed, VCSNotInstalled, OSError) as error:
        fix = "check the path or address, your access to it, and --checkout"
        raise WorldError(Problem(f"the template cannot be fetched: {_said(error)}", fix)) from error
    except CookiecutterException as error:
        fix = "mend the template, or use another one with --template"
        raise UserError(Problem(f"the template cannot be rendered: {_said(error)}", fix)) from error


def _fetch(order: Order, scratch: Path) -> Path:
    from cookiecutter.config import BUILTIN_ABBREVIATIONS
    from cookiecutter.repository import determine_repo_dir

    clones = scratch / "templates"
    clones.mkdir()
    folder, _ = determine_repo_dir(
        template=order.source,
        abbreviations=BUILTIN_ABBREVIATIONS,
        clone_to_dir=str(clones),
        checkout=order.checkout,
        no_input=True,
    )
    return Path(folder)


def _judge_code(folder: Path, order: Order) -> list[str]:
    """Programs that the template would run: hooks are left out and named; extensions cannot be left out."""
    hooks = sorted(path.name for path in (folder / "hooks").glob("*") if path.is_file())
    extensions = [name for name in _context(folder).get("_extensions", []) if not str(name).startswith(_OWN_EXTENSIONS)]
    if order.hooks:
        return [f"ran the template's hooks: {', '.join(hooks)}"] if hooks else []
    if extensions:
        fix = "read it, and if you trust it add --hooks"
        raise UsageError(
            Problem(f"this template cannot be rendered without its own code: {', '.join(extensions)}", fix)
        )
    if hooks:
        return [
            f"the template's hooks ({', '.join(hooks)}) are programs and were not run; if you trust them, use --hooks"
        ]
    return []


def _render(order: Order, folder: Path, scratch: Path) -> Path:
    from cookiecutter.main import cookiecutter

    context = _context(folder)
    unknown = sorted(order.settings.keys() - context.keys())
    if unknown:
        known = ", ".join(key for key in context if not key.startswith("_"))
        problem = Problem(f"the template has no variable {', '.join(unknown)}", "check --set", expected=known)
        raise UsageError(problem)
    key = next((key for key in _NAME_KEYS if key in context), None)
    named = {} if key is None or key in order.settings else {key: order.name}
    output = scratch / "out"
    output.mkdir()
    written = cookiecutter(
        str(folder),
        no_input=not (order.ask and order.source is not None),
        extra_context={**named, **order.settings},
        output_dir=str(output),
        # cookiecutter takes a mapping here (cookiecutter/config.py: get_user_config); this keeps it out of the home.
        default_config={"replay_dir": str(scratch / "replay"), "cookiecutters_dir": str(scratch / "templates")},
        accept_hooks=order.hooks and order.source is not None,
    )
    return Path(written)


def _context(folder: Path) -> dict[str, Any]:
    file = folder / "cookiecutter.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        where = Place(file=str(file))
        raise UserError(Problem(f"is no cookiecutter template: {error}", "mend the template", where)) from None
    if not isinstance(content, dict):
        raise UserError(Problem("is no JSON object", "mend the template", Place(file=str(file))))
    return content


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
