"""Manifests for a cluster, from the smallest to one that asks for everything, and what is made of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mcp_packager.manifest import Manifest, load
from mcp_packager.target import Artifact, DesiredInput, Resource, base_config, identity_of
from mcp_targets._kube.plain import plain_objects
from mcp_targets._kube.render import resources
from mcp_targets._kube.site import Object, Site
from mcp_targets.eks import target as eks
from mcp_targets.eks.render import site as eks_site
from mcp_targets.kubernetes import target
from mcp_targets.kubernetes.options import Options
from mcp_targets.kubernetes.render import repository, site

yaml: Any = importlib.import_module("yaml")  # it has no types of its own

DIGEST: Final = "sha256:" + "a" * 64
TAG: Final = "1.2.0-0123456789ab"

SMALLEST: Final = """
[tool]
name = "shop"
entrypoint = "shop"

[target.kubernetes]
registry = "registry.example.com/team"
"""

EVERYTHING: Final = """
[tool]
name = "shop"
version = "1.2.0rc1"
description = "Answers what is in stock, and how much of it."
entrypoint = "shop"
project = "market"

[env]
GREETING = "hello"

[secrets.API_KEY]
[secrets.OPTIONAL]
from = "file:optional.txt"
required = false
[secrets.SHARED]
from = "k8s:shared/token"
[secrets.FETCHED]
from = "aws-sm:team/shop#password"

[services.store]
image = "redis:7.4"
command = ["--appendonly", "yes"]
ports = [6379]
volume = { path = "/data", size = "2Gi" }
secrets = { PASSWORD = "API_KEY" }
health = { command = ["redis-cli", "ping"], start = "20s" }
provides = { STORE = "redis://{host}:{port}/0" }

[services.search]
image = "registry.example.com/search@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
ports = [9200, 9300]
env = { MODE = "single" }
resources = { cpu = 1.5, memory = "1Gi" }

[services.mail]
external = "192.0.2.25:587"
provides = { MAIL = "{host}:{port}" }

[permissions]
egress = [
  { host = "api.example.com" },
  { cidr = "198.51.100.0/24", ports = [5432, 5433] },
  { cidr = "203.0.113.7/32", ports = [123], protocol = "udp" },
]

[[permissions.kubernetes]]
resources = ["configmaps"]
verbs = ["get", "list"]
names = ["prices"]

[[permissions.aws]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::prices/*"]

[serve]
drain = "20s"
timeout = "90s"

[serve.auth]
mode = "oidc"
issuer = "https://login.example.com:8443"

[serve.metrics]
port = 9464

[serve.telemetry]
otlp = "http://collector.telemetry:4318"

[serve.audit]
to = "file"

[resources]
cpu = "300m"
memory = "384Mi"
disk = "128Mi"

[scale]
min = 3
max = 9
cpu = 60

[target.kubernetes]
registry = "registry.example.com/team"
pull_secrets = ["registry"]
architectures = ["amd64", "arm64"]
host = "shop.example.com"
class = "nginx"
issuer = "Issuer/internal"
annotations = { "nginx.ingress.kubernetes.io/proxy-read-timeout" = "120" }
secret_store = "aws"
service_monitor = true
storage_class = "fast"

[[target.kubernetes.patches]]
target = "Deployment"
json = [{ op = "add", path = "/spec/template/spec/priorityClassName", value = "important" }]

[[target.kubernetes.patches]]
target = "StatefulSet"
name = "store"
merge = { spec = { template = { spec = { containers = [{ name = "store", workingDir = "/data" }] } } } }
"""

GATEWAY: Final = """
[tool]
name = "shop"
entrypoint = "shop"

[serve.auth]
mode = "bearer"
keys = ["KEY"]

[secrets.KEY]

[target.kubernetes]
load = "kind"
namespace = "team-a"
create_namespace = false
host = "tools.example.com"
path = "/shop/mcp"
gateway = "infra/shared/https"
"""

PATCHED: Final = f"""{SMALLEST}
[[target.kubernetes.patches]]
target = "deployment"
json = [
  {{ op = "remove", path = "/spec/template/spec/affinity" }},
  {{ op = "test", path = "/spec/template/spec/containers/0/name", value = "server" }},
  {{ op = "add", path = "/spec/template/spec/containers/0", value = {{ name = "beside", image = "example.com/a:1" }} }},
]
"""
"""One with another container in front of the tool's."""

SAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {"smallest": SMALLEST, "everything": EVERYTHING, "gateway": GATEWAY}
)

_EKS: Final = """
[tool]
name = "shop"
entrypoint = "shop"

[serve.metrics]

[[permissions.aws]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::prices/*"]

[target.eks]
cluster = "main"
region = "eu-central-1"
account = "123456789012"
host = "tools.example.com"
"""

ON_EKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eks-group": f'{_EKS}group = "tools"\nshared_host = true\nidentity = "irsa"\n',
        "eks-gateway": f'{_EKS}gateway = "infra/shared"\ntarget_type = "instance"\n',
    }
)
"""What the other target of Kubernetes adds, for what is shared by both."""


@dataclass(frozen=True)
class Made:
    """One manifest with what the target makes of it."""

    manifest: Manifest
    request: DesiredInput
    site: Site

    @property
    def resources(self) -> tuple[Resource, ...]:
        return resources(self.request, self.site)

    @property
    def objects(self) -> tuple[Object, ...]:
        """The objects as files hold them."""
        return plain_objects(self.request, self.site)

    def of(self, kind: str, name: str | None = None) -> Object:
        """The one object of a kind, or of that kind for a service."""
        found = [item for item in self.objects if item["kind"] == kind]
        if name is not None:
            found = [item for item in found if item["metadata"]["name"].startswith(f"{name}-")]
        (item,) = found
        return item

    @property
    def pod(self) -> dict[str, Any]:
        """The Pod template of the tool."""
        found: dict[str, Any] = self.of("Deployment")["spec"]["template"]
        return found

    @property
    def server(self) -> dict[str, Any]:
        """The tool's container."""
        return dict(next(one for one in self.pod["spec"]["containers"] if one["name"] == "server"))


def made(folder: Path, text: str, stage: str = "default") -> Made:
    """What the target makes of a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mcp-tool.toml").write_text(text, encoding="utf-8")
    manifest = load(folder, stage=stage, options={"kubernetes": Options})
    options = manifest.targets.get("kubernetes", Options())
    tool = manifest.tool
    facts = {"reference": f"{repository(manifest, options)}:{TAG}"}
    artifact = Artifact("kubernetes", "image", tool.name, tool.version, DIGEST, 1, "c" * 64, facts=facts)
    config = base_config(manifest, "kubernetes", target.exposure(manifest, options))
    request = DesiredInput(manifest, options, identity_of(manifest), artifact, config)
    return Made(manifest, request, site(manifest, options, artifact))


def made_on_eks(folder: Path, text: str) -> Made:
    """What the target ``eks`` makes of a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mcp-tool.toml").write_text(text, encoding="utf-8")
    manifest = load(folder, options={"eks": eks.about.options})
    options, tool = manifest.targets["eks"], manifest.tool
    artifact = Artifact(
        "eks", "image", tool.name, tool.version, DIGEST, 1, "c" * 64, facts={"reference": f"shop:{TAG}"}
    )
    config = base_config(manifest, "eks", eks.exposure(manifest, options))
    request = DesiredInput(manifest, options, identity_of(manifest), artifact, config)
    return Made(manifest, request, eks_site(manifest, options, artifact))
