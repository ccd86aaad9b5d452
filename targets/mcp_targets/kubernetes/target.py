"""The target ``kubernetes``: the tool on any cluster, behind any ingress, its image in any registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Place, Problem
from mcp_packager.interpreters import Interpreter
from mcp_packager.manifest import Manifest
from mcp_packager.platforms import Platform
from mcp_packager.target import (
    TARGET_API,
    About,
    Artifact,
    BuildInput,
    Capabilities,
    DesiredInput,
    Examination,
    Exposure,
    Intent,
    Resource,
    Via,
    WorldInput,
)
from mcp_targets._kube import building
from mcp_targets._kube.options import untried, unweighed
from mcp_targets.kubernetes.options import Options
from mcp_targets.kubernetes.render import NAME, is_public, repository, site
from mcp_targets.kubernetes.support import SUPPORT

if TYPE_CHECKING:
    from mcp_packager.target import World

ABOUT: Final = About(
    name=NAME,
    api=TARGET_API,
    summary="Pods on any Kubernetes cluster, behind its ingress, with their services",
    options=Options,
    support=SUPPORT,
    capabilities=Capabilities(candidate=True, via=frozenset({Via.PUBLIC, Via.CLUSTER})),
)


class KubernetesTarget:
    """Runs the tool as a Deployment, updated Pod by Pod."""

    about = ABOUT

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:
        """What no cluster can do, and options that do not go together."""
        from mcp_targets._kube.judging import problems

        fetch = "set secret_store under [target.kubernetes] to a store of the External Secrets Operator"
        wrong = (
            *_options(manifest, options),
            *building.based_twice(manifest, NAME, options.base, options.dockerfile),
            *untried(manifest, NAME, options.strategy, options.model_fields_set),
            *unweighed(manifest, NAME, options.canary, is_let_in=options.host is not None),
        )
        return (*wrong, *problems(manifest, site(manifest, options), fetch=fetch))

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:
        """Everybody where it has a host, unless that is internal; else those in the cluster."""
        return Exposure.INTERNET if is_public(manifest, options) else Exposure.NETWORK

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:
        """Linux on every processor that is asked for, with the Python at hand."""
        return building.platforms(manifest, options.architectures)

    def base_image(self, manifest: Manifest, options: Any) -> str | None:
        """The image that the tool's layers stand on, unless a Dockerfile describes it."""
        return building.base_image(manifest, options.base, options.dockerfile)

    def build(self, request: BuildInput) -> Artifact:
        """Write the image as an OCI layout, and the objects for those who apply them by other means."""
        manifest, options = request.manifest, request.options
        return building.built(
            request,
            NAME,
            repository(manifest, options),
            self.exposure(manifest, options),
            lambda artifact: site(manifest, options, artifact),
            single=options.load is not None,
        )

    def taken(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:
        """The artifact, with the name that its image has for the nodes."""
        from mcp_targets._kube.taking import taken

        place, loads = repository(manifest, options), options.load is not None
        return taken(artifact, NAME, place, options.architectures, loads=loads)

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        """The image, secrets and keys, and every object."""
        from mcp_targets._kube.render import resources

        return resources(request, site(request.manifest, request.options, request.artifact))

    def world(self, request: WorldInput) -> World:
        """The cluster of the context, as far as it is this deployment's."""
        from mcp_targets._kube.client import kubeconfig
        from mcp_targets._kube.world import KubeWorld

        return KubeWorld(request, kubeconfig(_context(request), request.environ))

    def clashes(self, intent: Intent, others: Sequence[Intent]) -> tuple[Problem, ...]:
        """Tools of one run that claim the same host and path."""
        from mcp_targets._kube.together import clashing

        return clashing(intent, others)

    def examine(self, manifest: Manifest, options: Any, environ: Mapping[str, str]) -> Examination:
        """Whether the cluster has what a deploy needs."""
        from mcp_targets._kube.client import Api, kubeconfig
        from mcp_targets._kube.examine import examined

        return examined(Api(kubeconfig(options.context or manifest.pin.kube_context, environ)), options.namespace)


def _context(request: WorldInput) -> str | None:
    pinned = None if request.manifest is None else request.manifest.pin.kube_context
    return (None if request.options is None else request.options.context) or pinned


def _options(manifest: Manifest, options: Options) -> Iterator[Problem]:
    def problem(key: str, what: str, fix: str) -> Problem:
        return Problem(what, fix, Place(str(manifest.path), key=f"target.{NAME}.{key}"))

    if options.registry is None and options.load is None:
        yield problem(
            "registry",
            "the nodes of the cluster have no place to get the image from",
            'add registry = "registry.example.com/team", or load = "kind" for a cluster on this machine',
        )
    if options.load is not None and len(set(options.architectures)) > 1:
        yield problem("load", "an image that is loaded into nodes is of one processor", "name one under architectures")
    if options.cluster is not None and options.load not in {"kind", "minikube"}:
        yield problem("cluster", "cluster names one that images are loaded into", 'add load = "kind", or remove it')
    if options.host is not None and options.class_ is None and options.gateway is None:
        yield problem(
            "host",
            f"nothing lets clients in at {options.host}",
            'add class = "nginx", or whichever kubectl get ingressclass shows; or gateway = "NAMESPACE/NAME"',
        )
    if options.class_ is not None and options.gateway is not None:
        yield problem("gateway", "a host is served by a class or by a gateway, not by both", "keep one of the two")
    yield from _routed(options, problem)
    if options.context is not None and manifest.pin.kube_context not in {None, options.context}:
        yield problem(
            "context",
            f"the stage {manifest.stage} may be deployed to the context {manifest.pin.kube_context} alone",
            "use that context, or change [pin]",
        )


def _routed(options: Options, problem: Any) -> Iterator[Problem]:
    """What means something for a host alone, or for an Ingress alone."""
    told = {"tls": options.tls, "issuer": options.issuer, "annotations": options.annotations or None}
    for key, value in told.items():
        if value is not None and options.class_ is None:
            yield problem(key, f"{key} is for an Ingress, and there is none", "add host and class, or remove it")
    for key, value in {"path": options.path, "class": options.class_, "gateway": options.gateway}.items():
        if value is not None and options.host is None:
            yield problem(key, f"{key} says how a host is served, and there is none", "add host, or remove it")
    if not options.https and (options.tls or options.issuer):
        yield problem("https", "there is a certificate, and clients are told not to use it", "remove https = false")
