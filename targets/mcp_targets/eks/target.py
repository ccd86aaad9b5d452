"""The target ``eks``: the tool on Amazon EKS, its image in ECR, behind an application load balancer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

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
from mcp_targets._kube.judging import problems
from mcp_targets._kube.options import untried, unweighed
from mcp_targets.eks import balancer
from mcp_targets.eks.options import Options
from mcp_targets.eks.place import unplaced, where
from mcp_targets.eks.render import NAME, repository, resources, site
from mcp_targets.eks.support import SUPPORT

if TYPE_CHECKING:
    from mcp_targets._kube.world import KubeWorld

ABOUT: Final = About(
    name=NAME,
    api=TARGET_API,
    summary="Amazon EKS behind an application load balancer",
    options=Options,
    support=SUPPORT,
    capabilities=Capabilities(candidate=True, via=frozenset({Via.PUBLIC, Via.CLUSTER})),
)

_FETCH: Final = "name the cluster's store in secret_store of [target.eks]"


class EksTarget:
    """Runs the tool as Pods of a cluster of EKS."""

    about = ABOUT

    def check(self, manifest: Manifest, options: Any) -> tuple[Problem, ...]:
        """What is missing, what contradicts itself, and what is somebody else's to say."""
        missing = tuple(unplaced(manifest, options))
        cluster = () if missing else tuple(problems(manifest, site(manifest, options), fetch=_FETCH))
        wrong = (
            *building.based_twice(manifest, NAME, options.base, options.dockerfile),
            *untried(manifest, NAME, options.strategy, options.model_fields_set),
            *unweighed(manifest, NAME, options.canary, is_let_in=options.host is not None),
        )
        return (*missing, *_addressed(manifest, options), *_balanced(manifest, options), *wrong, *cluster)

    def exposure(self, manifest: Manifest, options: Any) -> Exposure:  # noqa: ARG002  # the protocol's signature
        """Whom the load balancer lets in; everybody, where it is somebody else's and nothing is said of it."""
        if options.host is None or options.scheme == "internal":
            return Exposure.NETWORK
        is_somebody_elses = balancer.owner(options) is balancer.Owner.PLATFORM
        return Exposure.INTERNET if options.scheme == "internet-facing" or is_somebody_elses else Exposure.NETWORK

    def platforms(self, manifest: Manifest, options: Any) -> tuple[tuple[Platform, Interpreter], ...]:
        """Linux on the processors of the nodes, with the Python at hand."""
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
        )

    def taken(self, artifact: Artifact, manifest: Manifest, options: Any) -> Artifact:
        """The artifact, with the name that its image has for the nodes."""
        from mcp_targets._kube.taking import taken

        return taken(artifact, NAME, repository(manifest, options), options.architectures, loads=False)

    def desired(self, request: DesiredInput) -> tuple[Resource, ...]:
        """Repository and role, and the objects in the cluster."""
        return resources(request, request.options)

    def world(self, request: WorldInput) -> KubeWorld:
        """The cluster and the account, as far as they are this deployment's."""
        from mcp_targets.eks.world import world

        return world(request)

    def clashes(self, intent: Intent, others: Sequence[Intent]) -> tuple[Problem, ...]:
        """Tools of one run that want the same host and path, or what one load balancer cannot be or hold."""
        from mcp_targets._kube.together import clashing
        from mcp_targets.eks.groups import between

        return between(intent, others) or clashing(intent, others)

    def examine(self, manifest: Manifest, options: Any, environ: Mapping[str, str]) -> Examination:  # noqa: ARG002  # boto3 reads the environment itself
        """Whether account and cluster have what a deploy needs."""
        from mcp_targets.eks.examine import examined

        return examined(manifest, options)


def _addressed(manifest: Manifest, options: Options) -> Iterator[Problem]:
    """What is wrong with host and path."""
    file = str(manifest.path)
    shown = urlsplit(manifest.serve.public_url or "").hostname
    if options.host is not None and shown not in {None, options.host.lower()}:
        yield Problem(
            "[serve] and [target.eks] name two hosts",
            "leave public_url away: the target makes it of the host",
            Place(file, key="serve.public_url"),
            expected=options.host,
            found=shown,
        )
    if options.host is not None and options.host.startswith("*"):
        yield Problem(
            "clients cannot call a host with a star in it",
            "name one host; certificates may have a star",
            Place(file, key="target.eks.host"),
            found=options.host,
        )
    if options.shared_host and options.host is None:
        yield Problem(
            "there is no host to share", "add host to [target.eks]", Place(file, key="target.eks.shared_host")
        )
    region = where(manifest, options).region if not tuple(unplaced(manifest, options)) else None
    for arn in options.certificate:
        if region is not None and arn.split(":")[3] != region:
            yield Problem(
                "a load balancer takes certificates of its own region alone",
                f"have the certificate issued in {region}, and name that one",
                Place(file, key="target.eks.certificate"),
                expected=region,
                found=arn.split(":")[3],
            )


def _balanced(manifest: Manifest, options: Options) -> Iterator[Problem]:
    """What is wrong with the load balancer."""
    file = str(manifest.path)
    idle = balancer.idle(manifest, options)
    if not 1 <= idle <= balancer.LONGEST_IDLE:
        yield Problem(
            "the idle timeout of a load balancer is between 1 s and 4000 s",
            'set it within that, such as idle_timeout = "300s"',
            Place(file, key="target.eks.idle_timeout"),
            found=f"{idle} s",
        )
    if options.host is not None and manifest.serve.timeout >= idle:
        yield Problem(
            f"a call may take {manifest.serve.timeout:g} s, and the load balancer cuts a connection that is silent "
            f"for {idle} s",
            "raise idle_timeout of [target.eks] (4000s at most), for every tool that shares the load balancer, "
            "or lower serve.timeout",
            Place(file, key="serve.timeout"),
        )
    if not options.https and options.scheme == "internet-facing":
        yield Problem(
            "everybody would reach the tool, and what they say to it would not be encrypted",
            "leave https away",
            Place(file, key="target.eks.https"),
            found="https = false",
        )
    yield from _strange(options, file)


def _strange(options: Options, file: str) -> Iterator[Problem]:
    """What is said of a load balancer that somebody else looks after."""
    if options.class_ is not None and options.gateway is not None:
        yield Problem(
            "a tool is behind an Ingress of a class or behind a Gateway, not both",
            "leave class or gateway away",
            Place(file, key="target.eks.gateway"),
        )
    said = {
        "ssl_policy": options.ssl_policy,
        "subnets": options.subnets,
        "security_groups": options.security_groups,
        "inbound_cidrs": options.inbound_cidrs,
        "waf": options.waf,
        "attributes": options.attributes,
    }
    match balancer.owner(options):
        case balancer.Owner.PLATFORM:
            refused = [key for key, value in said.items() if value]
            whose = "belongs to whoever looks after the load balancer: two tools that differ in it would stop both"
        case balancer.Owner.GROUP:
            refused = ["security_groups"] if options.security_groups else []
            whose = "cannot be said for a group: the controller takes it from each Ingress alone"
        case balancer.Owner.TOOL:
            refused, whose = [], ""
    for key in refused:
        yield Problem(
            f"{key} {whose}",
            "leave it away, or give the tool a load balancer of its own",
            Place(file, key=f"target.eks.{key}"),
        )
