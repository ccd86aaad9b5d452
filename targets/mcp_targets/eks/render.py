"""What should be in the cluster and in the account, as resources. Pure: from data to data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_packager.target import Artifact, DesiredInput, Identity, Key, Ref, Resource, Scope, digest, identity_of
from mcp_targets._aws import documents, ecr, eks, iam, secrets
from mcp_targets._kube import render as kube
from mcp_targets._kube.names import Names
from mcp_targets._kube.options import patches_of, steps_of
from mcp_targets._kube.site import At, Gateway, Ingress, Object, Public, Route, Sharing, Site, Store, Timing
from mcp_targets.eks import balancer
from mcp_targets.eks.options import Options
from mcp_targets.eks.place import Where, where

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

NAME: Final = "eks"

READINESS_GATE: Final = {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}
"""A Pod is ready when the load balancer says so too
(https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/)."""

_AGENT: Final = {
    "to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}, {"ipBlock": {"cidr": "fd00:ec2::23/128"}}],
    "ports": [{"port": 80, "protocol": "TCP"}],
}
"""Where Pods get the credentials of their role: the node's Pod Identity agent
(https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html)."""
_UNTAGGED_DAYS: Final = 14
_UNBUILT: Final = "sha256:" + "0" * 64


def resources(request: DesiredInput, options: Options) -> tuple[Resource, ...]:
    """Everything one deployment is made of, in the account and in the cluster.

    Raises:
        UserError: account, region or cluster are not known, or a patch does not fit.
    """
    place = where(request.manifest, options)
    return (
        *_cloud(request.manifest, request.identity, options, place),
        *kube.resources(request, site(request.manifest, options, request.artifact)),
    )


def repository(manifest: Manifest, options: Options) -> str:
    """Where the tool's images are, without tag."""
    place = where(manifest, options)
    return f"{place.registry}/{place.repository(identity_of(manifest), options)}"


def site(manifest: Manifest, options: Options, artifact: Artifact | None = None) -> Site:
    """What EKS and the load balancer add to the objects of a tool; without an artifact, for a look at it before.

    Raises:
        UserError: account, region or cluster are not known.
    """
    identity, place = identity_of(manifest), where(manifest, options)
    digest_of_image = _UNBUILT if artifact is None else artifact.digest
    named = f"{repository(manifest, options)}:unbuilt" if artifact is None else str(artifact.facts["reference"])
    held, _, tag = named.rpartition(":")
    by_role = bool(manifest.permissions.aws)
    web = by_role and options.identity == "irsa"
    return Site(
        target=NAME,
        namespace=options.namespace,
        create_namespace=options.create_namespace,
        image=At(held, tag, digest_of_image),
        path=path(manifest, options),
        timing=Timing(
            notice=balancer.NOTICE if options.host else 2.0,
            keep_alive=balancer.idle(manifest, options) + balancer.SPARE,
            start=options.start_timeout,
        ),
        namespace_labels=READINESS_GATE,
        needs=tuple(one.key for one in _cloud(manifest, identity, options, place)),
        architectures=tuple(sorted(options.architectures)),
        public=_public(manifest, options),
        service_type="NodePort" if options.target_type == "instance" else "ClusterIP",
        service_account={"eks.amazonaws.com/role-arn": place.role(identity)} if web else {},
        egress=(_AGENT,) if by_role and not web else (),
        readable=frozenset({"env", "file", *secrets.SCHEMES}),
        store=_store(options),
        storage_class=options.storage_class,
        service_monitor=options.service_monitor,
        extra=tuple(_extra(manifest, identity, options)),
        canary=steps_of(options.strategy, options.canary, manifest, _weights(options)),
        patches=patches_of(options.patches, NAME),
    )


def path(manifest: Manifest, options: Options) -> str:
    """The endpoint's path: on a host that tools share, below the tool's name."""
    return f"/{manifest.tool.name}{manifest.serve.path}" if options.shared_host else manifest.serve.path


def _weights(options: Options) -> Sharing:
    """What weighs calls."""
    if options.host is None:
        return Sharing.PODS
    return Sharing.ALB if options.gateway is None else Sharing.ROUTE


def _store(options: Options) -> Store | None:
    if options.secret_store is None:
        return None
    kind, _, name = options.secret_store.rpartition("/")
    return Store(name, kind or "ClusterSecretStore")


