"""The load balancer in front of a tool, as annotations of its Ingress and as what a group of tools shares.

The AWS Load Balancer Controller makes one of each group of Ingresses. What belongs to the load balancer itself must be
said in one place: two Ingresses of a group that differ in it stop the whole group. So an Ingress carries what is its
target group's alone, unless the load balancer is the tool's own. The annotations:
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mcp_targets._kube.names import MANAGER
from mcp_targets._kube.site import Object
from mcp_targets.eks.options import Options

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

PREFIX: Final = "alb.ingress.kubernetes.io/"
CONTROLLER: Final = "ingress.k8s.aws/alb"
PARAMS_VERSION: Final = "elbv2.k8s.aws/v1beta1"
OWNER: Final = "mcp-pack/owner"
"""Annotation of a group's parameters: the deployment that said what its load balancer is like."""

NOTICE: Final = 15.0
"""Seconds after the end of a Pod began in which the load balancer may still send it a request: the controller hears of
it, deregisters it, and every node of the load balancer learns."""
SPARE: Final = 15.0
"""Seconds that the server keeps an idle connection longer than the load balancer: who closes first meets no request."""

READY: Final = "/readyz"
EVERY: Final = 5
WITHIN: Final = 3
"""Seconds between two health checks, and those that an answer may take: as often as a load balancer asks at all. A Pod
that was killed gets calls until two checks have failed, or its node has told that it is gone."""
_IDLE: Final = 60
_GROUP_IDLE: Final = 300
"""Idle timeout of a load balancer that several tools share, where none is said: the same for all of them."""
LONGEST_IDLE: Final = 4000
_LONGEST_DELAY: Final = 3600
_TLS_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-2021-06"
_MARGIN: Final = 5


class Owner(StrEnum):
    """Whose the load balancer is, and so where its settings stand."""

    TOOL = "tool"
    """This tool's alone: on its Ingress."""
    GROUP = "group"
    """A group of tools': in IngressClassParams that the first of them makes."""
    PLATFORM = "platform"
    """Somebody else's, who looks after an IngressClass or a Gateway."""


def owner(options: Options) -> Owner:
    """Whose the load balancer is."""
    if options.class_ is not None or options.gateway is not None:
        return Owner.PLATFORM
    return Owner.TOOL if options.group is None else Owner.GROUP


def class_name(options: Options) -> str:
    """The class of the tool's Ingress."""
    if options.class_ is not None:
        return options.class_
    return "alb" if options.group is None else group_class(options.group)


def group_class(group: str) -> str:
    """The class that the tools of a group have in common."""
    return f"mcp-pack-{group}"


def idle(manifest: Manifest, options: Options) -> int:
    """Seconds of silence after which the load balancer cuts a connection: what it has, or what is taken for granted."""
    if options.idle_timeout is not None:
        return math.ceil(options.idle_timeout)
    match owner(options):
        case Owner.TOOL:
            return min(LONGEST_IDLE, max(_IDLE, math.ceil(manifest.serve.timeout) + _MARGIN))
        case Owner.GROUP | Owner.PLATFORM:
            return _GROUP_IDLE


def delay(manifest: Manifest) -> int:
    """Seconds that open requests get once a Pod is deregistered: the last to be sent, and as long as one may take."""
    return min(_LONGEST_DELAY, math.ceil(NOTICE + manifest.serve.timeout) + _MARGIN)


def annotated(manifest: Manifest, options: Options) -> dict[str, str]:
    """Everything on the tool's Ingress."""
    mine = owner(options) is Owner.TOOL
    return dict(sorted({**_target(manifest, options), **(_own(manifest, options) if mine else {})}.items()))


