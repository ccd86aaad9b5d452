"""What a machine must have for a Kubernetes of the tests' own, and which of its addresses that one takes.

Standard library only: ``python -m tests.real_parts`` asks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

HERE, NODE = "10.213.0.1", "10.213.0.2"
"""The two ends of the cable between the tests' network and the node's."""
PODS, SERVICES, DNS = "10.244.0.0/24", "10.96.0.0/16", "10.96.0.10"
CABLE = "mcp-pack-k8s"
"""The interface at our end: there is one such cluster in a network at a time."""
CNI = Path("/usr/lib/cni")
_PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "etcd": "etcd-server",
        "containerd": "containerd",
        "runc": "runc",
        "docker-registry": "docker-registry",
        "iptables": "iptables",
        "ip": "iproute2",
        "conntrack": "conntrack",
        "unshare": "util-linux",
    }
)
_GROUPS = Path("/sys/fs/cgroup")


def lacks() -> str | None:
    """Why no cluster can run on this machine, or ``None`` where one can."""
    if sys.platform != "linux" or os.geteuid():
        return "a cluster of the tests' own needs Linux, and root there"
    for name, package in _PACKAGES.items():
        if program(name) is None:
            return f"no {name} on PATH; install {package}"
    if not (CNI / "bridge").is_file():
        return "no CNI plugins; install containernetworking-plugins"
    if not all(os.access(root, os.W_OK) and not os.statvfs(root).f_flag & os.ST_RDONLY for root in groups()):
        return "this machine lets nobody write control groups"
    alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    if subprocess.run(alone, capture_output=True, check=False).returncode:
        return "this machine lets nobody make namespaces"
    return None


def taken() -> str | None:
    """Why the cluster's addresses are not to be had in this network, or ``None`` where they are."""
    for network in (f"{NODE}/32", PODS):
        answer = _ip("-o", "route", "get", network.partition("/")[0])
        # Through a gateway, or nowhere: nobody near has it.
        if answer and " via " not in answer:
            return f"this machine's network has {network} already: {answer.splitlines()[0].strip()}"
    return None


def program(name: str) -> Path | None:
    """A program by its name; Debian puts some of them where only an administrator's PATH leads."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    return Path(found) if found else None


def groups() -> list[Path]:
    """The roots of the control groups: one for each controller with version 1, a single one with version 2."""
    if (_GROUPS / "cgroup.controllers").is_file():
        return [_GROUPS]
    return sorted(root for root in _GROUPS.iterdir() if (root / "cgroup.procs").is_file())


def _ip(*arguments: str) -> str:
    done = subprocess.run([str(program("ip")), *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
