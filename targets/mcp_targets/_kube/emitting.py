"""What ``build`` writes for those who apply objects by other means: manifests, a kustomize base, a Helm chart.

All are made of the same objects as a deploy's. Secrets and keys stand in them by name alone; ``SECRETS.md`` says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mcp_packager.target import STATE, DesiredInput, Key
from mcp_packager.yaml import yaml_text
from mcp_targets._kube.chart import chart
from mcp_targets._kube.mounts import secrets_of_world
from mcp_targets._kube.names import Names
from mcp_targets._kube.plain import file_name, plain_objects
from mcp_targets._kube.settings import VALUE
from mcp_targets._kube.site import Object, Site

MANIFESTS: Final = "manifests"
KUSTOMIZE: Final = "kustomize"
CHART: Final = "chart"
EXTRAS: Final = "extras"
EXTRA: Final = frozenset({"ServiceMonitor"})
"""Kinds that a cluster may not know, and that the tool runs without."""


def write_files(request: DesiredInput, site: Site, to: Path) -> None:
    """Write all of it into ``to``.

    Raises:
        UserError: a patch does not fit.
    """
    made = plain_objects(request, site)
    anywhere = tuple(item for item in made if item["kind"] not in EXTRA)
    _write_manifests(anywhere, to / MANIFESTS)
    _write_kustomize(anywhere, to / KUSTOMIZE)
    if len(anywhere) < len(made):
        _write_manifests(tuple(item for item in made if item["kind"] in EXTRA), to / EXTRAS)
    _write_chart(chart(request, site), to / CHART)
    (to / "SECRETS.md").write_text(_expected(request, site), encoding="utf-8")


def _write_manifests(made: tuple[Object, ...], folder: Path) -> None:
    folder.mkdir()
    for number, item in enumerate(made):
        (folder / file_name(number, item)).write_text(yaml_text(item), encoding="utf-8")


def _write_kustomize(made: tuple[Object, ...], folder: Path) -> None:
    folder.mkdir()
    names = [file_name(number, item) for number, item in enumerate(made)]
    for name, item in zip(names, made, strict=True):
        (folder / name).write_text(yaml_text(item), encoding="utf-8")
    base = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names}
    (folder / "kustomization.yaml").write_text(yaml_text(base), encoding="utf-8")


def _write_chart(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _expected(request: DesiredInput, site: Site) -> str:
    """What must be in the namespace before the objects work, and how to put it there."""
    names = Names(request.identity)
    lines = [
        "# Secrets that these manifests expect",
        "",
        f"Each in the namespace `{site.namespace}`, with one key, `{VALUE}`. Pods see a change when they start anew.",
        "`mcp-pack deploy` makes Secrets of its own, and the Helm chart makes the key.",
        "",
    ]
    for resource in secrets_of_world(request.manifest, site, ()):
        needed = "" if resource.fields["required"] else ", which may be missing"
        lines += _made(names, site, resource.key, f"the secret {resource.name} of the tool{needed}", "/dev/stdin")
    what = "seals what a question to the user holds; all copies of the tool must have the same"
    return "\n".join([*lines, *_made(names, site, STATE, what, "<(openssl rand -hex 32)")])


def _made(names: Names, site: Site, key: Key, what: str, source: str) -> list[str]:
    name = names.of(*key)
    return [
        f"`{name}`: {what}.",
        "",
        "```sh",
        f"kubectl create secret generic {name} --namespace {site.namespace} --from-file={VALUE}={source}",
        "```",
        "",
    ]
