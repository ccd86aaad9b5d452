"""Amazon's webhook for roles of service accounts (IRSA): it gives their Pods a token, and says which role it is for.

What it changes is as https://github.com/aws/amazon-eks-pod-identity-webhook says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.cluster import webhooks
from tests.cluster.cluster import Cluster
from tests.cluster.keys import Authority
from tests.cluster.machine import HERE

ROLE = "eks.amazonaws.com/role-arn"
AUDIENCE = "sts.amazonaws.com"
FOLDER = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
_NAME = "pod-identity-webhook"
_PORT = 9444
_VOLUME = "aws-iam-token"


@contextlib.contextmanager
def given(cluster: Cluster, folder: Path, namespace: str) -> Iterator[None]:
    """Give roles to the new Pods of a namespace while the context is open."""
    folder.mkdir()
    authority = Authority(folder, "tests-roles")
    pair = authority.pair("webhook", "webhook", HERE)
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    made = webhooks.configuration(
        "pod-identity-webhook.amazonaws.com", _PORT, "/mutate", authority.certificate.read_bytes(), where
    )
    server = webhooks.serve(_PORT, pair, lambda request: _patch(cluster, request))
    try:
        cluster.apply({**made, "metadata": {"name": _NAME}})
        yield
        cluster.kubectl("delete", "mutatingwebhookconfiguration", _NAME)
    finally:
        server.shutdown()
        server.server_close()


def _patch(cluster: Cluster, request: Mapping[str, Any]) -> webhooks.Patch:
    spec = request["object"]["spec"]
    account = cluster.get("serviceaccount", spec["serviceAccountName"], "-n", request["namespace"])
    role = account["metadata"].get("annotations", {}).get(ROLE)
    if role is None:
        return []
    token = {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": 86400, "path": "token"}}
    volumes = [*spec.get("volumes", []), {"name": _VOLUME, "projected": {"sources": [token]}}]
    named = [
        {"name": "AWS_ROLE_ARN", "value": role},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{FOLDER}/token"},
    ]
    mount = {"name": _VOLUME, "mountPath": FOLDER, "readOnly": True}
    containers = [
        {
            **one,
            "env": [*one.get("env", []), *named],
            "volumeMounts": [*one.get("volumeMounts", []), mount],
        }
        for one in spec["containers"]
    ]
    return [
        {"op": "add", "path": "/spec/volumes", "value": volumes},
        {"op": "replace", "path": "/spec/containers", "value": containers},
    ]
