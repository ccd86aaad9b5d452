"""What ``eks`` does with each portable key of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps

SUPPORT: Final[Mapping[str, Support]] = {
    "env": HONOURS,
    "secrets.description": HONOURS,
    "secrets.from": maps("env:, file:, aws-sm: and aws-ssm: are read at deploy and kept in Secrets; k8s: is mounted"),
    "secrets.as": HONOURS,
    "secrets.required": HONOURS,
    "services.image": maps("a StatefulSet of one Pod in the tool's namespace"),
    "services.external": HONOURS,
    "services.command": HONOURS,
    "services.ports": maps("on a Service of the cluster's; none is published"),
    "services.env": HONOURS,
    "services.secrets": HONOURS,
    "services.volume": maps("a PersistentVolumeClaim, which stays unless --data is said"),
    "services.health": maps("probes of the Pod"),
    "services.resources": HONOURS,
    "services.provides": HONOURS,
    "permissions.aws": maps("a role of the tool's Pods, by Pod Identity or IRSA"),
    "permissions.kubernetes": maps("a Role in the tool's namespace"),
    "permissions.egress": maps(
        "a NetworkPolicy, which knows networks and ports: a host opens its ports to all addresses"
    ),
    "serve.path": maps("below /<tool> on a host that tools share"),
    "serve.public_url": HONOURS,
    "serve.timeout": HONOURS,
    "serve.concurrency": HONOURS,
    "serve.hosts": HONOURS,
    "serve.origins": HONOURS,
    "serve.drain": maps("17 s: the load balancer is told first, and goes on sending for a while"),
    "serve.max_body": HONOURS,
    "serve.trusted_proxies": HONOURS,
    "serve.events": HONOURS,
    "serve.rate": HONOURS,
    "serve.auth": maps("none, bearer, jwt and oidc; iam is refused: the load balancer asks nobody who is calling"),
    "serve.metrics": maps("on the Service, in the cluster alone"),
    "serve.telemetry": HONOURS,
    "serve.audit": maps("a file is the Pod's log, where each line says that it is the audit's"),
    "resources.cpu": maps("the request; a whole core may be used where it is idle"),
    "resources.memory": HONOURS,
    "resources.disk": maps("the size of /tmp, which is on the node's disk"),
    "scale.min": maps("fewest Pods; 2 where unset"),
    "scale.max": HONOURS,
    "scale.cpu": HONOURS,
    "verify.via": maps("public or cluster"),
    "verify.call": HONOURS,
    "pin.aws_account": HONOURS,
    "pin.aws_region": HONOURS,
    "pin.kube_context": maps("not looked at: the cluster is found by its name in EKS"),
}
