"""What of a manifest no cluster can do, and every target of Kubernetes says alike."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.target import Artifact, DesiredInput, Exposure, base_config, identity_of
from mcp_targets._kube.mounts import namespace_of
from mcp_targets._kube.render import objects
from mcp_targets._kube.settings import PORT
from mcp_targets._kube.site import Site
from mcp_targets._kube.workload import SERVICE_PORT

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_KUBERNETES_OWN: Final = ("kube-system", "kube-public", "kube-node-lease", "default")
_FETCHED: Final = frozenset({"aws-sm", "aws-ssm"})


def problems(manifest: Manifest, site: Site, *, fetch: str) -> Iterator[Problem]:
    """Everything that is wrong with the manifest for such a site; ``fetch`` is how to have AWS' secrets fetched."""
    yield from _secrets(manifest, site, fetch)
    yield from _services(manifest)
    yield from _scale(manifest)
    yield from _ports(manifest)
    yield from _events(manifest)
    if site.create_namespace and (site.namespace in _KUBERNETES_OWN or site.namespace.startswith("kube-")):
        yield Problem(
            f"the namespace {site.namespace} is not made for one tool, and would be put under rules of its own",
            "name another namespace, or say create_namespace = false",
            Place(str(manifest.path), key=f"target.{site.target}.namespace"),
            found=site.namespace,
        )
    if site.patches:
        yield from _patches(manifest, site)


def _secrets(manifest: Manifest, site: Site, fetch: str) -> Iterator[Problem]:
    for name, secret in sorted(manifest.secrets.items()):
        scheme, rest = secret.source(name)
        where = Place(str(manifest.path), key=f"secrets.{name}.from")
        if scheme == "k8s":
            named = namespace_of(rest)
            if named is not None and named != site.namespace:
                yield Problem(
                    f"a Pod in {site.namespace} cannot read the secret {name} from the namespace {named}",
                    f"copy it to {site.namespace}, or deploy the tool to {named}",
                    where,
                )
        elif scheme in site.readable or (scheme in _FETCHED and site.store is not None):
            continue
        else:
            yield Problem(
                f"the target {site.target} cannot read the secret {name} from {scheme}",
                f"{fetch}, or use env:NAME, file:PATH or k8s:SECRET/KEY in the stage that is deployed here"
                if scheme in _FETCHED
                else "use env:NAME, file:PATH or k8s:SECRET/KEY in the stage that is deployed here",
                where,
            )


def _services(manifest: Manifest) -> Iterator[Problem]:
    for name, service in sorted(manifest.services.items()):
        if service.image is not None or service.external is None:
            continue
        host = service.external.rpartition(":")[0].strip("[]")
        if host == "localhost" or _is_loopback(host):
            yield Problem(
                f"the service {name} is at {service.external}, which is the Pod itself when the tool runs in a cluster",
                "give the address that it has for the cluster, or an image to run beside the tool",
                Place(str(manifest.path), key=f"services.{name}.external"),
            )


def _scale(manifest: Manifest) -> Iterator[Problem]:
    if manifest.scale.min == 0:
        yield Problem(
            "nothing would start the first copy again when there is none",
            "use a min of at least 1",
            Place(str(manifest.path), key="scale.min"),
            expected="1 or more",
            found="0",
        )


def _ports(manifest: Manifest) -> Iterator[Problem]:
    metrics = manifest.serve.metrics
    if metrics is not None and metrics.port in {PORT, SERVICE_PORT}:
        yield Problem(
            f"port {metrics.port} is where the tool itself is",
            "give the metrics another port",
            Place(str(manifest.path), key="serve.metrics.port"),
            expected=f"a port other than {PORT} and {SERVICE_PORT}",
            found=str(metrics.port),
        )


def _events(manifest: Manifest) -> Iterator[Problem]:
    """An address that only a secret holds: no policy can be made for it."""
    scheme, _, name = (manifest.serve.events or "").partition(":")
    if scheme == "env" and name in manifest.secrets and not manifest.permissions.egress:
        yield Problem(
            f"the network policy cannot open the way to the Redis whose address is in the secret {name}",
            "name its network and port under [[permissions.egress]]",
            Place(str(manifest.path), key="serve.events"),
        )


def _patches(manifest: Manifest, site: Site) -> tuple[Problem, ...]:
    """What the patches do not fit, seen by trying them."""
    artifact = Artifact(site.target, "image", manifest.tool.name, manifest.tool.version, site.image.digest, 0, "0" * 64)
    config: dict[str, Any] = base_config(manifest, site.target, Exposure.NETWORK)
    try:
        objects(DesiredInput(manifest, None, identity_of(manifest), artifact, config), site)
    except UserError as error:
        return error.problems
    return ()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
