"""How clients from outside get to the tool: an Ingress of any class, or a route of the Gateway API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_targets._kube.names import Names
from mcp_targets._kube.site import Gateway, Ingress, Object, Public, Site
from mcp_targets._kube.workload import SERVICE_PORT

METADATA: Final = "/.well-known/oauth-protected-resource"
"""RFC 9728, section 3: what a client reads before it has a token."""


def routes(names: Names, site: Site) -> Iterator[Object]:
    """What lets clients in, where the tool has a public host."""
    match site.public:
        case None:
            return
        case Public(route=Ingress() as ingress) as public:
            yield from _ingresses(names, site, public, ingress)
        case Public(route=Gateway() as gateway) as public:
            yield _http_route(names, site, public, gateway)


def metadata_paths(path: str, *, root: bool) -> list[str]:
    """Paths of the document of RFC 9728: behind the endpoint's own path, and at the root of a host of one's own."""
    return [METADATA + path, *([METADATA] if root else [])]


def _ingresses(names: Names, site: Site, public: Public, ingress: Ingress) -> Iterator[Object]:
    own = [(site.path, "Prefix")]
    described = [(path, "Exact") for path in metadata_paths(site.path, root=public.root)]
    if ingress.metadata_annotations is None:
        yield _ingress(names.base, names, site, public, ingress, [*own, *described], ingress.annotations)
        return
    yield _ingress(names.of("metadata"), names, site, public, ingress, described, ingress.metadata_annotations)
    yield _ingress(names.base, names, site, public, ingress, own, ingress.annotations)


def _ingress(
    name: str,
    names: Names,
    site: Site,
    public: Public,
    ingress: Ingress,
    paths: list[tuple[str, str]],
    annotations: Mapping[str, str],
) -> Object:
    backend = {"service": {"name": names.base, "port": {"number": SERVICE_PORT}}}
    metadata: dict[str, Any] = {"name": name, "namespace": site.namespace, "labels": names.labels()}
    if annotations:
        metadata["annotations"] = dict(annotations)
    rule = {
        "host": public.host,
        "http": {"paths": [{"path": path, "pathType": sort, "backend": backend} for path, sort in paths]},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {
            "ingressClassName": ingress.class_name,
            **({"tls": [{"hosts": [public.host], "secretName": ingress.tls_secret}]} if ingress.tls_secret else {}),
            "rules": [rule],
        },
    }


def _http_route(names: Names, site: Site, public: Public, gateway: Gateway) -> Object:
    """https://gateway-api.sigs.k8s.io/reference/spec/#httproute."""
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "namespace": gateway.namespace,
        "name": gateway.name,
        **({"sectionName": gateway.section} if gateway.section else {}),
    }
    paths = [(site.path, "PathPrefix"), *((path, "Exact") for path in metadata_paths(site.path, root=public.root))]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": names.base, "namespace": site.namespace, "labels": names.labels()},
        "spec": {
            "parentRefs": [parent],
            "hostnames": [public.host],
            "rules": [
                {
                    "matches": [{"path": {"type": sort, "value": path}} for path, sort in paths],
                    "backendRefs": [
                        {"group": "", "kind": "Service", "name": names.base, "port": SERVICE_PORT, "weight": 1}
                    ],
                    "timeouts": {"request": "0s"},
                }
            ],
        },
    }
