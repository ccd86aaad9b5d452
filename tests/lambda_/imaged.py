"""Tools as images for functions: built by the target, unpacked by umoci, started as Lambda starts an image.

The image's files are the root of the file system, nothing of this machine's is seen, and the program is nobody in
particular, to whom all of it is read-only, as it is in Lambda.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from mcp_packager.manifest import load
from mcp_packager.pipeline.artifacts import Built
from mcp_packager.pipeline.build import build_one
from mcp_packager.pipeline.prepare import prepare
from mcp_packager.pipeline.project import Aim
from mcp_packager.progress import Silent
from mcp_packager.target import DesiredInput, Resource, base_config, identity_of
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.target import LambdaTarget
from tests import real_parts

MACHINE: Final = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "x86_64")
TABLE: Final = f"""
[target.lambda]
package = "image"
architecture = "{MACHINE}"
region = "eu-central-1"
account = "123456789012"
"""
NOBODY: Final = 65532

_CHROOT: Final = """
import os, sys, warnings  # the last one is wanted for a look at PATH, when it can no longer be found
root, folder, user, *words = sys.argv[1:]
os.chroot(root)
os.chdir(folder)
os.setgroups([])
os.setgid(int(user))
os.setuid(int(user))
os.execvp(words[0], words)
"""


def built(project: Path, output: Path) -> tuple[Built, dict[str, Resource]]:
    """Build a project whose manifest has :data:`TABLE`; the resources that are wanted of it, by kind."""
    target = LambdaTarget()
    manifest = load(project, options={"lambda": Options})
    aim = Aim("lambda", cast("Any", target), manifest.targets["lambda"])
    prepared = prepare(manifest, [aim], locked=False, progress=Silent())
    made = build_one(prepared, aim, output, progress=Silent())
    config = base_config(manifest, "lambda", target.exposure(manifest, aim.options))
    wanted = DesiredInput(manifest, aim.options, identity_of(manifest), made.artifact, config)
    return made, {one.kind: one for one in target.desired(wanted)}


@dataclass(frozen=True)
class Unpacked:
    """An image's files, and its own environment."""

    root: Path
    env: Mapping[str, str]

    def command(self, started: Mapping[str, Any], *more: str) -> Sequence[str | Path]:
        """What starts it; ``started`` is the function's ``ImageConfig``."""
        words = [*started["EntryPoint"], *started["Command"], *more]
        return [sys.executable, "-S", "-c", _CHROOT, self.root, started["WorkingDirectory"], str(NOBODY), *words]


def fetched(reference: str, folder: Path) -> Unpacked:
    """The files of an image in a registry on loopback, by digest."""
    folder.mkdir()
    copy: list[str | Path] = [
        real_parts.PARTS["skopeo"](),
        "copy",
        "--quiet",
        "--src-tls-verify=false",
        f"docker://{reference}",
    ]
    subprocess.run([*copy, f"oci:{folder}/layout:it"], check=True, capture_output=True)
    return unpacked(folder / "layout", folder / "unpacked")


def unpacked(layout: Path, folder: Path) -> Unpacked:
    """Unpack the one image of a layout."""
    index = json.loads((layout / "index.json").read_bytes())
    (top,) = index["manifests"]
    tag = top["annotations"]["org.opencontainers.image.ref.name"]
    program = real_parts.PARTS["umoci"]()
    subprocess.run([program, "unpack", "--image", f"{layout}:{tag}", folder], check=True, capture_output=True)
    said = json.loads((folder / "config.json").read_bytes())["process"]["env"]
    return Unpacked(folder / "rootfs", dict(line.split("=", 1) for line in said))
