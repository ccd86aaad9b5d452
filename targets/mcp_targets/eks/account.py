"""A deployment's account as what lives beside its cluster: its repository, its role, and what its plan must not do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.target import Identity, Key, Kind, Observed, Phase, Plan, Resource, Scope, Step, Value
from mcp_targets._aws import acm, ecr, eks, iam, secrets
from mcp_targets._aws.session import Aws
from mcp_targets._kube.beside import Look
from mcp_targets._kube.client import Api
from mcp_targets._kube.kinds import CANARY, sort_of
from mcp_targets._kube.names import Names
from mcp_targets._kube.projection import FOREIGN, OBJECT, OWNED, observed_fields, projected
from mcp_targets.eks import balancer, groups
from mcp_targets.eks.options import Options
from mcp_targets.eks.place import where
from mcp_targets.eks.render import group_classes

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

KINDS: Final = (*ecr.KINDS, *eks.KINDS[:1], *iam.KINDS, *eks.KINDS[1:])
"""In the order in which they are made."""

_PARAMS: Final = "ingressclassparams"
_INGRESS: Final = "ingress"


class Account:
    """One deployment's resources in its account; and, of what tools of a group share, how it is there."""

    def __init__(self, aws: Aws, api: Api, identity: Identity, options: Options, manifest: Manifest | None) -> None:
        self._aws = aws
        self._api = api
        self._identity = identity
        self._place = place = where(manifest, options)
        self._options = options
        self._manifest = manifest
        self._repositories = ecr.Repositories(aws, identity, place.repository(identity, options))
        self._roles = iam.Roles(aws, identity)
        self._associations = eks.Associations(aws, identity, place.cluster)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Repository, cluster, role, policies, association."""
        return KINDS

    def observe(self) -> Mapping[Key, Observed]:
        """Everything of this deployment that is there; the services of AWS are asked side by side."""
        account = Names(self._identity).base
        _ = self._aws.caller  # the pin is held before anything else is asked
        looks = (
            lambda: list(self._repositories.observe()),
            lambda: list(self._roles.observe()),
            lambda: list(self._associations.observe(self._options.namespace, account)),
            self._cluster,
            self._shared,
        )
        with ThreadPoolExecutor(len(looks)) as pool:
            found = [one for each in pool.map(lambda look: look(), looks) for one in each]
        return {one.key: one for one in found}

    def _cluster(self) -> list[Observed]:
        """The cluster, where the deployment must know who gives its tokens."""
        if self._options.identity != "irsa" or self._manifest is None or not self._manifest.permissions.aws:
            return []
        return [eks.observed_cluster(self._aws, self._place.cluster)]

    def _shared(self) -> list[Observed]:
        """The class of the deployment's group, where another tool of the group made it.

        As it is wanted here, it is used as it is; otherwise the plan shows how it differs, and :meth:`rehearse` says
        whose it is.
        """
        found = []
        for key, wanted in group_classes(self._manifest, self._identity, self._options):
            sort = sort_of(key.kind)
            there = self._api.find(sort.path(None, key.name))
            if there is None or audience(there) == self._identity.audience:
                continue  # missing, or listed among our own
            fields = observed_fields(there)
            same = (
                projected({**fields, OWNED: {}}, {OBJECT: {"spec": wanted["spec"]}})[OBJECT]["spec"] == wanted["spec"]
            )
            found.append(Observed(*key, {**fields, FOREIGN: True} if same else fields, Scope.SHARED))
        return found

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make one change in the account."""
        match step.key.kind:
            case ecr.KIND:
                return self._repositories.apply(step)
            case iam.ROLE_KIND | iam.POLICY_KIND:
                return self._roles.apply(step)
            case eks.ASSOCIATION_KIND:
                return self._associations.apply(step)
            case eks.CLUSTER_KIND:
                return dict(eks.observed_cluster(self._aws, self._place.cluster).fields)
            case kind:
                raise WorldError(
                    Problem(
                        f"this version of the target eks knows no {kind!r}", "use the mcp-pack version that deployed it"
                    )
                )

    def rehearse(self, plan: Plan, cluster: Look) -> tuple[str, ...]:
        """Hold the plan against the load balancer's other tools and against the certificate.

        Raises:
            UserError: a host and path that another tool has, a load balancer that is to be two things, or is full, or
                a certificate for another host.
        """
        wanted = _wanted(plan)
        if self._options.host is None or self._manifest is None:
            return ()
        said: list[str] = []
        changed = {change.key.kind for change in plan.changes if change.phase is not Phase.RETIRE}
        if changed & {_INGRESS, _PARAMS, CANARY}:
            due = [change.resource for change in plan.changes if change.key.kind == CANARY]
            said += self._group(wanted, [one for one in due if one is not None], cluster)
            if self._options.certificate and self._options.https:
                unseen = acm.judge(self._aws, self._options.certificate, self._options.host)
                said += [] if unseen is None else [unseen]
        return tuple(said)

    def secret(self, scheme: str, rest: str) -> bytes | None:
        """The value of a secret of ``aws-sm:`` or ``aws-ssm:``."""
        return secrets.read(self._aws, scheme, rest)

    def notes(self, cluster: Look) -> tuple[str, ...]:
        """The DNS record that somebody is to make."""
        options = self._options
        if options.host is None or options.external_dns:
            return ()
        if options.gateway is not None:
            return (f"make a DNS record: {options.host} is to lead to the address of the Gateway {options.gateway}",)
        found = cluster.listing(
            "networking.k8s.io/v1", "Ingress", namespace=options.namespace, selector=Names(self._identity).ours
        )
        return (dns_note(options.host, found, options.namespace),)

    def _group(self, wanted: Mapping[str, list[Any]], tried: Sequence[Resource], cluster: Look) -> Iterator[str]:
        ours = self._identity.labels()
        params = cluster.listing(balancer.PARAMS_VERSION, "IngressClassParams")
        there = cluster.listing("networking.k8s.io/v1", "IngressClass")
        known = groups.classes([*there, *wanted.get("ingressclass", [])], [*params, *wanted.get(_PARAMS, [])])
        others = [one for one in cluster.listing("networking.k8s.io/v1", "Ingress") if not _has(one, ours)]
        mine = groups.members(groups.widest(wanted.get(_INGRESS, []), tried), known)
        theirs = groups.members(others, known)
        problems = list(groups.problems(mine, theirs))
        problems += self._differing(wanted, params, others)
        if there:
            problems += self._platform(groups.classes(there, params))
        if problems:
            raise UserError(problems)
        if not there:
            yield "which classes of Ingress the cluster has: none could be seen"
        yield from groups.crowded(mine, theirs)

    def _differing(self, wanted: Mapping[str, list[Any]], params: list[Any], others: list[Any]) -> Iterator[Problem]:
        named = {one["metadata"]["name"]: one for one in params}
        for one in wanted.get(_PARAMS, []):
            there = named.get(one["metadata"]["name"])
            if there is None:
                continue
            in_use = [
                audience(other)
                for other in others
                if other.get("spec", {}).get("ingressClassName") == one["metadata"]["name"]
            ]
            problem = groups.differing(one, there, str(self._identity), in_use)
            if problem is not None:
                yield problem

    def _platform(self, known: groups.Classes) -> Iterator[Problem]:
        options, manifest = self._options, self._manifest
        if options.gateway is not None or balancer.owner(options) is balancer.Owner.GROUP or manifest is None:
            return iter(())
        return groups.platform_problems(
            balancer.class_name(options),
            known,
            scheme=options.scheme,
            idle=balancer.idle(manifest, options),
            timeout=manifest.serve.timeout,
        )


