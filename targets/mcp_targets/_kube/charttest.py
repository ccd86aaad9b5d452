"""The chart's hooks: a test that asks the server who it is, and the key that its copies share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.target import DesiredInput
from mcp_targets._kube.holes import Holes
from mcp_targets._kube.names import Names
from mcp_targets._kube.pods import confined, pod_confined, pulling
from mcp_targets._kube.settings import VALUE, own_hosts
from mcp_targets._kube.site import Site

_ASK: Final = """\
import json, sys, urllib.error, urllib.request
version = "2026-07-28"
meta = {"protocolVersion": version, "clientInfo": {"name": "helm-test", "version": "1"}, "clientCapabilities": {}}
params = {"_meta": {f"io.modelcontextprotocol/{key}": value for key, value in meta.items()}}
body = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": params}
headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
headers |= {"MCP-Protocol-Version": version, "Mcp-Method": "server/discover"}
try:
    answer = urllib.request.urlopen(urllib.request.Request(sys.argv[1], json.dumps(body).encode(), headers), timeout=30)
    print(answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
    # It asks who is calling, which this test has no answer to.
    sys.exit(error.code != 401)
"""


def hook_test(request: DesiredInput, site: Site, holes: Holes) -> str:
    """A Pod that sends ``server/discover`` to the Service, and fails where the answer is no."""
    names = Names(request.identity)
    limits = {"cpu": "500m", "memory": "128Mi"}
    address = f"http://{own_hosts(names.base, site.namespace)[2]}{site.path}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.of("test"),
            "namespace": site.namespace,
            "labels": names.labels("test"),
            "annotations": {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            **pulling(site),
            "restartPolicy": "Never",
            "securityContext": pod_confined(),
            "containers": [
                {
                    "name": "test",
                    "image": site.image.reference,
                    "command": ["python3", "-S", "-P", "-c", _ASK, address],
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": limits},
                    "securityContext": confined(),
                }
            ],
        },
    }
    return holes.filled(pod)


def hook_key(name: str, labels: Mapping[str, str], holes: Holes) -> str:
    """The Secret with the key, made once: random digits that no later release changes."""
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": holes.text(".Release.Namespace"),
            "labels": dict(labels),
            "annotations": {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/resource-policy": "keep"},
        },
        "type": "Opaque",
        "stringData": {VALUE: holes.text("randAlphaNum 64 | sha256sum")},
    }
    missing = f'{{{{- if not (lookup "v1" "Secret" .Release.Namespace "{name}") }}}}\n'
    return f"{missing}{holes.filled(secret)}{{{{- end }}}}\n"
