"""From a tool project's folder to its manifest, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mcp_packager.errors import Problem, UserError
from mcp_packager.manifest import findings, placing, positions, pyproject, shape, source, stages, workspace
from mcp_packager.manifest.crosscheck import across, packer
from mcp_packager.manifest.document import Document, Manifest, Stages
from mcp_packager.manifest.findings import Finding
from mcp_packager.manifest.workspace import Workspace


def load(
    project: Path,
    stage: str = stages.DEFAULT,
    *,
    options: Mapping[str, type[BaseModel]] | None = None,
    check_targets: bool = True,
) -> Manifest:
    """Read ``mcp-tool.toml`` in ``project`` with the overlay of ``stage``.

    Args:
        project: the tool project's folder.
        stage: a stage that the file declares, or ``default`` for the file as it is.
        options: options model of each known target. Without any, target tables stay plain data.
        check_targets: whether a ``[target.NAME]`` outside ``options`` is a problem.

    Raises:
        UserError: with every problem of the file, of every stage, not only of the one asked for.
    """
    path = project / source.FILE_NAME
    text = source.read(path)
    around = workspace.around(project)
    return from_text(text, path, stage, options=options or {}, check_targets=check_targets, around=around)


def from_text(
    text: str,
    path: Path,
    stage: str,
    *,
    options: Mapping[str, type[BaseModel]],
    check_targets: bool = True,
    around: Workspace | None = None,
) -> Manifest:
    """The manifest of a text that would stand at ``path``, in a workspace or in none. Raises as :func:`load` does."""
    own = source.parse(text, path)
    raw = around.under(own) if around else own
    reading = _Reading(raw, own, path, options, around, check_targets=check_targets and bool(options))
    documents = reading.all_stages()
    if stage not in documents and not reading.found:
        reading.found.append(_no_such_stage(stage, documents))
    if reading.found or reading.borrowed.problems:
        raise UserError(_placed(reading, text))
    return reading.manifest(documents, stage)


@dataclass(slots=True)
class _Reading:
    """One file on its way: what it holds and what was found wrong with it so far."""

    raw: dict[str, Any]
    """What the file says, over what its workspace says."""
    own: Mapping[str, Any]
    path: Path
    options: Mapping[str, type[BaseModel]]
    around: Workspace | None
    check_targets: bool = field(kw_only=True)
    found: list[Finding] = field(default_factory=list)
    borrowed: pyproject.Borrowed = field(default_factory=pyproject.Borrowed)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def all_stages(self) -> dict[str, Document]:
        """Every stage's document; those with problems are missing, and their problems in ``found``."""
        base = {key: value for key, value in self.raw.items() if key != "stage"}
        self.borrowed = pyproject.borrow(self.path.parent, base.get("tool"))
        if isinstance(base.get("tool"), dict):
            shared = {"project": self.around.table.project} if self.around and self.around.table.project else {}
            base["tool"] = {**shared, **self.borrowed.values, **base["tool"]}
        if self.around is not None:
            self.found.extend(self.around.refused(self.own))
        self.found.extend(packer(base.get("tool")))
        documents: dict[str, Document] = {}
        self._read(stages.DEFAULT, base, {}, documents)
        for name, over in self._overlays().items():
            self.found.extend(stages.refused(name, over, base, self.options))
            self._read(name, stages.overlay(base, over), over, documents)
        return documents

    def _overlays(self) -> dict[str, dict[str, Any]]:
        if "stage" not in self.raw:
            return {}
        data = {"stage": self.raw["stage"]}
        try:
            overlays = Stages.model_validate(data).stage
        except ValidationError as error:
            self.found.extend(findings.from_pydantic(error.errors(include_url=False), data, Stages))
            return {}
        if stages.DEFAULT in overlays:
            self.found.append(
                Finding(
                    ("stage", stages.DEFAULT),
                    "default is the file without an overlay",
                    "Write these keys outside [stage]",
                    expected="a name of your own",
                    on_key=True,
                )
            )
        return overlays

    def _read(self, stage: str, data: dict[str, Any], over: dict[str, Any], documents: dict[str, Document]) -> None:
        """Judge one stage's data. What the base was already found guilty of is not said again."""
        wrong: list[Finding] = []
        document: Document | None = None
        try:
            document = Document.model_validate(data)
        except ValidationError as error:
            wrong.extend(findings.from_pydantic(error.errors(include_url=False), data, Document))
        else:
            wrong.extend(across(document, self.path.parent))
        wrong.extend(self._read_targets(stage, data))
        for finding in wrong:
            path = _origin(finding.path, over, self.raw, stage)
            placed = Finding(path, finding.what, finding.fix, finding.expected, finding.found, finding.on_key)
            if placed not in self.found and not self._said(placed.path):
                self.found.append(placed)
        if document is not None:
            documents[stage] = document

    def _said(self, path: findings.Path) -> bool:
        """Whether a stage's key was refused already: then what follows from it is noise."""
        return path[:1] == ("stage",) and any(path[: len(said.path)] == said.path for said in self.found)

    def _read_targets(self, stage: str, data: Mapping[str, Any]) -> list[Finding]:
        tables = data.get("target")
        wrong: list[Finding] = []
        read: dict[str, Any] = {}
        for name, table in tables.items() if isinstance(tables, dict) else ():
            if not isinstance(table, dict):
                continue
            model = self.options.get(name)
            if model is None:
                read[name] = table
                if self.check_targets:
                    guess = findings.nearest(name, self.options)
                    wrong.append(
                        Finding(
                            ("target", name),
                            f"there is no target {name[:100]!r} here",
                            f"Did you mean {guess}?"
                            if guess
                            else "Install the package that has it, or remove the table",
                            expected="one of " + ", ".join(sorted(self.options)),
                            on_key=True,
                        )
                    )
                continue
            try:
                read[name] = model.model_validate(table)
            except ValidationError as error:
                wrong.extend(findings.from_pydantic(error.errors(include_url=False), table, model, ("target", name)))
        self.targets[stage] = read
        return wrong

    def _aims(self, stage: str) -> tuple[str, ...]:
        """Where the tool goes unasked: the targets that its own file names, else those of its workspace."""
        if self.around is None:
            return tuple(self.targets[stage])
        own = stages.overlay({**self.own}, self.own.get("stage", {}).get(stage, {}))
        return tuple(own.get("target", ())) or self.around.table.targets

    def manifest(self, documents: Mapping[str, Document], stage: str) -> Manifest:
        """The manifest of one stage, once nothing is wrong."""
        document = documents[stage]
        names = {name for each in documents.values() for name in each.env}
        names.update(
            name for each in documents.values() for service in each.services.values() for name in service.provides
        )
        over = {} if stage == stages.DEFAULT else self.raw["stage"][stage]
        merged = stages.overlay({key: value for key, value in self.raw.items() if key != "stage"}, over)
        return Manifest.model_construct(
            project=self.path.parent.absolute(),
            path=self.path.absolute(),
            stage=stage,
            stages=tuple(name for name in documents if name != stages.DEFAULT),
            tool=document.tool,
            env=document.env,
            base_env=documents[stages.DEFAULT].env,
            contract_env={**documents[stages.DEFAULT].env, **_provided(documents[stages.DEFAULT])},
            env_names=tuple(sorted(names)),
            secrets=document.secrets,
            services=document.services,
            permissions=document.permissions,
            serve=document.serve,
            resources=document.resources,
            scale=document.scale,
            verify=document.verify.call,
            via=document.verify.via,
            pin=document.pin,
            targets=self.targets[stage],
            aims=self._aims(stage),
            written=frozenset(shape.written(Document, merged)),
            extras=tuple(sorted(_extras(documents.values()))),
            server_secrets=frozenset(name for each in documents.values() for name in each.serve.keys),
        )


