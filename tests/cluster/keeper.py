"""Holds the node of a cluster, and lets nothing of it outlive whoever started this.

``python -m tests.cluster.keeper FOLDER``. It prints a line once the node has its cable. It ends with its standard
input, which ends with the tests however those do: the node's first process is killed, and with it all that the node
runs; then the registry, the cable, the control groups and the folder go. Killed itself, it takes node and registry
along.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import volumes
from tests.cluster.api import Api
from tests.cluster.machine import CABLE, HERE, NODE, PODS, groups

_SECONDS = 20.0


def keep(place: Path, group: str) -> None:
    """Run the node in ``place``, with its Pods under the control group, until standard input ends."""
    _make_groups(group)
    programs = json.loads((place / "node.json").read_text())["programs"]
    registry = _start(place, "registry", [programs["docker-registry"], "serve", str(place / "registry.yml")])
    line = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    line += [sys.executable, str(Path(__file__).with_name("node.py")), str(place)]
    node = _start(place, "node", line)
    try:
        _lay_cable(node)
        given = (Api(place / "kubeconfig"), place / "volumes")
        threading.Thread(target=volumes.provide, args=given, daemon=True).start()
        print("up", flush=True)
        sys.stdin.read()
    finally:
        for process in (node, registry):
            process.kill()
            process.wait()
        _ip("link", "delete", CABLE, check=False)
        _remove_groups(group)
        _remove(place)


def _start(place: Path, name: str, line: Sequence[str]) -> subprocess.Popen[bytes]:
    alone = ["setpriv", "--pdeathsig", "KILL", *line]
    # All that it starts carries this, so that what is left over can be told from any other cluster's.
    environ = {**os.environ, "MCP_PACK_TEST_CLUSTER": place.name}
    with (place / "log" / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            alone, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environ
        )


def _lay_cable(node: subprocess.Popen[bytes]) -> None:
    first = _first_process(node)
    _ip("link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", first)
    _ip("address", "add", f"{HERE}/30", "dev", CABLE)
    _ip("link", "set", CABLE, "up")
    _ip("route", "add", PODS, "via", NODE)


def _first_process(node: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and node.poll() is None:
        children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
        if children:
            return children[0]
        time.sleep(0.01)
    raise SystemExit("the node's namespaces were not made")


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, stderr=None if check else subprocess.DEVNULL)


def _make_groups(group: str) -> None:
    for root in groups():
        mine = root / group.strip("/")
        mine.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            # With version 1 a new group of this controller is empty, and nothing may run there.
            if (mine / name).exists() and not (mine / name).read_text().strip():
                (mine / name).write_text((root / name).read_text())
        if (root / "cgroup.subtree_control").is_file():
            offered = " ".join(f"+{name}" for name in (root / "cgroup.controllers").read_text().split())
            for place in (root, mine):
                (place / "cgroup.subtree_control").write_text(offered)


def _remove_groups(group: str) -> None:
    for root in groups():
        deadline = time.monotonic() + _SECONDS
        # The kernel keeps a group until the last of its processes is gone for good.
        while (root / group.strip("/")).exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(root / group.strip("/"), topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            time.sleep(0.02)


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # A terminal's Ctrl-C is for the tests; this ends when they have.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _place = Path(sys.argv[1])
    keep(_place, json.loads((_place / "node.json").read_text())["group"])
