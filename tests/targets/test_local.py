from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, TargetSuite
from mcp_targets.local.daemon import Daemon
from mcp_targets.local.places import Places


def places_of(pack: Pack) -> Places:
    return Places.of(Identity("suite-tool", "suite-tool", pack.stage), pack.environ)


class TestLocal(TargetSuite):
    target = "local"
    options = "keep = 3"

    @classmethod
    def strike(cls, pack: Pack) -> None:
        daemon = Daemon(places_of(pack))
        os.kill(daemon.state()["pid"], signal.SIGKILL)

    @classmethod
    def leftovers(cls, pack: Pack) -> Sequence[str]:
        places = places_of(pack)
        there = [str(path) for path in (places.root, places.lock) if path.exists()]
        return there + _processes(places.root)


def _processes(root: Path) -> list[str]:
    """Processes whose command line names the deployment's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode("utf-8", "replace").replace("\0", " ")
        except OSError:
            continue
        if str(root) in words:
            found.append(words)
    return found
