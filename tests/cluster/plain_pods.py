"""Pods that are not ours, for the tests of the load balancers: what they answer is what these tests ask about."""

from __future__ import annotations

from typing import Any

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import MINOR

SERVER = """
import http.server, json, os, signal, threading, time
ready = threading.Event()
ready.set()
asked = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        path, _, query = self.path.partition("?")
        status = 200
        if path == "/readyz":
            asked[str(self.headers["User-Agent"]).partition("/")[0]] = dict(self.headers.items())
            status = 200 if ready.is_set() else 503
        elif path.endswith("/break"):
            self.close_connection = True
            return self.connection.close()
        elif path.endswith("/sick"):
            ready.clear()
        elif path.endswith("/slow"):
            time.sleep(float(query))
        told = {"pod": os.environ["POD"], "path": self.path, "headers": dict(self.headers.items()), "length": length}
        told["checked"] = asked
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
server = Server(("", 8000), Handler)
def leave(*_):
    ready.clear()
    threading.Timer(float(os.environ["LINGER"]), server.shutdown).start()
signal.signal(signal.SIGTERM, leave)
server.serve_forever()
"""


def deployment(cluster: Cluster, namespace: str, name: str, replicas: int, linger: float = 5.0) -> list[dict[str, Any]]:
    """A Deployment of this server and its Service, which lingers for so many seconds after it was told to end."""
    labels = {"app": name}
    metadata = {"name": name, "namespace": namespace}
    pod = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    container = {
        "name": "main",
        "image": f"{cluster.registry}/library/python:{MINOR}-slim",
        "command": ["python3", "-c", SERVER],
        "env": [pod, {"name": "LINGER", "value": str(linger)}],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 20},
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        },
    ]


def ingress(
    namespace: str, name: str, host: str, paths: dict[str, str], annotations: dict[str, str], class_name: str = "alb"
) -> dict[str, Any]:
    """An Ingress: paths, each a prefix, of one host and the Service behind each."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "ingressClassName": class_name,
            "rules": [
                {
                    "host": host,
                    "http": {
                        "paths": [
                            {
                                "path": path,
                                "pathType": "Prefix",
                                "backend": {"service": {"name": service, "port": {"number": 80}}},
                            }
                            for path, service in paths.items()
                        ]
                    },
                }
            ],
        },
    }
