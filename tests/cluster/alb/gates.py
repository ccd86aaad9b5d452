"""The controller's webhook: it gives new Pods of a load balancer's Services a readiness gate for each target group.

https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/. Only in namespaces
with the label for it, and only where the target group is there before the Pod.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.cluster.alb.annotated import GATE
from tests.cluster.alb.model import Object
from tests.cluster.machine import HERE

PORT = 9443
LABEL = "elbv2.k8s.aws/pod-readiness-gate-inject"

Gates = Callable[[str, Mapping[str, str]], Sequence[str]]
"""Namespace and labels of a Pod → names of the target groups whose Service selects it."""


def configuration(authority: bytes) -> Object:
    """What has the API server ask this webhook."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "aws-load-balancer-webhook"},
        "webhooks": [
            {
                "name": "mpod.elbv2.k8s.aws",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "url": f"https://{HERE}:{PORT}/mutate-v1-pod",
                    "caBundle": base64.b64encode(authority).decode(),
                },
                "failurePolicy": "Ignore",
                "namespaceSelector": {"matchLabels": {LABEL: "enabled"}},
                "rules": [{**rule, "scope": "Namespaced"}],
                "sideEffects": "None",
                "timeoutSeconds": 5,
            }
        ],
    }


def serve(place: Path, gates: Gates) -> ThreadingHTTPServer:
    """Answer at the tests' end of the cable, with ``place/own.crt``, until it is shut down."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(reviewed(review, gates)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HERE, PORT), Handler)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(place / "own.crt", place / "own.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def reviewed(review: Mapping[str, Any], gates: Gates) -> dict[str, Any]:
    """The answer to one question of the API server: gates that the Pod lacks, as a JSON patch."""
    request = review["request"]
    pod = request["object"]
    has = pod["spec"].get("readinessGates", [])
    names = [GATE + name for name in gates(request["namespace"], pod["metadata"].get("labels", {}))]
    added = [{"conditionType": name} for name in names if {"conditionType": name} not in has]
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    if added:
        patch = json.dumps([{"op": "add", "path": "/spec/readinessGates", "value": [*has, *added]}])
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch.encode()).decode()}
    return {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}
