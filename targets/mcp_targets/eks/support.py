"""What ``eks`` does with each portable key of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps

SUPPORT: Final[Mapping[str, Support]] = {
    "env": HONOURS,
    "secrets.description": HONOURS,
    "secrets.from": maps(
        "env:, file:, aws-sm: and aws-ssm: are read at deploy and kept in Secrets; k8s: is mounted from the tool's "
        "namespace; aws-sm: and aws-ssm: are left to the External Secrets Operator where secret_store is set"
    ),
    "secrets.as": HONOURS,
    "secrets.required": HONOURS,
    "services.image": maps("a StatefulSet of one Pod, as user 65532, so the image must run as any user"),
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
    "serve.drain": maps("15 s, or 2 s without a host: the load balancer goes on sending for a while"),
    "serve.max_body": HONOURS,
    "serve.trusted_proxies": HONOURS,
    "serve.events": HONOURS,
    "serve.rate": HONOURS,
    "serve.auth": maps("none, bearer, jwt and oidc; iam is refused: the load balancer asks nobody who is calling"),
    "serve.metrics": maps("a port of Pods and Service; a ServiceMonitor where service_monitor is set"),
    "serve.telemetry": HONOURS,
    "serve.audit": maps("a file is the Pod's log, where each line says that it is the audit's"),
    "resources.cpu": maps("request; the limit is a core, where that is more"),
    "resources.memory": maps("request and limit"),
    "resources.disk": maps("the size of /tmp, an emptyDir"),
    "scale.min": maps("replicas; 2 where unset, 0 is refused"),
    "scale.max": maps("a HorizontalPodAutoscaler where it is more than min"),
    "scale.cpu": HONOURS,
    "verify.via": maps("public and cluster; invoke is refused"),
    "verify.call": HONOURS,
    "pin.aws_account": HONOURS,
    "pin.aws_region": HONOURS,
    "pin.kube_context": maps("not looked at: the cluster is found by its name in EKS"),
}
