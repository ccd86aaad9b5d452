"""The shared suite, run where this plugin is installed: ``tests/targets/test_plugin.py`` does that."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from mcp_pack_shed.world import (  # type: ignore[import-not-found]  # only there where the plugin is installed
    processes,
    root_of,
)

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, TargetSuite


class TestShed(TargetSuite):
    target = "shed"

    @classmethod
    def strike(cls, pack: Pack) -> None:
        for pids in processes(_root(pack)).values():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    @classmethod
    def leftovers(cls, pack: Pack) -> Sequence[str]:
        root = _root(pack)
        there = [str(path) for path in (root, root.with_name(f"{root.name}.lock")) if path.exists()]
        return there + [str(found) for found in processes(root).items()]


def _root(pack: Pack) -> Path:
    root: Path = root_of(Identity("suite-tool", "suite-tool", pack.stage).name(), pack.environ)
    return root
