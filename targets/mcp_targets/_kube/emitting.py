"""What ``build`` writes for those who apply objects by other means: manifests, a kustomize base, a Helm chart.

All are made of the same objects as a deploy's. Secrets and keys stand in them by name alone; ``SECRETS.md`` says which.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mcp_packager.target import STATE, DesiredInput, Key, Ref, Value
from mcp_packager.target.values import resolve
from mcp_packager.yaml import yaml_text
from mcp_targets._kube.mounts import secrets_of_world
from mcp_targets._kube.names import Names
from mcp_targets._kube.render import objects
from mcp_targets._kube.settings import VALUE
from mcp_targets._kube.site import Object, Site

MANIFESTS: Final = "manifests"
KUSTOMIZE: Final = "kustomize"
_SORTED: Final = 2
"""Digits in front of a file's name: the order in which tools that go by names apply them."""


def write_files(request: DesiredInput, site: Site, to: Path) -> None:
    """Write all of it into ``to``.

    Raises:
        UserError: a patch does not fit.
    """
    made = plain_objects(request, site)
    _write_manifests(made, to / MANIFESTS)
    _write_kustomize(made, to / KUSTOMIZE)
    (to / "SECRETS.md").write_text(_expected(request, site), encoding="utf-8")


def plain_objects(request: DesiredInput, site: Site) -> tuple[Object, ...]:
    """The objects of a deploy, without what only a deploy knows: Secrets have names that stay, and no probe is let in.

    Raises:
        UserError: a patch does not fit.
    """
    names = Names(request.identity)

    def leaf(value: Any) -> Value:
        assert isinstance(value, Ref)  # noqa: S101 - objects hold nothing that is made by the world but names
        return held_name(names, value)

    return tuple(resolve(item, leaf) for item in objects(request, replace(site, probed=False)))


def held_name(names: Names, ref: Ref) -> str:
    """The name under which a Secret is expected that a deploy would make."""
    return names.of(ref.resource.kind, ref.resource.name)


def file_name(number: int, item: Object) -> str:
    """A file's name, by which files sort in the order in which objects are applied."""
    return f"{number:0{_SORTED}}-{item['kind'].lower()}-{item['metadata']['name']}.yaml"


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
