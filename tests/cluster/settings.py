"""What each part of the cluster is told: keys and files in one folder. Most of it is JSON, which is YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.keys import Authority, Pair, signing_pair
from tests.cluster.machine import CNI, DNS, HERE, NODE, PODS
from tests.cluster.volumes import storage_class

API_PORT, METRICS_PORT = 6443, 10443
TOKENS_PORT = 10444
"""Where the API server asks whose a token is that it does not know itself, at our end of the cable."""
NAME = "node1"
_API_SERVICE = "10.96.0.1"
_CONTAINERD = """version = 2
root = "{place}/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{place}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true  # where root lacks CAP_SYS_RESOURCE, runc dies otherwise: "can't get final child's PID"
  sandbox_image = "{registry}/pause:1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{place}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{place}/registries"
"""
_COREFILE = """.:53 {{
  bind {node}
  errors
  kubernetes cluster.local {{
    kubeconfig {place}/kubeconfig tests
  }}
}}
"""


def write(place: Path, registry: str, group: str) -> None:
    """Write keys and settings of every part into the folder.

    Args:
        registry: ``host:port`` of the registry that holds the image of a Pod's own container, and all others.
        group: The control group under which all Pods are to be, ``/NAME``.
    """
    authority = Authority(place, "tests-cluster")
    authority.pair("apiserver", "kube-apiserver", NODE, "127.0.0.1", _API_SERVICE, "kubernetes.default.svc")
    authority.pair("kubelet", f"system:node:{NAME}", NODE, NAME, group="system:nodes")
    admin = authority.pair("admin", "admin", group="system:masters")
    signing_pair(place, "accounts")
    _json(place / "kubeconfig", kubeconfig(place, admin))
    for folder in ("cni", "registries/_default", "log", "volumes", "plugins"):
        (place / folder).mkdir(parents=True)
    # Every registry's images come from this one: the public ones' and those of cloud accounts as well.
    (place / "registries/_default/hosts.toml").write_text(f'[host."http://{registry}"]\n')
    (place / "containerd.toml").write_text(
        _CONTAINERD.format(place=place, registry=registry, cni=CNI, snapshotter=_snapshotter(place))
    )
    (place / "Corefile").write_text(_COREFILE.format(node=NODE, place=place))
    (place / "resolv.conf").touch()
    _json(place / "registry.yml", _registry(place, registry))
    _json(place / "cni/10-pods.conflist", _network())
    _json(place / "tokens.json", _tokens())
    _json(place / "kubelet.yaml", _kubelet(place, group))
    _json(place / "proxy.yaml", _proxy(place))
    _json(place / "beside.json", {"apiVersion": "v1", "kind": "List", "items": _beside()})


def _registry(place: Path, address: str) -> dict[str, Any]:
    return {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(place / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }


def kubeconfig(place: Path, who: Pair) -> dict[str, Any]:
    """A kubeconfig for the holder of a certificate."""
    cluster = {"server": f"https://{NODE}:{API_PORT}", "certificate-authority": str(place / "ca.crt")}
    user = {"client-certificate": str(who.certificate), "client-key": str(who.key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }


def _tokens() -> dict[str, Any]:
    """How the API server asks; a test that has tokens of its own answers, and otherwise nobody does."""
    cluster = {"server": f"http://{HERE}:{TOKENS_PORT}/review"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tokens", "cluster": cluster}],
        "users": [{"name": "tests", "user": {}}],
        "contexts": [{"name": "tokens", "context": {"cluster": "tokens", "user": "tests"}}],
        "current-context": "tokens",
    }


def _network() -> dict[str, Any]:
    addresses = {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": PODS}]]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {**bridge, "ipam": {**addresses, "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(place: Path, group: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE,
        "authentication": {"x509": {"clientCAFile": str(place / "ca.crt")}},
        "containerRuntimeEndpoint": "unix:///run/containerd.sock",
        "cgroupDriver": "cgroupfs",
        # Of its own: two kubelets with one root would each remove what the other has there.
        "cgroupRoot": group,
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(place / "resolv.conf"),
        "tlsCertFile": str(place / "kubelet.crt"),
        "tlsPrivateKeyFile": str(place / "kubelet.key"),
        "volumePluginDir": str(place / "plugins"),
        # What cloud controllers ask a node for before they take it as a target.
        "providerID": "aws:///us-west-2a/i-00000000000000001",
        "maxPods": 200,
        # This machine's disk and memory are others' too: no Pod is sent away for what those use.
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
    }


def _proxy(place: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(place / "kubeconfig")},
        "mode": "iptables",
        "hostnameOverride": NAME,
        "conntrack": {"maxPerCore": 0},
        "iptables": {"minSyncPeriod": "0s"},
    }


def _beside() -> list[dict[str, Any]]:
    """What stands for the parts that run beside the node's containers, as plain processes; and a class of storage."""
    aggregated = {
        "service": {"name": "metrics-server", "namespace": "kube-system"},
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    dns = [{"name": "udp", "port": 53, "protocol": "UDP"}, {"name": "tcp", "port": 53, "protocol": "TCP"}]
    return [
        storage_class(),
        *_process("kube-dns", {"clusterIP": DNS, "ports": dns}, dns),
        *_process(
            "metrics-server",
            {"ports": [{"port": 443, "targetPort": METRICS_PORT}]},
            [{"name": "", "port": METRICS_PORT}],
        ),
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": aggregated,
        },
    ]


def _process(name: str, service: Mapping[str, Any], ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    metadata = {"name": name, "namespace": "kube-system"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": dict(service)},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [NODE], "conditions": {"ready": True}}],
        },
    ]


def _snapshotter(place: Path) -> str:
    # overlayfs cannot be laid on itself, as where a container runs the tests.
    within = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    _, kind = max((len(at), kind) for _, at, kind, *_ in within if f"{place}/".startswith(f"{at.rstrip('/')}/"))
    return "native" if kind == "overlay" else "overlayfs"


def _json(file: Path, data: Mapping[str, Any]) -> None:
    file.touch(0o600)
    file.write_text(json.dumps(data))