def _target(manifest: Manifest, options: Options) -> dict[str, str]:
    """What belongs to the target group and the rules: never in conflict with another Ingress."""
    made = {
        "target-type": options.target_type,
        "backend-protocol": "HTTP",
        "healthcheck-protocol": "HTTP",
        "healthcheck-path": READY,
        "success-codes": "200",
        "healthcheck-interval-seconds": str(EVERY),
        "healthcheck-timeout-seconds": str(WITHIN),
        "healthy-threshold-count": "2",
        "unhealthy-threshold-count": "2",
        "target-group-attributes": _spelled(target_attributes(manifest)),
        "listen-ports": json.dumps(_ports(options), separators=(",", ":")),
    }
    if options.certificate:
        made["certificate-arn"] = ",".join(options.certificate)
    if options.order is not None:
        made["group.order"] = str(options.order)
    if options.group is not None and options.class_ is not None:
        made["group.name"] = options.group
    found = {PREFIX + key: value for key, value in made.items()}
    if options.external_dns and options.host is not None:
        found["external-dns.alpha.kubernetes.io/hostname"] = options.host
    return found


def target_attributes(manifest: Manifest) -> dict[str, str]:
    """Attributes of the target group."""
    return {
        "deregistration_delay.timeout_seconds": str(delay(manifest)),
        "load_balancing.algorithm.type": "least_outstanding_requests",
    }


def _ports(options: Options) -> list[dict[str, int]]:
    """The listeners that the tool's rules are on.

    Of a load balancer that is somebody else's nobody here knows whether it redirects, so plain http is left away.
    """
    if not options.https:
        return [{"HTTP": 80}]
    return [{"HTTPS": 443}] if owner(options) is Owner.PLATFORM else [{"HTTP": 80}, {"HTTPS": 443}]


def _own(manifest: Manifest, options: Options) -> dict[str, str]:
    """What belongs to the load balancer, where it is the tool's own."""
    made = {
        "scheme": options.scheme or "internal",
        "load-balancer-attributes": _spelled(balancer_attributes(idle(manifest, options), options)),
    }
    if options.https:
        made |= {"ssl-policy": options.ssl_policy or _TLS_POLICY, "ssl-redirect": "443"}
    if options.subnets:
        made["subnets"] = ",".join(options.subnets)
    if options.security_groups:
        made |= {
            "security-groups": ",".join(options.security_groups),
            "manage-backend-security-group-rules": "true",
        }
    if options.inbound_cidrs:
        made["inbound-cidrs"] = ",".join(options.inbound_cidrs)
    if options.waf is not None:
        made["wafv2-acl-arn"] = options.waf
    return {PREFIX + key: value for key, value in made.items()}


def balancer_attributes(seconds: int, options: Options) -> dict[str, str]:
    """Attributes of the load balancer. A key that is taken away later keeps its value there, so none is optional."""
    return {
        **options.attributes,
        "idle_timeout.timeout_seconds": str(seconds),
        "routing.http.drop_invalid_header_fields.enabled": "true",
    }


def _spelled(attributes: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(attributes.items()))


def group_objects(manifest: Manifest, options: Options, labels: Mapping[str, str], owner: str) -> tuple[Object, ...]:
    """The class of a group of tools, and the parameters that say once what its load balancer is like."""
    if options.group is None:
        return ()
    name = group_class(options.group)
    spec: dict[str, Any] = {
        "group": {"name": options.group},
        "scheme": options.scheme or "internal",
        "loadBalancerAttributes": [
            {"key": key, "value": value}
            for key, value in sorted(balancer_attributes(idle(manifest, options), options).items())
        ],
    }
    if options.https:
        spec |= {"sslPolicy": options.ssl_policy or _TLS_POLICY, "sslRedirectPort": "443"}
    if options.subnets:
        spec["subnets"] = {"ids": list(options.subnets)}
    if options.inbound_cidrs:
        spec["inboundCIDRs"] = list(options.inbound_cidrs)
    if options.waf is not None:
        spec["wafv2AclArn"] = options.waf
    metadata = {"name": name, "labels": {"app.kubernetes.io/managed-by": MANAGER, **labels}}
    reference = {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": name}
    return (
        {
            "apiVersion": PARAMS_VERSION,
            "kind": "IngressClassParams",
            "metadata": {**metadata, "annotations": {OWNER: owner}},
            "spec": spec,
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": metadata,
            "spec": {"controller": CONTROLLER, "parameters": reference},
        },
    )
