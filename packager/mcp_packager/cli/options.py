"""The options that commands share, collected into one frozen value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from mcp_packager.cli.streams import ServicePipeError

if TYPE_CHECKING:
    from mcp_packager.contract.headstart import HeadStart
    from mcp_packager.pipeline.requests import Request
    from mcp_packager.progress import Progress

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Common:
    """What every command takes. ``targets`` empty means every ``[target.*]`` of the manifest, else ``local``."""

    project: Path
    stage: str
    as_json: bool
    quiet: bool
    targets: tuple[str, ...] = ()
    locked: bool = False
    head: HeadStart | None = None

    def request(self, progress: Progress) -> Request:
        """The pipeline's form of it."""
        from mcp_packager.pipeline.requests import Request

        return Request(
            project=self.project,
            stage=self.stage,
            targets=self.targets,
            locked=self.locked,
            progress=progress,
            head=self.head,
        )


def _complete_stage(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from mcp_packager.cli.peek import peek

    seen = peek(Path(ctx.params.get("project") or "."))
    return [CompletionItem(name) for name in ("default", *seen.stages) if name.startswith(incomplete)]


def complete_target(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The manifest's targets, then what else is installed."""
    from mcp_packager.cli.peek import installed_targets, peek

    names = dict.fromkeys((*peek(Path(ctx.params.get("project") or ".")).targets, *installed_targets()))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_PROJECT = "The tool project: the folder with mcp-tool.toml.  [default: here]"
_STAGE = click.option(
    "--stage",
    default="default",
    show_default=True,
    metavar="NAME",
    shell_complete=_complete_stage,
    help="Which [stage.NAME] of the manifest to apply.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
_QUIET = click.option("--quiet", "-q", is_flag=True, help="Print data and errors only.")
_TARGETS = click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_target,
    help="A target; may be given several times.  [default: every [target.*], else local]",
)
_LOCKED = click.option("--locked", is_flag=True, help="Fail rather than change mcp-tool.lock.")


def _project(words: str) -> Callable[[Command], Command]:
    return click.option(
        "--project", "project", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help=words
    )


def common_options(
    *,
    targets: bool = False,
    locked: bool = False,
    json: bool = True,
    words: str = _PROJECT,
    contract: bool = False,
) -> Callable[[Command], Command]:
    """Give a command the options that all share, and pass them as ``common``.

    ``json``: it prints data. ``words``: what ``--project`` is to it. ``contract``: it reads the contract, unless
    ``--artifact`` has one already; that is begun before the command is loaded.
    """

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def gathered(project: Path, stage: str, *, quiet: bool, **others: Any) -> Any:
            common = Common(
                project=project,
                stage=stage,
                as_json=others.pop("as_json") if json else False,
                quiet=quiet,
                targets=tuple(dict.fromkeys(others.pop("targets"))) if targets else (),
                locked=others.pop("locked") if locked else False,
            )
            try:
                if contract and not others.get("every") and others.get("artifact") is None:
                    return _ahead(function, common, **others)
                return function(common, **others)
            except BrokenPipeError as error:
                raise ServicePipeError(str(error)) from error

        decorated: Command = gathered
        for wanted, option in (
            (True, _QUIET),
            (json, _JSON),
            (locked, _LOCKED),
            (targets, _TARGETS),
            (True, _STAGE),
            (True, _project(words)),
        ):
            if wanted:
                decorated = option(decorated)
        return decorated

    return decorate


def _ahead(function: Command, common: Common, **others: Any) -> Any:
    from mcp_packager.contract.headstart import begun

    with begun(common.project) as head:
        return function(replace(common, head=head), **others)


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
artifact_option = click.option(
    "--artifact",
    metavar="FILE|DIGEST",
    help="Take what was built before, unrebuilt: dist/TARGET/artifact.json, or REPOSITORY@sha256:… as build --push "
    "prints it.",
)
allow_breaking_option = click.option(
    "--allow-breaking", is_flag=True, help="Go on although clients of the last release may break."
)
all_option = click.option(
    "--all", "every", is_flag=True, help="Every tool of the workspace, or below the folder, side by side."
)
