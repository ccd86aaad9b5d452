"""The config of a server in a Pod: where it finds what is mounted, and how long an orderly end takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.target import (
    PROBE,
    STATE,
    DesiredInput,
    Key,
    with_audit_file,
    with_keys,
    with_secrets,
    with_serve,
    with_services,
)
from mcp_targets._kube.names import Names
from mcp_targets._kube.site import Site

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

PORT: Final = 8000
CONFIG_FOLDER: Final = "/run/mcp-tool/config"
CONFIG_FILE: Final = "config.json"
KEYS_FOLDER: Final = "/run/mcp-tool/keys"
SECRETS_FOLDER: Final = "/run/mcp-tool/secrets"
VALUE: Final = "value"
"""The one key of a Secret that holds a secret or a key."""

_SHORTEST: Final = 20.0
_LONGEST: Final = 600.0
"""Seconds that calls in flight get at least, and at most, when their Pod ends."""
_NOTICE_IN_SERVER: Final = 1.0
"""Seconds in which clients that keep a connection open are told to make a new one, which goes to another Pod."""
_AFTER: Final = 8.0
"""Seconds for the author's clean-up and for the node, behind the last call."""


def config_document(request: DesiredInput, site: Site) -> dict[str, Any]:
    """``config.json``: what the manifest says, and what is so because it runs in this place."""
    manifest = request.manifest
    names = Names(request.identity)
    places = {name: {"file": f"{SECRETS_FOLDER}/{name}/{VALUE}"} for name in manifest.secrets}
    config = with_services(with_secrets(request.config, places), manifest, addresses(manifest, names))
    if config["metrics"] is not None:
        config = {**config, "metrics": {"host": "0.0.0.0", **config["metrics"]}}  # noqa: S104 - the Pod's own address
    if config["log"]["audit"] == "file":
        # The root is read-only and a Pod's files go with it; what it prints is what a cluster collects.
        config = {**config, "log": {**config["log"], "audit": "stderr"}}
    keyed = with_keys(
        with_audit_file(config, None), request.identity, lambda key: {"file": f"{KEYS_FOLDER}/{key.name}/{VALUE}"}
    )
    return with_serve(
        keyed if site.probed else with_serve(keyed, probe=None),
        path=site.path,
        public_url=manifest.serve.public_url or (site.public and site.public.url),
        root_metadata=site.public is None or site.public.root,
        allowed_hosts=[*config["serve"]["allowed_hosts"], *own_hosts(names.base, site.namespace)],
        drain_delay=min(_NOTICE_IN_SERVER, site.timing.notice),
        drain=calls_end(manifest),
        keep_alive=site.timing.keep_alive,
    )


def own_hosts(service: str, namespace: str) -> list[str]:
    """What a Service is called from inside its cluster."""
    return [
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    ]


def keys_in(config: Mapping[str, Any]) -> tuple[Key, ...]:
    """The keys that a server with this config reads."""
    return (STATE,) if config["serve"]["probe"] is None else (PROBE, STATE)


def url(request: DesiredInput, site: Site) -> str:
    """Where clients reach the endpoint: its public address, else the one it has in the cluster."""
    names = Names(request.identity)
    inside = f"http://{own_hosts(names.base, site.namespace)[-1]}"
    base = request.manifest.serve.public_url or (site.public.url if site.public else inside)
    return base if base.endswith(site.path) else base + site.path


def addresses(manifest: Manifest, names: Names) -> dict[str, str]:
    """``host:port`` of each service: of its own Service where it runs beside the tool."""
    return {
        name: f"{names.service(name)}:{service.ports[0]}" if service.image else service.external or ""
        for name, service in manifest.services.items()
    }


def calls_end(manifest: Manifest) -> float:
    """Seconds that calls in flight get when their Pod ends: as long as one may take, within reason."""
    return min(max(_SHORTEST, manifest.serve.timeout), _LONGEST)


def pause_before_end(site: Site) -> int:
    """Whole seconds between the order to end a Pod and the server's first notice of it.

    Endpoints and load balancers learn of the order at the same moment, and go on sending for a while.
    """
    return max(1, math.ceil(site.timing.notice))


def grace(manifest: Manifest, site: Site) -> int:
    """``terminationGracePeriodSeconds``: nothing of an orderly end is cut off."""
    notice = min(_NOTICE_IN_SERVER, site.timing.notice)
    return math.ceil(pause_before_end(site) + notice + calls_end(manifest) + _AFTER)
