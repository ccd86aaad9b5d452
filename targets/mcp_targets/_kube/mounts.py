"""Secrets and keys as a Pod gets them: files that its user alone can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import Key, Ref, Resource, Value, digest, secret_resources
from mcp_targets._kube.names import Names
from mcp_targets._kube.settings import VALUE
from mcp_targets._kube.site import Object, Site, Store

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

OBJECT: Final = "object"
"""The field of a ``secret`` or ``key`` resource that only the world knows: the name of its Secret object."""

OWNER_READS: Final = 0o400
_AWS: Final = {"aws-sm", "aws-ssm"}


def secrets_of_world(manifest: Manifest, site: Site, depends: tuple[Key, ...]) -> tuple[Resource, ...]:
    """The secrets whose values the world reads at deploy and keeps in Secret objects of its own."""
    return secret_resources(
        manifest, depends, names=[name for name in manifest.secrets if _is_read(manifest, site, name)]
    )


def external_secrets(manifest: Manifest, names: Names, site: Site) -> list[Object]:
    """An ExternalSecret for each secret that the operator is to fetch.

    Its fields: https://external-secrets.io/latest/api/externalsecret/.
    """
    if site.store is None:
        return []
    return [
        _external(manifest, names, site, site.store, name)
        for name in sorted(manifest.secrets)
        if manifest.secrets[name].source(name)[0] in _AWS
    ]


def secret_mounts(manifest: Manifest, names: Names, site: Site) -> list[dict[str, Any]]:
    """Sources of the projected volume that holds each secret as ``NAME/value``."""
    return [
        _source(*held_in(manifest, names, site, name), f"{name}/{VALUE}", optional=not secret.required)
        for name, secret in sorted(manifest.secrets.items())
    ]


def key_mounts(keys: tuple[Key, ...]) -> list[dict[str, Any]]:
    """Sources of the projected volume that holds each key as ``NAME/value``."""
    return [_source(Ref(key, OBJECT), VALUE, f"{key.name}/{VALUE}", optional=False) for key in keys]


def held_in(manifest: Manifest, names: Names, site: Site, name: str) -> tuple[Value, str]:
    """The Secret object that holds a secret, and the key in it."""
    scheme, rest = manifest.secrets[name].source(name)
    if scheme == "k8s":
        *_, holder, entry = rest.split("/")
        return holder, entry
    if site.store is not None and scheme in _AWS:
        return _fetched(names, name, rest), VALUE
    return Ref(Key("secret", name), OBJECT), VALUE


def namespace_of(rest: str) -> str | None:
    """The namespace that a source of ``k8s:`` names; ``None``: the tool's own."""
    parts = rest.split("/")
    return parts[0] if len(parts) == 3 else None


def _is_read(manifest: Manifest, site: Site, name: str) -> bool:
    scheme, _ = manifest.secrets[name].source(name)
    return scheme != "k8s" and not (site.store is not None and scheme in _AWS)


def _fetched(names: Names, name: str, rest: str) -> str:
    # Named by its source: an old Pod keeps the Secret that it began with.
    return names.of("secret", name, digest(rest)[:8])


def _external(manifest: Manifest, names: Names, site: Site, store: Store, name: str) -> Object:
    _, rest = manifest.secrets[name].source(name)
    key, _, entry = rest.partition("#")
    made = _fetched(names, name, rest)
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": made, "namespace": site.namespace, "labels": names.labels()},
        "spec": {
            "refreshPolicy": "Periodic",
            "refreshInterval": store.refresh,
            "secretStoreRef": {"name": store.name, "kind": store.kind},
            "target": {"name": made, "creationPolicy": "Owner", "deletionPolicy": "Retain"},
            "data": [{"secretKey": VALUE, "remoteRef": {"key": key, **({"property": entry} if entry else {})}}],
        },
    }


def _source(holder: Value, entry: str, path: str, *, optional: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"name": holder, "items": [{"key": entry, "path": path}]}
    return {"secret": {**found, "optional": True} if optional else found}


def volume(name: str, sources: list[dict[str, Any]]) -> Mapping[str, Any]:
    """A projected volume of them."""
    return {"name": name, "projected": {"sources": sources, "defaultMode": OWNER_READS}}
