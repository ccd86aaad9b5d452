"""Clusters of EKS: how their API is reached with nothing but AWS credentials, and which role a service account is.

A token is a presigned ``GetCallerIdentity`` that names the cluster, good for a quarter of an hour
(https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.target import Action, Identity, Kind, Observed, Resource, Scope, Step, TransientError, Value
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import is_ours, strange, tags
from mcp_targets._aws.session import Aws

CLUSTER_KIND: Final = "eks-cluster"
ASSOCIATION_KIND: Final = "pod-identity"

KINDS: Final = (
    Kind(CLUSTER_KIND, stable=frozenset({"issuer", "provider"})),
    Kind(ASSOCIATION_KIND, effect="new Pods get the new role"),
)

_PREFIX: Final = "k8s-aws-v1."
_HEADER: Final = "x-k8s-aws-id"
_URL_SECONDS: Final = 60
"""How long the signature is good; the cluster believes the token for longer, by its own clock."""
TOKEN_SECONDS: Final = 14 * 60
"""When a token is made anew: a cluster believes one for a quarter of an hour."""
_MISSING: Final = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as EKS describes it. ``authority`` is base64 of the PEM certificate; ``issuer`` has no ``https://``."""

    name: str
    arn: str
    endpoint: str
    authority: str
    issuer: str | None

    def provider(self, account: str, partition: str) -> str | None:
        """The ARN of the issuer as IAM knows it, for IRSA."""
        return None if self.issuer is None else f"arn:{partition}:iam::{account}:oidc-provider/{self.issuer}"


def describe(aws: Aws, name: str) -> Cluster:
    """Ask EKS for a cluster.

    Raises:
        UserError: there is none of that name in account and region.
        WorldError: it is not ready to be asked, or AWS refuses.
    """
    from botocore.exceptions import ClientError

    with speaking(f"describe the cluster {name}"):
        try:
            found = aws.client("eks").describe_cluster(name=name)["cluster"]
        except ClientError as error:
            if code_of(error) == _MISSING:
                raise UserError(
                    Problem(
                        f"EKS has no cluster {name} in {aws.region} of account {aws.caller.account}",
                        "mend cluster and region of [target.eks], or use the credentials of its account",
                    )
                ) from error
            raise
    if not found.get("endpoint") or not found.get("certificateAuthority", {}).get("data"):
        state = str(found.get("status", "unknown")).lower()
        raise WorldError(Problem(f"the cluster {name} has no address yet: it is {state}", "wait until it is active"))
    issuer = found.get("identity", {}).get("oidc", {}).get("issuer")
    return Cluster(
        name=str(found["name"]),
        arn=str(found["arn"]),
        endpoint=str(found["endpoint"]).rstrip("/"),
        authority=str(found["certificateAuthority"]["data"]),
        issuer=None if issuer is None else str(issuer).removeprefix("https://"),
    )


def token(aws: Aws, cluster: str) -> str:
    """What proves to a cluster who we are.

    Raises:
        WorldError: there are no credentials, or they are another account's.
    """
    from botocore.signers import RequestSigner

    sts = aws.client("sts")
    # The client's own signer would leave the header out, which is what ties the token to one cluster.
    signer = RequestSigner(sts.meta.service_model.service_id, aws.region, "sts", "v4", aws.credentials, sts.meta.events)
    request = {
        "method": "GET",
        "url": f"{sts.meta.endpoint_url.rstrip('/')}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {_HEADER: cluster},
        "context": {},
    }
    with speaking(f"sign a token for the cluster {cluster}"):
        url = signer.generate_presigned_url(request, region_name=aws.region, expires_in=_URL_SECONDS, operation_name="")
    return _PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


class Tokens:
    """Tokens for one cluster, made anew before the last one is too old."""

    def __init__(self, aws: Aws, cluster: str, now: Callable[[], float] = time.monotonic) -> None:
        self._aws = aws
        self._cluster = cluster
        self._now = now
        self._made: tuple[float, str] | None = None

    def current(self) -> str:
        """One that is good for a minute more at least."""
        if self._made is None or self._now() - self._made[0] > TOKEN_SECONDS:
            self._made = (self._now(), token(self._aws, self._cluster))
        return self._made[1]


