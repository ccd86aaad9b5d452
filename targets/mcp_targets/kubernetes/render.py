"""What a cluster of any sort adds: its registry, its ingress, its stores. Pure: from options to a ``Site``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcp_packager.target import Artifact
from mcp_targets._kube.options import patches_of, steps_of
from mcp_targets._kube.site import At, Gateway, Ingress, Public, Route, Sharing, Site, Store, Timing
from mcp_targets.kubernetes.options import Options

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

NAME: Final = "kubernetes"
LOCAL: Final = "localhost/mcp-pack"
"""Where an image that is loaded into nodes seems to come from: no registry is ever asked for it."""

NGINX: Final = "nginx"
"""What the installation of ingress-nginx calls its class."""

_UNBUILT: Final = "sha256:" + "0" * 64


def repository(manifest: Manifest, options: Options) -> str:
    """Where the tool's images are, without tag."""
    return f"{options.registry if options.registry and not options.load else LOCAL}/{manifest.tool.name}"


def site(manifest: Manifest, options: Options, artifact: Artifact | None = None) -> Site:
    """The site; without an artifact, for a look at it before there is one."""
    digest = _UNBUILT if artifact is None else artifact.digest
    named = f"{repository(manifest, options)}:unbuilt" if artifact is None else str(artifact.facts["reference"])
    place, _, tag = named.rpartition(":")
    return Site(
        target=NAME,
        namespace=options.namespace,
        create_namespace=options.create_namespace,
        image=At(place, tag, digest, options.load, options.cluster),
        path=options.path or manifest.serve.path,
        timing=Timing(notice=manifest.serve.drain, start=options.start_timeout),
        pull_secrets=options.pull_secrets,
        architectures=options.architectures,
        public=_public(manifest, options),
        store=_store(options),
        storage_class=options.storage_class,
        service_monitor=options.service_monitor,
        canary=steps_of(options.strategy, options.canary, manifest, _weights(options)),
        patches=patches_of(options.patches, NAME),
    )


def _public(manifest: Manifest, options: Options) -> Public | None:
    route = _route(options)
    if options.host is None or route is None:
        return None
    own = options.path is None or options.path == manifest.serve.path
    return Public(options.host, route, root=own, secure=options.https)


def _route(options: Options) -> Route | None:
    if options.gateway is not None:
        namespace, name, *section = options.gateway.split("/")
        return Gateway(namespace, name, section[0] if section else None)
    if options.class_ is None:
        return None
    annotations = dict(options.annotations)
    tls = options.tls
    if options.issuer is not None:
        kind, _, name = options.issuer.rpartition("/")
        # https://cert-manager.io/docs/usage/ingress/
        annotations["cert-manager.io/issuer" if kind == "Issuer" else "cert-manager.io/cluster-issuer"] = name
        tls = tls or f"{options.host}-tls".replace("*", "any")
    return Ingress(options.class_, annotations, tls_secret=tls)


def _weights(options: Options) -> Sharing:
    """What weighs calls. A class is taken for ingress-nginx's by its name, or because the manifest says so."""
    if options.host is None:
        return Sharing.PODS
    if options.gateway is not None:
        return Sharing.ROUTE
    return Sharing.NGINX if options.class_ == NGINX or options.canary.by == "weights" else Sharing.PODS


def _store(options: Options) -> Store | None:
    if options.secret_store is None:
        return None
    kind, _, name = options.secret_store.rpartition("/")
    return Store(name, kind or "ClusterSecretStore")


def is_public(manifest: Manifest, options: Options) -> bool:
    """Whether everybody may reach it: it has a host, and nothing says that the host is internal."""
    shown = urlsplit(manifest.serve.public_url or "").hostname
    return (options.host is not None or shown is not None) and not options.internal
