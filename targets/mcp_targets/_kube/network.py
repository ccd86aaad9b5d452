"""Who may speak to whom: a network policy for the tool, and one for each service beside it.

A policy knows addresses and labels, not host names (https://kubernetes.io/docs/concepts/services-networking/
network-policies/): a host of ``[[permissions.egress]]`` opens its ports to every address but those of the node's own
services, of which the cloud's credentials are one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcp_packager.manifest.serve import JwtAuth
from mcp_packager.target import DesiredInput
from mcp_targets._kube.names import Names
from mcp_targets._kube.settings import PORT
from mcp_targets._kube.site import Object, Site

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

EVERYWHERE: Final = (
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32", "fe80::/10"]}},
)
"""Every address but link-local ones, and Amazon's own of IPv6: a node's services are there, metadata among them."""

_DNS: Final = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
"""Resolvers: wherever the cluster keeps them, some in the Pods' network, some at an address of the node."""

_API_SERVER: Final = (443, 6443)
_HTTPS: Final = 443
_SCHEMES: Final = {"http": 80, "https": _HTTPS, "redis": 6379, "rediss": 6379}


def server_policy(request: DesiredInput, site: Site, metrics: Mapping[str, Any] | None) -> Object:
    """The tool's: in on its ports from anywhere, out to what the manifest names and to nothing else.

    Who may call is asked by the server; which networks get here is decided in front of it. Nodes look at health from
    addresses that no policy can name.
    """
    names = Names(request.identity)
    ports = [PORT, *([metrics["port"]] if metrics is not None else [])]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": names.base, "namespace": site.namespace, "labels": names.labels()},
        "spec": {
            "podSelector": {"matchLabels": names.servers()},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [_port(port) for port in ports]}],
            "egress": _merged([_DNS, *_egress(request.manifest, names), *site.egress]),
        },
    }


def service_policy(manifest: Manifest, names: Names, site: Site, service: str) -> Object:
    """A service's: in from the tool alone, out to nobody but resolvers."""
    component = names.component(service)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": names.service(service), "namespace": site.namespace, "labels": names.labels(component)},
        "spec": {
            "podSelector": {"matchLabels": names.selector(names.service(service))},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": names.servers()}}],
                    "ports": [_port(port) for port in manifest.services[service].ports],
                }
            ],
            "egress": [dict(_DNS)],
        },
    }


def _egress(manifest: Manifest, names: Names) -> Iterator[Mapping[str, Any]]:
    for name, service in sorted(manifest.services.items()):
        if service.image is not None:
            where = {"podSelector": {"matchLabels": names.selector(names.service(name))}}
            yield {"to": [where], "ports": [_port(port) for port in service.ports]}
        else:
            host, _, port = (service.external or "").rpartition(":")
            yield _towards(host, int(port))
    for rule in manifest.permissions.egress:
        ports = [_port(port, rule.protocol) for port in rule.ports]
        yield {"to": [{"ipBlock": {"cidr": rule.cidr}}] if rule.cidr else list(EVERYWHERE), "ports": ports}
    if manifest.permissions.aws:
        yield {"to": list(EVERYWHERE), "ports": [_port(_HTTPS)]}
    if manifest.permissions.kubernetes:
        yield {"to": list(EVERYWHERE), "ports": [_port(port) for port in _API_SERVER]}
    for address in _own(manifest):
        parts = urlsplit(address)
        yield _towards(parts.hostname or "", parts.port or _SCHEMES[parts.scheme])


def _own(manifest: Manifest) -> Iterator[str]:
    """Addresses that the server itself connects to: a collector, an issuer, the Redis of the events."""
    serve = manifest.serve
    if serve.telemetry is not None:
        yield serve.telemetry.otlp
    if isinstance(serve.auth, JwtAuth):
        yield serve.auth.issuer
        if serve.auth.jwks_url is not None:
            yield serve.auth.jwks_url
    if serve.events is not None:
        scheme, _, rest = serve.events.partition(":")
        found = manifest.env.get(rest, "") if scheme == "env" else serve.events
        if urlsplit(found).scheme in _SCHEMES:
            yield found


def _towards(host: str, port: int) -> dict[str, Any]:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return {"to": list(EVERYWHERE), "ports": [_port(port)]}
    return {"to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}], "ports": [_port(port)]}


def _merged(rules: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rules, each once."""
    once: list[Mapping[str, Any]] = []
    for rule in rules:
        if rule not in once:
            once.append(rule)
    return once


def _port(port: int, protocol: str = "tcp") -> dict[str, Any]:
    return {"port": port, "protocol": protocol.upper()}
