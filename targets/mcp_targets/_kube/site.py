"""What one kind of cluster adds to the objects of a tool. Data alone; every target of Kubernetes fills one in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from mcp_packager.target import Key

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as JSON data: ``apiVersion``, ``kind``, ``metadata`` and the rest."""


class Pull(StrEnum):
    """When a node asks the registry for the image."""

    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"
    """It was loaded into the node."""


@dataclass(frozen=True, slots=True)
class At:
    """The tool's image, where the nodes find it.

    ``digest`` is that of the manifest or index. ``load`` names the sort of cluster whose nodes it is put into, and
    ``cluster`` the one: their store knows it by its tag, and there is no registry to ask.
    """

    repository: str
    tag: str
    digest: str
    load: str | None = None
    cluster: str | None = None

    @property
    def reference(self) -> str:
        """As a Pod names it: by digest, and where it was loaded by tag, which holds its content's hash."""
        return f"{self.repository}:{self.tag}" if self.load else f"{self.repository}@{self.digest}"


@dataclass(frozen=True, slots=True)
class Ingress:
    """How an Ingress of a class lets clients in.

    ``annotations`` stand on the tool's Ingress. ``metadata_annotations``, where given, put the paths of RFC 9728 on an
    Ingress of their own with these, for a controller that would ask their callers for a token.
    """

    class_name: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    metadata_annotations: Mapping[str, str] | None = None
    tls_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """An HTTPRoute in the place of an Ingress; ``namespace`` and ``name`` are those of the Gateway it joins."""

    namespace: str
    name: str
    section: str | None = None


Route: TypeAlias = Ingress | Gateway


@dataclass(frozen=True, slots=True)
class Public:
    """How clients from outside reach the tool.

    ``root``: the whole host is this tool's, so the document of RFC 9728 is at its root too. ``secure``: by https.
    """

    host: str
    route: Route
    root: bool = True
    secure: bool = True

    @property
    def url(self) -> str:
        """Scheme and host."""
        return f"{'https' if self.secure else 'http'}://{self.host}"


@dataclass(frozen=True, slots=True)
class Store:
    """Where the External Secrets Operator finds the secrets of ``aws-sm:`` and ``aws-ssm:``."""

    name: str
    kind: str = "ClusterSecretStore"
    refresh: str = "1h0m0s"


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of one sort of object, applied last.

    ``key`` is where the manifest holds it, for problems. ``target`` is an object's kind in any case of letters;
    ``name`` picks one by its name or, for what belongs to a service, by the service's. ``operations`` is a JSON patch
    (RFC 6902); ``merge`` a strategic merge patch.
    """

    key: str
    target: str
    name: str | None = None
    operations: tuple[Mapping[str, Any], ...] = ()
    merge: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. ``notice``: between the end of a Pod and the last request that is still sent to it.

    ``keep_alive``: how long the server keeps an idle connection; more than what stands in front of it does.
    ``start``: longest that a Pod may take to become ready.
    """

    notice: float
    keep_alive: float = 75.0
    start: float = 60.0


class Sharing(StrEnum):
    """What gives a new version its share of the calls."""

    PODS = "pods"
    """Its share of the Pods: whatever is in front of them sends to all alike."""
    ALB = "alb"
    """Weights of two target groups, in an action of the AWS Load Balancer Controller's."""
    NGINX = "nginx"
    """The weight of a second Ingress, which ingress-nginx knows as a canary."""
    ROUTE = "route"
    """Weights of a route of the Gateway API."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How a new version is tried on some of the calls, before it gets all of them.

    ``shares`` are percents, each held for ``hold`` seconds. ``errors``: by how much the share of calls that fail may be
    above that of the version before, 0 to 1. ``metrics`` is the port where Pods say how many failed; ``None``: they
    do not. ``by``: what gives it its share.
    """

    shares: tuple[int, ...]
    hold: float
    errors: float
    metrics: int | None = None
    by: Sharing = Sharing.PODS


@dataclass(frozen=True, slots=True)
class Site:
    """All that one kind of cluster adds. What is unset has the default of plain Kubernetes.

    ``path`` is the endpoint's path; ``needs`` must be there before the image can be pushed (a repository) or a Pod can
    start (a role), and ``service_account`` annotates what the Pod runs as. ``egress`` are further rules of the network
    policy, as its API spells them; ``extra`` further objects, which become resources of the phase ``prepare``.
    ``readable`` are the schemes of secrets whose values the world reads itself, at deploy. ``probed``: a deploy looks
    at the server, with tokens of its own. ``canary``: how a new version is tried first, where it is.
    """

    target: str
    namespace: str
    image: At
    path: str
    timing: Timing
    create_namespace: bool = True
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Key, ...] = ()
    pull_secrets: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ("amd64",)
    public: Public | None = None
    service_type: str = "ClusterIP"
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    service_account: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    egress: tuple[Mapping[str, Any], ...] = ()
    readable: frozenset[str] = frozenset({"env", "file"})
    store: Store | None = None
    storage_class: str | None = None
    service_monitor: bool = False
    probed: bool = True
    canary: Steps | None = None
    extra: tuple[Object, ...] = ()
    patches: tuple[Patch, ...] = ()