def dns_note(host: str, ingresses: Sequence[Mapping[str, Any]], namespace: str) -> str:
    """Which record leads clients to the load balancer, as far as its name is known by now."""
    names = [
        str(point["hostname"])
        for one in ingresses
        for point in ((one.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        if point.get("hostname")
    ]
    if names:
        return f"make a DNS record, unless there is one: {host} CNAME {names[0]} (in Route 53, an alias)"
    return (
        f"make a DNS record for {host} once the load balancer has a name: "
        f"kubectl get ingress -n {namespace} shows it in a few minutes"
    )


def audience(item: Mapping[str, Any]) -> str:
    """Whose an object is, as the annotation of a group's owner spells it; empty for somebody else's."""
    labels = item["metadata"].get("labels") or {}
    parts = [labels.get(f"mcp-pack/{part}") for part in ("project", "tool", "stage")]
    return "" if None in parts else "/".join(map(str, parts))


def _wanted(plan: Plan) -> dict[str, list[Any]]:
    """The objects that the plan leads to, by kind."""
    found: dict[str, list[Any]] = {}
    for change in (*plan.changes, *plan.unchanged):
        resource: Resource | None = change.resource
        if resource is not None and isinstance(resource.fields.get(OBJECT), Mapping):
            found.setdefault(resource.kind, []).append(resource.fields[OBJECT])
    return found


def _has(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    held = item["metadata"].get("labels") or {}
    return all(held.get(key) == value for key, value in labels.items())