class Associations:
    """The Pod Identity association of one deployment's service account."""

    def __init__(self, aws: Aws, identity: Identity, cluster: str) -> None:
        self._aws = aws
        self._identity = identity
        self._cluster = cluster

    def observe(self, namespace: str, service_account: str) -> Iterator[Observed]:
        """The association, where there is one and it is ours."""
        found = self._found(namespace, service_account)
        if found is not None and is_ours(found.get("tags", {}), self._identity):
            yield Observed(ASSOCIATION_KIND, service_account, _fields(found))

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make, change or remove it."""
        if step.resource is None or step.action is Action.DELETE:
            fields = step.observed.fields if step.observed else {}
            if fields:
                self._remove(fields["namespace"], fields["service_account"])
            return {}
        return self._make(step.resource)

    def _found(self, namespace: str, service_account: str) -> Mapping[str, Any] | None:
        with speaking(f"look at the Pod Identity associations of {self._cluster}"):
            listed = self._eks.list_pod_identity_associations(
                clusterName=self._cluster, namespace=namespace, serviceAccount=service_account
            )["associations"]
            if not listed:
                return None
            answer: Mapping[str, Any] = self._eks.describe_pod_identity_association(
                clusterName=self._cluster, associationId=listed[0]["associationId"]
            )["association"]
            return answer

    def _make(self, resource: Resource) -> Mapping[str, Value]:
        fields = resource.fields
        found = self._found(fields["namespace"], fields["service_account"])
        if found is None:
            with _until_known(), speaking(f"make the service account {fields['service_account']} a role"):
                answer = self._eks.create_pod_identity_association(
                    clusterName=self._cluster,
                    namespace=fields["namespace"],
                    serviceAccount=fields["service_account"],
                    roleArn=fields["role"],
                    tags=tags(self._identity),
                )
            return _fields(answer["association"])
        if not is_ours(found.get("tags", {}), self._identity):
            raise strange(
                f"the Pod Identity association of {fields['namespace']}/{fields['service_account']}",
                found.get("tags", {}),
            )
        if found["roleArn"] != fields["role"]:
            with speaking(f"make the service account {fields['service_account']} another role"):
                self._eks.update_pod_identity_association(
                    clusterName=self._cluster, associationId=found["associationId"], roleArn=fields["role"]
                )
        return {**_fields(found), **fields}

    def _remove(self, namespace: str, service_account: str) -> None:
        found = self._found(namespace, service_account)
        if found is None:
            return
        if not is_ours(found.get("tags", {}), self._identity):
            raise strange(f"the Pod Identity association of {namespace}/{service_account}", found.get("tags", {}))
        from botocore.exceptions import ClientError

        with speaking(f"remove the Pod Identity association of {service_account}"):
            try:
                self._eks.delete_pod_identity_association(
                    clusterName=self._cluster, associationId=found["associationId"]
                )
            except ClientError as error:
                if code_of(error) != _MISSING:
                    raise

    @property
    def _eks(self) -> Any:
        return self._aws.client("eks")


def observed_cluster(aws: Aws, name: str) -> Observed:
    """The cluster as a resource: somebody else's, with what only it knows of its issuer."""
    found = describe(aws, name)
    provider = found.provider(aws.caller.account, aws.caller.partition)
    return Observed(CLUSTER_KIND, name, {"name": name, "issuer": found.issuer, "provider": provider}, Scope.SHARED)


def _fields(found: Mapping[str, Any]) -> dict[str, Value]:
    return {
        "namespace": found["namespace"],
        "service_account": found["serviceAccount"],
        "role": found["roleArn"],
        "id": found["associationId"],
    }


@contextmanager
def _until_known() -> Iterator[None]:
    """A role that IAM has just made is not known everywhere at once."""
    try:
        yield
    except WorldError as error:
        problem = error.problems[0]
        if "InvalidParameterException" in problem.what and "role" in str(problem.found).lower():
            raise TransientError(problem) from error
        raise
