"""Tool projects with a manifest alone, and what `eks` wants of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mcp_packager.manifest import Manifest, load
from mcp_packager.target import Artifact, DesiredInput, Key, Resource, base_config, identity_of
from mcp_targets.eks import target
from mcp_targets.eks.options import Options
from mcp_targets.eks.render import repository
from tests.targets.aws.conftest import ACCOUNT, REGION

DIGEST = "sha256:" + "a" * 64


def written(
    folder: Path, options: str = "", more: str = "", *, name: str = "notes", host: str | None = None
) -> Manifest:
    """The manifest of a tool on the cluster ``main``; ``options`` are lines of ``[target.eks]``."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [] if host is None else [f'host = "{host}"']
    text = "\n".join(
        [
            f'[tool]\nname = "{name}"\nversion = "1.2.3"\nentrypoint = "{name}"',
            more,
            f'[target.eks]\ncluster = "main"\nregion = "{REGION}"\naccount = "{ACCOUNT}"',
            *lines,
            options,
        ]
    )
    (folder / "mcp-tool.toml").write_text(text)
    return load(folder, options={"eks": Options})


def desired(manifest: Manifest) -> dict[Key, Resource]:
    """Everything that a deploy of it wants."""
    options = manifest.targets["eks"]
    reference = f"{repository(manifest, options)}:1.2.3-abc"
    artifact = Artifact(
        "eks", "image", manifest.tool.name, "1.2.3", DIGEST, 1, "c" * 64, facts={"reference": reference}
    )
    config = base_config(manifest, "eks", target.exposure(manifest, options))
    made = target.desired(DesiredInput(manifest, options, identity_of(manifest), artifact, config))
    return {one.key: one for one in made}


def objects(resources: dict[Key, Resource], kind: str) -> list[Any]:
    """The objects of a kind."""
    return [one.fields["object"] for key, one in resources.items() if key.kind == kind]


def only(resources: dict[Key, Resource], kind: str) -> Any:
    """The one object of a kind."""
    (found,) = objects(resources, kind)
    return found
