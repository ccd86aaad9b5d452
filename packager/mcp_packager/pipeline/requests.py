"""What goes into the pipeline and what comes out, as frozen data that a command can print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_packager.contract.headstart import HeadStart
from mcp_packager.progress import Progress, Silent
from mcp_packager.target.glance import Glance


@dataclass(frozen=True, slots=True)
class Request:
    """Which project, stage and targets a command is about.

    ``targets`` is what ``--target`` named; empty means every ``[target.*]`` of the manifest, else ``local``.
    ``locked`` refuses to change ``mcp-tool.lock``. ``glance`` is shared by the many of a command that only looks.
    ``head`` is what of the contract was begun before this process was ready to be asked.
    """

    project: Path
    stage: str = "default"
    targets: tuple[str, ...] = ()
    locked: bool = False
    progress: Progress = field(default_factory=Silent)
    glance: Glance | None = None
    head: HeadStart | None = None


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One difference between two contracts, for people."""

    kind: str
    name: str
    breaking: bool
    what: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The contract against the last release on one target; ``release`` is ``None`` where there is none."""

    target: str
    release: int | None
    changes: tuple[ChangeLine, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the tool shows its clients, what to know about it, and what changed since the last release."""

    name: str
    version: str
    stage: str
    contract_hash: str
    tools: tuple[str, ...]
    resources: tuple[str, ...]
    prompts: tuple[str, ...]
    notes: tuple[str, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class ShippedReport:
    """An image that was put into a registry: by tag, and by digest, which is what to deploy.

    ``blobs`` and ``bytes`` went up now; ``documents`` were attached beside it; ``signed`` says whether with a key.
    """

    tag: str
    reference: str
    blobs: int
    bytes: int
    documents: int
    signed: bool


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One target's artifact. ``artifact`` is the content of ``artifact.json``; ``seconds`` names each stage's share.

    ``pushed`` is ``None`` where nothing was to be pushed.
    """

    target: str
    folder: Path
    artifact: Mapping[str, Any]
    files: tuple[Path, ...]
    untracked: tuple[str, ...]
    seconds: Mapping[str, float]
    pushed: ShippedReport | None = None


# The functions, one module a story (all take a Request first):
#   lock.lock(request, *, upgrade: bool) -> LockReport
#   check.check(request) -> CheckReport                       compares only where request.targets names a target
#   build.build(request, *, output: Path | None, push: str | None) -> tuple[BuildReport, ...]
#   monitoring.write(request, *, output: Path | None, kubernetes: bool) -> MonitoringReport
#   test.test(request, *, arguments: Sequence[str]) -> int    pytest's exit code
#   deploy.plan(request, *, artifact: str | None, allow_breaking: bool) -> tuple[PlanReport, ...]
#   deploy.deploy(request, *, artifact: str | None, allow_breaking: bool, confirm: Callable[[str], bool],
#                 wait: float (s), install_unit: bool) -> tuple[DeployReport, ...]
#   serve.run(request, *, transport, host, port, reload: bool) -> int
#   invoke.invoke(request, *, tool, arguments: Mapping, url: str | None, headers: Mapping[str, str],
#                 credentials: ClientCredentials | None, token: str | None) -> InvokeReport
#   operate.status(request) -> tuple[StatusReport, ...]
#   operate.watch(request) -> Iterator[tuple[StatusReport, ...]]    a look a second, until the caller stops
#   operate.logs(request, *, lines: int, follow: bool) -> Iterator[str]
#   operate.history(request) -> Mapping[str, tuple[HistoryLine, ...]]    by target
#   operate.drift(request) -> tuple[DriftReport, ...]
#   operate.rollback(request, *, to: int | None) -> tuple[DeployReport, ...]
#   operate.destroy(request, *, data: bool) -> tuple[DestroyReport, ...]
#   operate.unlock(request) -> Mapping[str, str | None]       by target: whom it robbed, None where nobody held it
#   operate.endpoint(request) -> Mapping[str, Any]            the current release's endpoint on the one target
#   secrets.listing(request) -> tuple[SecretLine, ...]
#   secrets.push(request, *, names: Sequence[str]) -> tuple[PushReport, ...]
#   secrets.new_key() -> NewKey
#   schema.schema() -> Mapping[str, Any];  schema.support() -> rows of the registry's table
