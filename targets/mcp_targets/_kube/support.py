"""What every target of Kubernetes does alike with portable keys of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps

COMMON: Final[Mapping[str, Support]] = {
    "env": HONOURS,
    "secrets.description": HONOURS,
    "secrets.as": HONOURS,
    "secrets.required": HONOURS,
    "services.image": maps("a StatefulSet of one Pod, as user 65532, so the image must run as any user"),
    "services.external": HONOURS,
    "services.command": HONOURS,
    "services.ports": maps("on a Service that the network policy opens to the tool alone"),
    "services.env": HONOURS,
    "services.secrets": HONOURS,
    "services.volume": maps("a PersistentVolumeClaim, which stays when the tool goes unless --data is said"),
    "services.health": maps("startup, readiness and liveness probes"),
    "services.resources": HONOURS,
    "services.provides": HONOURS,
    "permissions.kubernetes": maps("a Role in the tool's namespace, whose token is mounted only then"),
    "permissions.egress": maps(
        "rules of the network policy; a host name opens its ports to every address but a node's own"
    ),
    "serve.public_url": HONOURS,
    "serve.timeout": HONOURS,
    "serve.concurrency": HONOURS,
    "serve.hosts": maps("beside the host and the Service's names in the cluster"),
    "serve.origins": HONOURS,
    "serve.max_body": HONOURS,
    "serve.trusted_proxies": HONOURS,
    "serve.events": HONOURS,
    "serve.rate": HONOURS,
    "serve.metrics": maps("a port of Pods and Service; a ServiceMonitor where the cluster knows it"),
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
}