def _public(manifest: Manifest, options: Options) -> Public | None:
    if options.host is None:
        return None
    return Public(options.host, _route(manifest, options), root=not options.shared_host, secure=options.https)


def _route(manifest: Manifest, options: Options) -> Route:
    if options.gateway is None:
        return Ingress(balancer.class_name(options), balancer.annotated(manifest, options))
    namespace, name, *section = options.gateway.split("/")
    return Gateway(namespace, name, section[0] if section else None)


def _cloud(manifest: Manifest, identity: Identity, options: Options, place: Where) -> tuple[Resource, ...]:
    repository = ecr.wanted(
        place.repository(identity, options),
        shared=options.repository is not None,
        lifecycle=ecr.lifecycle(untagged_days=_UNTAGGED_DAYS, keep=options.keep_images),
        key=options.kms_key,
    )
    return (repository, *_role(manifest, identity, options, place))


def _role(manifest: Manifest, identity: Identity, options: Options, place: Where) -> tuple[Resource, ...]:
    """Who the Pods are in AWS, where the manifest asks for rights there."""
    if not manifest.permissions.aws:
        return ()
    account = Names(identity).base
    document = documents.policy(documents.statements_of(manifest.permissions.aws))
    name = iam.role_name(identity)
    if options.identity == "irsa":
        cluster = Resource(eks.CLUSTER_KIND, place.cluster, {"name": place.cluster}, scope=Scope.SHARED)
        provider, issuer = Ref(cluster.key, "provider"), Ref(cluster.key, "issuer")
        trust = documents.web_trust(provider, issuer, options.namespace, account)
        before: tuple[Resource, ...] = (cluster,)
    else:
        trust, before = documents.pod_trust(place.cluster, options.namespace, account), ()
    role = Resource(iam.ROLE_KIND, name, {"trust": trust, "boundary": options.boundary})
    policy = Resource(iam.POLICY_KIND, digest(document)[:16], {"role": name, "document": document}, (role.key,))
    made = (*before, role, policy)
    if options.identity == "irsa":
        return made
    fields = {"namespace": options.namespace, "service_account": account, "role": place.role(identity)}
    return (*made, Resource(eks.ASSOCIATION_KIND, account, fields, (role.key,)))


def group_classes(manifest: Manifest | None, identity: Identity, options: Options) -> tuple[tuple[Key, Object], ...]:
    """What the tools of a group share: made by the first of them, and never deleted with one."""
    if manifest is None or options.host is None or balancer.owner(options) is not balancer.Owner.GROUP:
        return ()
    made = balancer.group_objects(manifest, options, Names(identity).labels(), identity.audience)
    return tuple((kube.key_of(one), one) for one in made)


def _extra(manifest: Manifest, identity: Identity, options: Options) -> list[Object]:
    return [one for _, one in group_classes(manifest, identity, options)] + _described(manifest, identity, options)


def _described(manifest: Manifest, identity: Identity, options: Options) -> list[Object]:
    """The target group's settings, which a route of the Gateway API has no annotations for.

    Their form: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/targetgroupconfig/.
    """
    if options.gateway is None or options.host is None:
        return []
    names = Names(identity)
    attributes = balancer.target_attributes(manifest)
    return [
        {
            "apiVersion": "gateway.k8s.aws/v1",
            "kind": "TargetGroupConfiguration",
            "metadata": {"name": names.base, "namespace": options.namespace, "labels": names.labels()},
            "spec": {
                "targetReference": {"group": "", "kind": "Service", "name": names.base},
                "defaultConfiguration": {
                    "targetType": options.target_type,
                    "protocolVersion": "http1",
                    "healthCheckConfig": {
                        "healthCheckPath": balancer.READY,
                        "healthCheckProtocol": "http",
                        "healthCheckInterval": balancer.EVERY,
                        "healthCheckTimeout": balancer.WITHIN,
                        "healthyThresholdCount": 2,
                        "unhealthyThresholdCount": 2,
                        "matcher": {"httpCode": "200"},
                    },
                    "targetGroupAttributes": [
                        {"key": key, "value": value} for key, value in sorted(attributes.items())
                    ],
                },
            },
        }
    ]
