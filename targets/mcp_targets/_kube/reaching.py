"""Another way to an endpoint in a cluster: through the API server, to the Pods behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from mcp_packager.target import Endpoint, Via
from mcp_targets._kube.inside import forwarded
from mcp_targets._kube.kinds import PODS
from mcp_targets._kube.looking import serving
from mcp_targets._kube.names import Names
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.reasons import is_ready
from mcp_targets._kube.settings import PORT, own_hosts


def opened(objects: Objects, names: Names, endpoint: Endpoint) -> AbstractContextManager[Endpoint] | None:
    """The same server by a port of this machine, open as long as the context is; ``None`` where no Pod is ready."""
    if endpoint.url is None:
        return None
    parts = urlsplit(endpoint.url)
    pods = _behind(objects, names, parts.hostname or "")
    if not pods:
        return None
    # The server answers to names that it knows; the Pod's own address and this machine's are none of them.
    host = own_hosts(names.base, objects.namespace)[-1]
    inner = replace(endpoint, headers={**endpoint.headers, "Host": host}, via=Via.CLUSTER)
    return _open(objects, pods, inner, parts.path)


def _behind(objects: Objects, names: Names, host: str) -> list[str]:
    """The one Pod that has this address, else all that serve and are ready."""
    selector = ",".join(f"{name}={value}" for name, value in names.servers().items())
    there = objects.listing(PODS, selector=selector)
    by_address = [pod for pod in there if (pod.get("status") or {}).get("podIP") == host]
    found = by_address or [pod for pod in serving(objects, names) if is_ready(pod)]
    return [pod["metadata"]["name"] for pod in found]


@contextmanager
def _open(objects: Objects, pods: list[str], inner: Endpoint, path: str) -> Iterator[Endpoint]:
    with forwarded(objects.api, objects.namespace, pods, PORT) as port:
        yield replace(inner, url=f"http://127.0.0.1:{port}{path}")
