"""``[target.eks]``: which cluster, under which host, behind which load balancer."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from mcp_packager.manifest import Section
from mcp_packager.manifest.section import Many
from mcp_packager.manifest.units import Duration
from mcp_packager.manifest.words import Cidr, HostName, ImageName, Line, RelativePath, Word
from mcp_targets._kube.options import Canary, Label, ObjectName, PatchTable

_REGION: Final = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
_ACCOUNT: Final = r"^[0-9]{12}$"
_CLUSTER: Final = r"^[0-9A-Za-z][A-Za-z0-9_-]*$"
_CERTIFICATE: Final = r"^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$"
_REPOSITORY: Final = r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
_GATEWAY: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"
_STORE: Final = r"^((Cluster)?SecretStore/)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_ARN: Final = r"^arn:[^\u0000-\u0020\u007f]+$"

Certificate = Annotated[str, StringConstraints(max_length=2000, pattern=_CERTIFICATE)]
Arn = Annotated[str, StringConstraints(max_length=2000, pattern=_ARN)]

DEFAULT_CLASS: Final = "alb"
"""What the installation of the AWS Load Balancer Controller calls its class."""


class Options(Section):
    """How the tool runs on Amazon EKS. ``cluster`` is needed, and region and account here or in ``[pin]``."""

    cluster: Annotated[str, StringConstraints(max_length=100, pattern=_CLUSTER)] | None = Field(
        None, description="Name of the cluster in EKS"
    )
    region: Annotated[str, StringConstraints(pattern=_REGION)] | None = Field(
        None, description="AWS region of the cluster; that of [pin] where unset"
    )
    account: Annotated[str, StringConstraints(pattern=_ACCOUNT)] | None = Field(
        None, description="AWS account of the cluster, twelve digits; that of [pin] where unset"
    )
    namespace: Label = Field("mcp-tools", description="Namespace; made where it is missing, and never deleted")
    create_namespace: bool = Field(
        default=True, description="Whether the namespace is this tool's to make, under the rules of Pod Security"
    )
    host: HostName | None = Field(
        None, description="Host name that clients use; without one the tool is reached from inside the cluster alone"
    )
    shared_host: bool = Field(
        default=False, description="Whether other tools are on that host too: this one is then at /<tool>/mcp"
    )
    certificate: Many[Certificate] = Field(
        (), description="ARNs of the host's certificates in ACM; found by the host's name where empty"
    )
    class_: ObjectName | None = Field(
        None,
        alias="class",
        description="IngressClass that somebody else looks after, with all that belongs to its load balancer",
    )
    group: Label | None = Field(None, description="Tools of one group share one load balancer")
    order: Annotated[int, Field(ge=-1000, le=1000)] | None = Field(
        None, description="Place of the tool's rules within its group, lowest first"
    )
    scheme: Literal["internal", "internet-facing"] | None = Field(
        None, description="Who reaches the load balancer: its network alone (the default), or everybody"
    )
    idle_timeout: Duration | None = Field(
        None,
        description="Longest silence on a connection before the load balancer cuts it; fits serve.timeout if unset",
    )
    ssl_policy: Word | None = Field(None, description="TLS policy of the load balancer; one with TLS 1.3 where unset")
    subnets: Many[Word] = Field((), description="Subnets of the load balancer; found by their tags where empty")
    security_groups: Many[Word] = Field((), description="Security groups of the load balancer; its own where empty")
    inbound_cidrs: Many[Cidr] = Field((), description="Networks that may connect to the load balancer")
    waf: Arn | None = Field(None, description="ARN of the web ACL in front of the load balancer")
    attributes: dict[Word, Line] = Field(
        {}, description="Further attributes of the load balancer, such as access_logs.s3.bucket"
    )
    https: bool = Field(default=True, description="Whether clients connect by https; plain http is for internal use")
    target_type: Literal["ip", "instance"] = Field(
        "ip", description="Whether the load balancer sends to Pods (ip), or to ports of the nodes (instance)"
    )
    gateway: Annotated[str, StringConstraints(max_length=400, pattern=_GATEWAY)] | None = Field(
        None, description="NAMESPACE/NAME[/LISTENER] of a Gateway to join by an HTTPRoute, in place of an Ingress"
    )
    external_dns: bool = Field(default=False, description="Whether external-dns makes the host's DNS record")
    identity: Literal["pod", "irsa"] = Field(
        "pod", description="How Pods are their role: EKS Pod Identity, or the cluster's tokens (irsa, for Fargate)"
    )
    boundary: Arn | None = Field(None, description="ARN of the policy that bounds every role")
    repository: Annotated[str, StringConstraints(min_length=2, max_length=256, pattern=_REPOSITORY)] | None = Field(
        None, description="Repository in ECR that several tools share; one of the tool's own where unset"
    )
    keep_images: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100, description="Images that the tool's own repository keeps"
    )
    kms_key: Word | None = Field(None, description="KMS key of the tool's own repository; ECR's own where unset")
    secret_store: Annotated[str, StringConstraints(max_length=300, pattern=_STORE)] | None = Field(
        None,
        description="Store of the External Secrets Operator, for secrets of aws-sm: and aws-ssm:: NAME or "
        "SecretStore/NAME; whoever deploys reads them where unset",
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
