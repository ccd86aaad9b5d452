"""The first process of the node's namespaces: starts every part of the cluster, and reaps whatever is left.

``python node.py FOLDER``, in network, mount and process namespaces of its own. What it starts ends with it. Standard
library only; started by the file ``keeper.py``, which holds the cable.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SYSCTL: Mapping[str, str] = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet sets on its machine (kubelet's own ``cm.setupKernelTunables``)."""


class Node:
    """The parts, each with a log file of its own."""

    def __init__(self, place: Path) -> None:
        self._place = place
        told = json.loads((place / "node.json").read_text())
        self._programs: dict[str, str] = told["programs"]
        self._here, self._node = told["here"], told["node"]
        self._pods, self._services = told["pods"], told["services"]
        self._name = told["name"]
        self._api = f"https://{self._node}:{told['api_port']}"
        self._metrics_port = str(told["metrics_port"])

    def run(self) -> None:
        """Start everything; return never."""
        # Where Debian has runc and iptables.
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        self._mount()
        self._connect()
        self._start("etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--log-level", "warn")
        self._start("containerd", "--config", "containerd.toml")
        # The same files as the registry of the tests, on the same port of the node's own loopback.
        self._start("docker-registry", "serve", "registry.yml")
        self._apiserver()
        self._until_ready()
        self._controllers()
        self._kube("scheduler", "--kubeconfig", "kubeconfig", "--leader-elect=false")
        self._kube("proxy", "--config", "proxy.yaml")
        kubelet = ["--config", "kubelet.yaml", "--kubeconfig", "kubeconfig", "--root-dir", str(self._place / "kubelet")]
        self._kube("kubelet", *kubelet, "--hostname-override", self._name, "--node-ip", self._node)
        self._start("coredns", "-conf", "Corefile")
        self._metrics()
        self._kubectl("apply", "-f", "beside.json")
        while True:
            os.wait()

    def _mount(self) -> None:
        self._call("mount", "--make-rshared", "/")
        # Folders in which some part keeps something whatever it is told.
        for folder in ("/run", "/var/log", "/var/lib"):
            self._call("mount", "-t", "tmpfs", "tmpfs", folder)
        # The machine keeps its settings: the kubelet finds these files in their place, with what it wants to see.
        for name, value in _SYSCTL.items():
            own = Path("/run/sysctl") / name
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(f"{value}\n")
            self._call("mount", "--bind", str(own), f"/proc/sys/{name}")

    def _connect(self) -> None:
        self._call("ip", "link", "set", "lo", "up")
        while not self._has_cable():
            time.sleep(0.01)
        self._call("ip", "address", "add", f"{self._node}/30", "dev", "eth0")
        self._call("ip", "link", "set", "eth0", "up")
        # No way out: only Services, whose addresses the proxy replaces once there is a route for them.
        self._call("ip", "route", "add", self._services, "via", self._here)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def _has_cable(self) -> bool:
        # The mounted /sys shows the network of whoever mounted it.
        return any(line.strip().startswith("eth0:") for line in Path("/proc/net/dev").read_text().splitlines())

    def _apiserver(self) -> None:
        serving = ["--tls-cert-file", "apiserver.crt", "--tls-private-key-file", "apiserver.key"]
        accounts = ["--service-account-key-file", "accounts.pub", "--service-account-signing-key-file", "accounts.key"]
        kubelet = ["--kubelet-certificate-authority", "ca.crt", "--kubelet-client-certificate", "admin.crt"]
        # Else it looks the node's name up.
        kubelet += ["--kubelet-client-key", "admin.key", "--kubelet-preferred-address-types", "InternalIP"]
        aggregated = ["--proxy-client-cert-file", "admin.crt", "--proxy-client-key-file", "admin.key"]
        aggregated += ["--requestheader-client-ca-file", "ca.crt", "--enable-aggregator-routing"]
        for header, flag in (("User", "username-headers"), ("Group", "group-headers")):
            aggregated += [f"--requestheader-{flag}", f"X-Remote-{header}"]
        aggregated += ["--requestheader-extra-headers-prefix", "X-Remote-Extra-"]
        # As EKS has it for tokens that AWS credentials signed.
        tokens = ["--authentication-token-webhook-config-file", "tokens.json"]
        tokens += ["--authentication-token-webhook-version", "v1"]
        self._kube(
            "apiserver",
            *("--etcd-servers", "http://127.0.0.1:2379", "--advertise-address", self._node),
            *("--service-cluster-ip-range", self._services, "--authorization-mode", "Node,RBAC"),
            *("--client-ca-file", "ca.crt", "--service-account-issuer", "https://kubernetes.default.svc"),
            *serving,
            *accounts,
            *kubelet,
            *aggregated,
            *tokens,
        )

    def _controllers(self) -> None:
        accounts = ["--service-account-private-key-file", "accounts.key", "--root-ca-file", "ca.crt"]
        # Seconds instead of minutes until what a Pod uses counts.
        scaling = ["--horizontal-pod-autoscaler-sync-period", "2s"]
        scaling += ["--horizontal-pod-autoscaler-cpu-initialization-period", "5s"]
        scaling += ["--horizontal-pod-autoscaler-initial-readiness-delay", "5s"]
        flags = ["--use-service-account-credentials", "--leader-elect=false", "--flex-volume-plugin-dir", "plugins"]
        self._kube("controllers", "--kubeconfig", "kubeconfig", *accounts, *flags, *scaling)

    def _metrics(self) -> None:
        asks = ["--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig"]
        kubelet = ["--kubelet-certificate-authority", "ca.crt", "--kubelet-client-certificate", "admin.crt"]
        kubelet += ["--kubelet-client-key", "admin.key", "--kubelet-preferred-address-types", "InternalIP"]
        # Its resolution must be above its time-out.
        rhythm = ["--metric-resolution", "10s", "--kubelet-request-timeout", "5s"]
        at = ["--bind-address", self._node, "--secure-port", self._metrics_port, "--cert-dir", "/run/metrics"]
        self._start("metrics-server", *(word for flag in asks for word in (flag, "kubeconfig")), *kubelet, *rhythm, *at)

    def _until_ready(self) -> None:
        # Ends with the keeper, which has a deadline.
        while not self._kubectl("get", "--raw", "/readyz"):
            time.sleep(0.1)

    def _kubectl(self, *arguments: str) -> bool:
        line = [self._programs["kubernetes"], "kubectl", "--kubeconfig", "kubeconfig", *arguments]
        with (self._place / "log" / "kubectl.log").open("ab") as log:
            return subprocess.run(line, stdout=log, stderr=log, cwd=self._place, check=False).returncode == 0

    def _kube(self, part: str, *arguments: str) -> None:
        self._begin(part, [self._programs["kubernetes"], part, *arguments])

    def _start(self, program: str, *arguments: str) -> None:
        self._begin(program, [self._programs[program], *arguments])

    def _begin(self, name: str, line: Sequence[str]) -> None:
        with (self._place / "log" / f"{name}.log").open("ab") as log:
            subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._place)

    def _call(self, *line: str) -> None:
        subprocess.run([self._programs.get(line[0], line[0]), *line[1:]], check=True)


if __name__ == "__main__":
    Node(Path(sys.argv[1])).run()
