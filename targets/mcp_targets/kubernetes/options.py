"""``[target.kubernetes]``: which cluster, which registry, and how clients get in."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from mcp_packager.manifest import Section
from mcp_packager.manifest.section import Many
from mcp_packager.manifest.units import Duration
from mcp_packager.manifest.words import HostName, ImageName, Line, RelativePath, UrlPath, Word
from mcp_targets._kube.options import Canary, Label, ObjectName, PatchTable

_REGISTRY: Final = (
    r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"  # as in an image's name
)
_GATEWAY: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"
_STORE: Final = r"^((Cluster)?SecretStore/)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_ISSUER: Final = r"^((Cluster)?Issuer/)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"


class Options(Section):
    """How the tool runs on a cluster. ``registry`` is needed, unless images are loaded into the nodes."""

    context: Word | None = Field(
        None, description="Context of the kubeconfig; that of [pin], else the current one, where unset"
    )
    namespace: Label = Field("mcp-tools", description="Namespace; made where it is missing, and never deleted")
    create_namespace: bool = Field(
        default=True, description="Whether the namespace is this tool's to make, under the rules of Pod Security"
    )
    registry: Annotated[str, StringConstraints(max_length=300, pattern=_REGISTRY)] | None = Field(
        None, description="Registry that the image is pushed to, such as registry.example.com/team"
    )
    pull_secrets: Many[ObjectName] = Field((), description="Secrets in the namespace that nodes show the registry")
    load: Literal["kind", "minikube", "k3s"] | None = Field(
        None, description="Load the image into the nodes of such a cluster, in place of a registry"
    )
    cluster: Word | None = Field(
        None, description="Name of the kind or minikube cluster to load into; their own default where unset"
    )
    architectures: Annotated[Many[Literal["amd64", "arm64"]], Field(min_length=1)] = Field(
        ("amd64",), description="Processors that the image is made for"
    )
    base: ImageName | None = Field(
        None, description="Image that the tool's layers stand on; python:MINOR-slim where unset"
    )
    dockerfile: RelativePath | None = Field(
        None,
        description="A Dockerfile of the project that describes the image below in place of base: for packages of the "
        "system. Docker or Podman builds it",
    )
    host: HostName | None = Field(
        None, description="Host name that clients use; without one the tool is reached from inside the cluster alone"
    )
    path: UrlPath | None = Field(
        None, description="Path of the endpoint on that host; serve.path where unset. Anything else: the host is shared"
    )
    class_: ObjectName | None = Field(None, alias="class", description="IngressClass that serves the host")
    gateway: Annotated[str, StringConstraints(max_length=400, pattern=_GATEWAY)] | None = Field(
        None, description="NAMESPACE/NAME[/LISTENER] of a Gateway to join by an HTTPRoute, in place of an Ingress"
    )
    annotations: dict[Word, Line] = Field({}, description="Annotations of the Ingress, for its controller")
    tls: ObjectName | None = Field(None, description="Secret in the namespace with the host's certificate")
    issuer: Annotated[str, StringConstraints(max_length=300, pattern=_ISSUER)] | None = Field(
        None, description="cert-manager's issuer of the certificate: NAME or Issuer/NAME"
    )
    https: bool = Field(default=True, description="Whether clients connect by https; plain http is for internal use")
    internal: bool = Field(default=False, description="Whether the host is reached from networks of your own alone")
    secret_store: Annotated[str, StringConstraints(max_length=300, pattern=_STORE)] | None = Field(
        None,
        description="Store of the External Secrets Operator, for secrets of aws-sm: and aws-ssm:: NAME or "
        "SecretStore/NAME",
    )
    service_monitor: bool = Field(
        default=True, description="Whether the Prometheus Operator, where there is one, is told of [serve.metrics]"
    )
    storage_class: ObjectName | None = Field(None, description="StorageClass of the services' volumes")
    strategy: Literal["rolling", "canary"] = Field(
        "rolling", description="How calls move to a new version: Pod by Pod, or by steps that are watched before it"
    )
    canary: Canary = Field(Canary(), description="The steps of a canary")
    start_timeout: Duration = Field(60.0, description="Longest that a Pod may take to become ready")
    keep: Annotated[int, Field(ge=0, le=100)] = Field(5, description="Earlier releases to keep for a rollback")
    patches: Many[PatchTable] = Field((), description="Changes of single objects, after all else")
