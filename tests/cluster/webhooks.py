"""Those whom the API server asks about every new Pod: over TLS, at the tests' end of the cable, with a JSON patch."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.cluster.keys import Pair
from tests.cluster.machine import HERE

Patch = list[dict[str, Any]]
Judge = Callable[[Mapping[str, Any]], Patch]
"""The request of an ``AdmissionReview`` → what is to be changed about its object."""


def configuration(name: str, port: int, path: str, authority: bytes, namespaces: Mapping[str, Any]) -> dict[str, Any]:
    """What has the API server ask one of the webhook ``name``, about the Pods of these namespaces."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "url": f"https://{HERE}:{port}{path}",
            "caBundle": base64.b64encode(authority).decode(),
        },
        "failurePolicy": "Ignore",
        "namespaceSelector": namespaces,
        "rules": [{**rule, "scope": "Namespaced"}],
        "sideEffects": "None",
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "webhooks": [webhook],
    }


def serve(port: int, pair: Pair, judge: Judge) -> ThreadingHTTPServer:
    """Answer until it is shut down."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(reviewed(review, judge)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HERE, port), Handler)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def reviewed(review: Mapping[str, Any], judge: Judge) -> dict[str, Any]:
    """The answer to one question of the API server."""
    request = review["request"]
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    if patch := judge(request):
        text = json.dumps(patch).encode()
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(text).decode()}
    return {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}
