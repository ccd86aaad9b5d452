"""Amazon, as far as a deploy to EKS asks it: moto behind one address, and what moto lacks or invents.

moto has no Pod Identity, and invents a cluster's address. Its own server needs packages that nothing else here does; so
requests come in here and are handed to moto in this process, as if they had gone to Amazon.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from moto import mock_aws

from mcp_targets._kube.rights import cluster_role
from tests.cluster.cluster import Cluster
from tests.cluster.keys import Authority
from tests.cluster.machine import HERE, NODE
from tests.cluster.settings import API_PORT, TOKENS_PORT
from tests.image import registries

ACCOUNT, REGION, CLUSTER = "123456789012", "eu-central-1", "main"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DEPLOYERS = "deployers"
"""The group that whoever shows a good token is in."""
_REGISTRY_AT = "127.0.0.78"
_USERS = "AWS:$2b$05$DNdQ2Ds73CBa/FNKz.eh3OzeMOwN5yPOTlE2UP9gGiWF09CzGWfFG\n"
"""User and password that moto gives for ECR, as ``htpasswd -B`` writes them."""
_GLOBAL = frozenset({"iam"})
_HOP = frozenset({"connection", "content-length", "content-encoding", "host", "transfer-encoding"})


@dataclass
class Amazon:
    """An account: what was asked of it (``service action`` each), its Pod Identity associations, who showed a token."""

    cluster: Cluster
    asked: list[str] = field(default_factory=list)
    associations: dict[str, dict[str, Any]] = field(default_factory=dict)
    who: list[str] = field(default_factory=list)

    def writes(self) -> list[str]:
        """Those of ``asked`` that change something."""
        reads = re.compile(r" (Get|List|Describe|BatchGet|BatchCheck|GET |HEAD )")
        return [one for one in self.asked if not reads.search(one)]

    def eks(self, method: str, path: str, query: Mapping[str, list[str]], body: bytes) -> tuple[int, Any]:
        """What EKS answers; its own shapes, as botocore's model of the service has them."""
        parts = path.strip("/").split("/")
        match method, parts:
            case "GET", ["clusters", name]:
                return (200, {"cluster": self._described()}) if name == CLUSTER else _missing(f"No cluster {name}")
            case "GET", ["clusters", _, "pod-identity-associations"]:
                wanted = {key: query[key][0] for key in ("namespace", "serviceAccount") if key in query}
                there = [one for one in self.associations.values() if wanted.items() <= one.items()]
                return 200, {"associations": there}
            case "POST", ["clusters", _, "pod-identity-associations"]:
                return self._associate(json.loads(body))
            case _, ["clusters", _, "pod-identity-associations", number]:
                return self._association(method, number, body)
            case _:
                return 404, {"message": f"not in this stand-in: {method} {path}"}

    def _described(self) -> dict[str, Any]:
        assert self.cluster.place is not None
        authority = base64.b64encode((self.cluster.place / "ca.crt").read_bytes()).decode()
        return {
            "name": CLUSTER,
            "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}",
            "endpoint": f"https://{NODE}:{API_PORT}",
            "certificateAuthority": {"data": authority},
            "identity": {"oidc": {"issuer": f"https://oidc.eks.{REGION}.amazonaws.com/id/0123"}},
            "status": "ACTIVE",
            "version": "1.34",
        }

    def _associate(self, asked: Mapping[str, Any]) -> tuple[int, Any]:
        place = (asked["namespace"], asked["serviceAccount"])
        if any((one["namespace"], one["serviceAccount"]) == place for one in self.associations.values()):
            return 409, {"__type": "ResourceInUseException", "message": "Association already exists"}
        number = f"a-{secrets.token_hex(8)}"
        now = time.time()
        made = {key: asked[key] for key in ("namespace", "serviceAccount", "roleArn")}
        self.associations[number] = {
            **made,
            "clusterName": CLUSTER,
            "associationId": number,
            "associationArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{CLUSTER}/{number}",
            "tags": asked.get("tags", {}),
            "createdAt": now,
            "modifiedAt": now,
        }
        return 200, {"association": self.associations[number]}

    def _association(self, method: str, number: str, body: bytes) -> tuple[int, Any]:
        found = self.associations.get(number)
        if found is None:
            return _missing("No such association")
        if method == "DELETE":
            del self.associations[number]
        elif method == "POST":
            found.update(json.loads(body), modifiedAt=time.time())
        return 200, {"association": found}

    def review(self, token: str) -> dict[str, Any]:
        """Whether a token is a presigned question of ours for this cluster, and whose; as Amazon's webhook does it."""
        head, _, rest = token.partition(".")
        try:
            url = base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4)).decode()
        except ValueError:
            return {"authenticated": False}
        said = parse_qs(urlsplit(url).query)
        signed = said.get("X-Amz-SignedHeaders", [""])[0].split(";")
        if head != "k8s-aws-v1" or said.get("Action") != ["GetCallerIdentity"] or "x-k8s-aws-id" not in signed:
            return {"authenticated": False}
        answer = requests.get(url, headers={"x-k8s-aws-id": CLUSTER, "Accept": "application/json"}, timeout=10)
        arn = re.search(r"arn:aws:[a-z]+::\d+:[^<\"]+", answer.text)
        if answer.status_code != 200 or arn is None:
            return {"authenticated": False}
        self.who.append(arn[0])
        return {"authenticated": True, "user": {"username": arn[0], "groups": [DEPLOYERS]}}