def _extras(documents: Iterable[Document]) -> set[str]:
    """What of the runtime's extras any stage needs; ``fast`` always: it changes no answer, and is for every server."""
    found = {"fast"}
    for document in documents:
        if document.serve.events is not None:
            found.add("redis")
        if document.serve.telemetry is not None:
            found.add("otel")
    return found


def _provided(document: Document) -> dict[str, str]:
    """What services give the tool, with an address that stands for theirs."""
    values = {}
    for name, service in document.services.items():
        host, port = (service.external or f"{name}:{service.ports[0]}").rsplit(":", 1)
        for variable, text in service.provides.items():
            values[variable] = text.replace("{host}", host).replace("{port}", port)
    return values


def _origin(path: findings.Path, over: Mapping[str, Any], base: Mapping[str, Any], stage: str) -> findings.Path:
    """Where in the file a key of the merged data was written: in the stage's overlay, else in the base.

    A key that stands in neither is missing: it belongs to the table that should hold it.
    """
    if placing.holds(over, path) or (
        not placing.holds(base, path) and len(path) > 1 and placing.holds(over, path[:-1])
    ):
        return ("stage", stage, *path)
    return path


def _no_such_stage(stage: str, documents: Mapping[str, Document]) -> Finding:
    known = sorted(documents)
    guess = findings.nearest(stage, known)
    return Finding(
        (),
        f"there is no stage {stage[:100]!r}",
        f"Did you mean {guess}?" if guess else f"Declare it as [stage.{stage[:100]}], or use: {', '.join(known)}",
        expected="one of " + ", ".join(known),
    )


def _placed(reading: _Reading, text: str) -> list[Problem]:
    """Findings as problems, with file, line and column, in the order of the file."""
    spots, own, borrowed = positions.scan(text), reading.own, reading.borrowed
    problems = []
    for finding in reading.found:
        place = None
        if finding.path[:1] == ("tool",) and finding.path[1:2] and finding.path[1] in borrowed.values:
            written = own.get("tool")
            if isinstance(written, dict) and finding.path[1] not in written:
                place = borrowed.place(str(finding.path[1]))
        if place is None and reading.around is not None and not placing.holds(own, finding.path):
            place = reading.around.place(finding.path)
        problems.append(placing.problem(finding, place or placing.place(finding, spots, text, reading.path)))
    problems.extend(borrowed.problems)
    return sorted(problems, key=lambda problem: (problem.where.line or 0, problem.where.column or 0))
