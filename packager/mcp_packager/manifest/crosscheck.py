"""What one key alone cannot show: references between sections, and the project around the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mcp_packager import __version__
from mcp_packager.manifest.document import Document
from mcp_packager.manifest.findings import Finding, nearest
from mcp_packager.manifest.service import Service


def across(document: Document, project: Path) -> Iterator[Finding]:
    """Problems of a document whose every key is well formed."""
    yield from _dependencies(document, project)
    yield from _environment(document)
    for name, service in document.services.items():
        yield from _service(name, service, document)
    for index, key in enumerate(document.serve.keys):
        yield from _secret(("serve", "auth", "keys", index), key, document)
    yield from _serve(document)


def packer(tool: object) -> Iterator[Finding]:
    """Whether this mcp-pack may build it; asked of the raw table, since a newer file may hold keys unknown here."""
    wanted = tool.get("requires") if isinstance(tool, dict) else None
    if not isinstance(wanted, str):
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # 30 ms that few files need

    try:
        fits = SpecifierSet(wanted).contains(__version__, prereleases=True)
    except InvalidSpecifier:
        return
    if not fits:
        yield Finding(
            ("tool", "requires"),
            f"this is mcp-pack {__version__}",
            f"Install one that fits: uv tool install 'mcp-packager{wanted}'",
            expected=f"mcp-pack {wanted}",
            found=__version__,
        )


def _dependencies(document: Document, project: Path) -> Iterator[Finding]:
    if "dependencies" in document.tool.model_fields_set and (project / "pyproject.toml").exists():
        yield Finding(
            ("tool", "dependencies"),
            "dependencies stand in two places",
            "Move them to [project] dependencies of pyproject.toml and remove this key",
            expected="dependencies in pyproject.toml alone, since there is one",
            on_key=True,
        )


def _environment(document: Document) -> Iterator[Finding]:
    """Each variable has one origin."""
    origin = dict.fromkeys(document.env, "[env]")
    for name in document.secrets:
        if name in origin:
            yield _twice(("secrets", name), name, origin[name])
        origin[name] = "[secrets]"
    for service, what in document.services.items():
        for name in what.provides:
            if name in origin:
                yield _twice(("services", service, "provides", name), name, origin[name])
            origin[name] = f"[services.{service}]"


def _twice(path: tuple[str | int, ...], name: str, other: str) -> Finding:
    return Finding(
        path,
        f"{name} is set twice",
        f"Remove it here or from {other}",
        expected=f"one origin; {other} sets it too",
        on_key=True,
    )


def _service(name: str, service: Service, document: Document) -> Iterator[Finding]:
    for variable, secret in service.secrets.items():
        yield from _secret(("services", name, "secrets", variable), secret, document)
    for variable, text in service.provides.items():
        rest = text.replace("{host}", "").replace("{port}", "")
        if "{" in rest or "}" in rest:
            yield Finding(
                ("services", name, "provides", variable),
                f"{variable} has an unknown placeholder",
                "Use {host} and {port} alone",
                expected='text such as "redis://{host}:{port}"',
                found=f'"{text}"',
            )


def _serve(document: Document) -> Iterator[Finding]:
    """What of ``[serve]`` needs something else."""
    serve = document.serve
    if serve.events is not None and serve.events.startswith("env:"):
        yield from _variable(("serve", "events"), serve.events.removeprefix("env:"), document)
    if serve.rate is not None and serve.rate.shared and serve.events is None:
        yield Finding(
            ("serve", "rate", "shared"),
            "there is nothing to count in",
            'Add events = "redis://…" to [serve], or remove shared',
            expected="serve.events, whose Redis all copies count in",
        )
    if serve.audit is not None and serve.audit.to == "otlp" and serve.telemetry is None:
        yield Finding(
            ("serve", "audit", "to"),
            "there is no collector to send it to",
            'Add [serve.telemetry] with otlp = "http://…", or write to = "stderr"',
            expected="serve.telemetry, whose collector it goes to",
            found='"otlp"',
        )


def _variable(path: tuple[str | int, ...], name: str, document: Document) -> Iterator[Finding]:
    """A variable that something sets: ``[env]``, a service, or a secret that is given to the code too."""
    known = {*document.env, *document.secrets, *(name for each in document.services.values() for name in each.provides)}
    if name in document.serve.keys:
        yield Finding(
            path,
            f"{name} is a key that callers show",
            "Declare another secret for the address of the events",
            expected="a variable or secret that holds redis://…",
        )
    elif name not in known:
        guess = nearest(name, known)
        yield Finding(
            path,
            f"nothing sets {name[:100]}",
            f"Did you mean env:{guess}?"
            if guess
            else f"Set it in [env], let a service provide it, or declare [secrets.{name[:100]}]",
            expected="env:NAME of a variable in [env], of what a service provides, or of a secret",
            found=f'"env:{name[:100]}"',
        )


def _secret(path: tuple[str | int, ...], name: str, document: Document) -> Iterator[Finding]:
    if name in document.secrets:
        return
    guess = nearest(name, document.secrets)
    yield Finding(
        path,
        f"there is no secret {name[:100]}",
        f"Did you mean {guess}?" if guess else f"Declare it as [secrets.{name[:100]}]",
        expected="the name of a declared secret",
    )
