"""Custom kinds that a real cluster may know: small schemas of ours, after what their projects publish.

A part of each alone, but strict in that part: a field that is misspelt or of another type is refused by the API server
as the real definition has it refused. They are also plain JSON Schemas for whoever judges objects without a cluster.

Sources: the AWS Load Balancer Controller's guide (``ingress_class``, ``targetgroupbinding``, ``gateway``), the External
Secrets Operator's API reference, cert-manager's, the Prometheus operator's, and the Gateway API's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_LABELS: Schema = {"type": "object", "additionalProperties": _TEXT}
_ANY: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _choice(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _fields(required: str = "", /, **fields: Schema) -> Schema:
    found: Schema = {"type": "object", "properties": {name.rstrip("_"): each for name, each in fields.items()}}
    return {**found, "required": required.split()} if required else found


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


@dataclass(frozen=True)
class Custom:
    """One kind: ``spec`` is the schema of its field of that name."""

    group: str
    version: str
    kind: str
    plural: str
    spec: Schema
    namespaced: bool = True

    def definition(self) -> dict[str, Any]:
        """The object that makes the kind known to an API server."""
        schema = _fields("spec", spec=self.spec, status=_ANY)
        scope = "Namespaced" if self.namespaced else "Cluster"
        names = {"kind": self.kind, "plural": self.plural, "singular": self.kind.lower()}
        version = {"name": self.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        metadata: dict[str, Any] = {"name": f"{self.plural}.{self.group}"}
        if self.group.endswith(".k8s.io"):
            # Without this word the API server takes nothing of a group that is Kubernetes' own.
            metadata["annotations"] = {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": metadata,
            "spec": {
                "group": self.group,
                "scope": scope,
                "names": names,
                "versions": [{**version, "subresources": {"status": {}}}],
            },
        }


_PAIRS = _list(_fields("key value", key=_TEXT, value=_TEXT))
_SELECTOR = _fields(
    matchLabels=_LABELS,
    matchExpressions=_list(_fields("key operator", key=_TEXT, operator=_TEXT, values=_TEXTS)),
)

_CLASS_PARAMS = _fields(
    group=_fields("name", name=_TEXT),
    namespaceSelector=_SELECTOR,
    scheme=_choice("internal", "internet-facing"),
    inboundCIDRs=_TEXTS,
    certificateArn=_TEXTS,
    sslPolicy=_TEXT,
    sslRedirectPort=_TEXT,
    subnets=_fields(ids=_TEXTS, tags=_ANY),
    ipAddressType=_choice("ipv4", "dualstack", "dualstack-without-public-ipv4"),
    tags=_PAIRS,
    targetType=_choice("instance", "ip"),
    loadBalancerName=_TEXT,
    loadBalancerAttributes=_PAIRS,
    listeners=_list(_fields(protocol=_TEXT, port=_NUMBER, listenerAttributes=_PAIRS)),
    wafv2AclArn=_TEXT,
    wafv2AclName=_TEXT,
)
_BINDING = _fields(
    "serviceRef",
    targetGroupARN=_TEXT,
    targetGroupName=_TEXT,
    targetType=_choice("instance", "ip"),
    serviceRef=_fields("name port", name=_TEXT, port={"x-kubernetes-int-or-string": True}),
    networking=_ANY,
    nodeSelector=_SELECTOR,
    ipAddressType=_choice("ipv4", "ipv6"),
    vpcID=_TEXT,
)
_TARGET_CONFIG = _fields(
    targetType=_choice("instance", "ip"),
    protocol=_TEXT,
    protocolVersion=_choice("http1", "http2", "grpc"),
    ipAddressType=_choice("ipv4", "ipv6"),
    enableMultiCluster=_FLAG,
    nodeSelector=_SELECTOR,
    tags=_LABELS,
    targetGroupAttributes=_PAIRS,
    healthCheckConfig=_fields(
        healthCheckInterval=_NUMBER,
        healthCheckPath=_TEXT,
        healthCheckPort=_TEXT,
        healthCheckProtocol=_choice("http", "https", "tcp"),
        healthCheckTimeout=_NUMBER,
        healthyThresholdCount=_NUMBER,
        unhealthyThresholdCount=_NUMBER,
        matcher=_fields(httpCode=_TEXT, grpcCode=_TEXT),
    ),
)
_TARGET_CONFIGURATION = _fields(
    "targetReference defaultConfiguration",
    targetReference=_fields("name", group=_TEXT, kind=_TEXT, name=_TEXT),
    defaultConfiguration=_TARGET_CONFIG,
    routeConfigurations=_list(_fields(routeIdentifier=_ANY, targetGroupProps=_TARGET_CONFIG)),
)
_REMOTE = _fields(
    "key",
    key=_TEXT,
    property=_TEXT,
    version=_TEXT,
    metadataPolicy=_choice("None", "Fetch"),
    conversionStrategy=_choice("Default", "Unicode"),
    decodingStrategy=_choice("Auto", "Base64", "Base64URL", "None"),
)
_EXTERNAL_SECRET = _fields(
    refreshInterval=_TEXT,
    refreshPolicy=_choice("CreatedOnce", "Periodic", "OnChange"),
    secretStoreRef=_fields(name=_TEXT, kind=_choice("SecretStore", "ClusterSecretStore")),
    target=_fields(
        name=_TEXT,
        creationPolicy=_choice("Owner", "Orphan", "Merge", "None"),
        deletionPolicy=_choice("Delete", "Merge", "Retain"),
        immutable=_FLAG,
        template=_ANY,
    ),
    data=_list(_fields("secretKey remoteRef", secretKey=_TEXT, remoteRef=_REMOTE, sourceRef=_ANY)),
    dataFrom=_list(_ANY),
)
_CERTIFICATE = _fields(
    "secretName issuerRef",
    secretName=_TEXT,
    dnsNames=_TEXTS,
    commonName=_TEXT,
    duration=_TEXT,
    renewBefore=_TEXT,
    usages=_TEXTS,
    issuerRef=_fields("name", name=_TEXT, kind=_TEXT, group=_TEXT),
    privateKey=_fields(algorithm=_TEXT, size=_NUMBER, encoding=_TEXT, rotationPolicy=_choice("Never", "Always")),
    secretTemplate=_fields(annotations=_LABELS, labels=_LABELS),
)
_MONITOR = _fields(
    "endpoints selector",
    jobLabel=_TEXT,
    targetLabels=_TEXTS,
    podTargetLabels=_TEXTS,
    selector=_SELECTOR,
    namespaceSelector=_fields(any=_FLAG, matchNames=_TEXTS),
    sampleLimit=_NUMBER,
    endpoints=_list(
        _fields(
            port=_TEXT,
            targetPort={"x-kubernetes-int-or-string": True},
            path=_TEXT,
            scheme=_choice("http", "https"),
            interval=_TEXT,
            scrapeTimeout=_TEXT,
            honorLabels=_FLAG,
            relabelings=_list(_ANY),
            metricRelabelings=_list(_ANY),
        )
    ),
)
_BACKEND = _fields("name", group=_TEXT, kind=_TEXT, name=_TEXT, namespace=_TEXT, port=_NUMBER, weight=_NUMBER)
_MATCH = _fields(
    path=_fields(type=_choice("Exact", "PathPrefix", "RegularExpression"), value=_TEXT),
    headers=_list(_fields("name value", type=_TEXT, name=_TEXT, value=_TEXT)),
    queryParams=_list(_fields("name value", type=_TEXT, name=_TEXT, value=_TEXT)),
    method=_TEXT,
)
_ROUTE = _fields(
    parentRefs=_list(
        _fields("name", group=_TEXT, kind=_TEXT, namespace=_TEXT, name=_TEXT, sectionName=_TEXT, port=_NUMBER)
    ),
    hostnames=_TEXTS,
    rules=_list(
        _fields(
            name=_TEXT,
            matches=_list(_MATCH),
            filters=_list(_ANY),
            backendRefs=_list(_BACKEND),
            timeouts=_fields(request=_TEXT, backendRequest=_TEXT),
        )
    ),
)
_GATEWAY = _fields(
    "gatewayClassName listeners",
    gatewayClassName=_TEXT,
    addresses=_list(_fields(type=_TEXT, value=_TEXT)),
    listeners=_list(
        _fields(
            "name port protocol",
            name=_TEXT,
            hostname=_TEXT,
            port=_NUMBER,
            protocol=_TEXT,
            tls=_ANY,
            allowedRoutes=_fields(namespaces=_fields(from_=_TEXT, selector=_SELECTOR), kinds=_list(_ANY)),
        )
    ),
    infrastructure=_ANY,
)

CUSTOMS: tuple[Custom, ...] = (
    Custom("elbv2.k8s.aws", "v1beta1", "IngressClassParams", "ingressclassparams", _CLASS_PARAMS, namespaced=False),
    Custom("elbv2.k8s.aws", "v1beta1", "TargetGroupBinding", "targetgroupbindings", _BINDING),
    Custom("gateway.k8s.aws", "v1", "TargetGroupConfiguration", "targetgroupconfigurations", _TARGET_CONFIGURATION),
    Custom("external-secrets.io", "v1", "ExternalSecret", "externalsecrets", _EXTERNAL_SECRET),
    Custom("cert-manager.io", "v1", "Certificate", "certificates", _CERTIFICATE),
    Custom("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors", _MONITOR),
    Custom("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", _ROUTE),
    Custom("gateway.networking.k8s.io", "v1", "Gateway", "gateways", _GATEWAY),
)
"""Every custom kind that the cluster of the tests knows."""


def definitions() -> list[Mapping[str, Any]]:
    """The objects that make them all known."""
    return [custom.definition() for custom in CUSTOMS]
