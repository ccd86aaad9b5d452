"""What ``lambda`` does with each portable key of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mcp_packager.target import HONOURS, Support, maps

_BESIDE_EXTERNAL: Final = maps("belongs to a service's image, which is not run here")
_AS_NEEDED: Final = maps("Lambda starts environments as they are needed; concurrency of [target.lambda] bounds them")

SUPPORT: Final[Mapping[str, Support]] = {
    "env": HONOURS,
    "secrets.description": HONOURS,
    "secrets.from": maps("aws-sm: and aws-ssm: are read at start; env: and file: are kept in Parameter Store"),
    "secrets.as": maps("a file is written to /tmp"),
    "secrets.required": HONOURS,
    "services.image": maps("not run here: give external beside it"),
    "services.external": HONOURS,
    "services.command": _BESIDE_EXTERNAL,
    "services.ports": _BESIDE_EXTERNAL,
    "services.env": _BESIDE_EXTERNAL,
    "services.secrets": _BESIDE_EXTERNAL,
    "services.volume": _BESIDE_EXTERNAL,
    "services.health": _BESIDE_EXTERNAL,
    "services.resources": _BESIDE_EXTERNAL,
    "services.provides": HONOURS,
    "permissions.aws": maps("the function's role"),
    "permissions.kubernetes": maps("not looked at: there is no cluster"),
    "permissions.egress": maps("not enforced: security groups of [target.lambda.vpc] can"),
    "serve.path": HONOURS,
    "serve.public_url": maps("a name in front of the function's URL, which is known only after a deploy"),
    "serve.timeout": maps("900 s at most; Lambda's own is 5 s longer"),
    "serve.concurrency": maps("one request at a time in each environment"),
    "serve.hosts": maps("beside the names that AWS says a request came under"),
    "serve.origins": HONOURS,
    "serve.drain": maps("not needed: an environment that answers is not ended"),
    "serve.max_body": maps("6 MB at most"),
    "serve.trusted_proxies": maps("not needed: AWS says who is calling"),
    "serve.events": maps("not needed: nobody listens, since an open stream would be billed by the second"),
    "serve.rate": HONOURS,
    "serve.auth": HONOURS,
    "serve.metrics": maps("log lines that CloudWatch reads as metrics"),
    "serve.telemetry": maps("exported before each answer is given"),
    "serve.audit": maps("a file is the function's log, where each line says that it is the audit's"),
    "resources.cpu": maps("grows with memory of [target.lambda]"),
    "resources.memory": maps("memory of [target.lambda], where that is unset"),
    "resources.disk": maps("storage of [target.lambda], where that is unset"),
    "scale.min": _AS_NEEDED,
    "scale.max": _AS_NEEDED,
    "scale.cpu": _AS_NEEDED,
    "verify.via": maps("invoke: the new version itself, before the alias moves"),
    "verify.call": HONOURS,
    "pin.aws_account": HONOURS,
    "pin.aws_region": HONOURS,
    "pin.kube_context": maps("not looked at: there is no cluster"),
}