def _missing(said: str) -> tuple[int, Any]:
    return 404, {"__type": "ResourceNotFoundException", "message": said}


def _service(headers: Message, query: Mapping[str, list[str]]) -> str:
    scope = headers.get("Authorization") or query.get("X-Amz-Credential", [""])[0]
    found = re.search(r"/\d{8}/[a-z0-9-]*/([a-z0-9-]+)/aws4_request", scope)
    return found[1] if found else "sts"


def _action(headers: Message, method: str, path: str, query: Mapping[str, list[str]], body: bytes) -> str:
    if "X-Amz-Target" in headers:
        return headers["X-Amz-Target"].rpartition(".")[2]
    named = query.get("Action") or parse_qs(body.decode("utf-8", "replace")).get("Action")
    return named[0] if named else f"{method} {path}"


class _Answering(BaseHTTPRequestHandler):
    """One request at a time of one connection."""

    protocol_version = "HTTP/1.1"
    amazon: Amazon

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get_content_type() == "application/json" and parts.path == "/review":
            asked = json.loads(body)
            self._reply(200, {**asked, "status": self.amazon.review(asked["spec"]["token"])})
            return
        service = _service(self.headers, query)
        self.amazon.asked.append(f"{service} {_action(self.headers, self.command, parts.path, query, body)}")
        if service == "eks":
            status, document = self.amazon.eks(self.command, parts.path, query, body)
            self._reply(status, document, document.get("__type", "") if status >= 400 else "")
            return
        host = f"{service}.amazonaws.com" if service in _GLOBAL else f"{service}.{REGION}.amazonaws.com"
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        answer = requests.request(
            self.command, f"https://{host}{self.path}", data=body, headers=headers, timeout=20, allow_redirects=False
        )
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        self._send(answer.status_code, kept, answer.content)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as above

    def _reply(self, status: int, document: Any, error: str = "") -> None:
        headers = {"Content-Type": "application/json", **({"x-amzn-ErrorType": error} if error else {})}
        self._send(status, headers, json.dumps(document).encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _listening(amazon: Amazon, address: str, port: int) -> Iterator[int]:
    handler = type("Handler", (_Answering,), {"amazon": amazon})
    server = ThreadingHTTPServer((address, port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Places:
    """Where ``mcp-pack`` finds Amazon: environment for it, and what stands behind that."""

    amazon: Amazon
    environ: Mapping[str, str]


def deployers() -> list[dict[str, Any]]:
    """What gives :data:`DEPLOYERS` the rights that ``doctor`` prints, and no others."""
    role = cluster_role()
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]}
    bound = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": DEPLOYERS},
        "roleRef": reference,
        "subjects": [{"kind": "Group", "name": DEPLOYERS}],
    }
    return [role, bound]


@contextlib.contextmanager
def account(cluster: Cluster, folder: Path, *, hosts: Path, authority: Path) -> Iterator[Places]:
    """An account with the cluster in it.

    Args:
        cluster: What stands for the cluster of EKS.
        folder: For keys and files.
        hosts: Who is behind other names, in the form of ``/etc/hosts``; it may change.
        authority: The certificate that clients trust besides.
    """
    amazon = Amazon(cluster)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock_aws())
        port = stack.enter_context(_listening(amazon, "127.0.0.1", 0))
        stack.enter_context(_listening(amazon, HERE, TOKENS_PORT))
        trusted = stack.enter_context(_registry(cluster, folder))
        both = folder / "trusted.pem"
        both.write_bytes(authority.read_bytes() + trusted.read_bytes())
        named = folder / "hosts"
        named.write_text(f"{_REGISTRY_AT} {REGISTRY}\n")
        yield Places(
            amazon,
            {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "SSL_CERT_FILE": str(both),
                "MCP_PACK_TEST_HOSTS": f"{named}{os.pathsep}{hosts}",
            },
        )


@contextlib.contextmanager
def _registry(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """The cluster's registry once more, under the name that ECR has, for whoever shows ECR's token; its authority."""
    assert cluster.place is not None
    stored = json.loads((cluster.place / "registry.yml").read_text())["storage"]
    keys = folder / "registry-keys"
    keys.mkdir()
    signed = Authority(keys, "tests-amazon")
    pair = signed.pair("ecr", REGISTRY, REGISTRY)
    users = folder / "users"
    users.write_text(_USERS)
    settings = {"addr": f"{_REGISTRY_AT}:443", "tls": {"certificate": str(pair.certificate), "key": str(pair.key)}}
    auth = {"htpasswd": {"realm": "ecr", "path": str(users)}}
    with registries.registry(folder / "registry", http_settings=settings, auth=auth, storage=stored):
        yield signed.certificate
