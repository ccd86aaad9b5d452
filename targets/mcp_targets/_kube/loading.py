"""Images put into the nodes of a cluster on this machine, where there is no registry: by the cluster's own program."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Value

LOAD: Final = "load"
CLUSTER: Final = "cluster"
"""Fields of an ``image`` resource: the sort of cluster, and its name where it is not that sort's default."""


def load(fields: Mapping[str, Value], layout: Path, environ: Mapping[str, str]) -> None:
    """Put the image of an OCI layout into the nodes, under its repository and tag.

    https://kind.sigs.k8s.io/docs/user/quick-start/#loading-an-image-into-your-cluster,
    https://minikube.sigs.k8s.io/docs/handbook/pushing/, https://docs.k3s.io/installation/airgap

    Raises:
        WorldError: the program is missing, or it or the layout does not do.
    """
    from mcp_packager.image import docker_archive
    from mcp_packager.process import run

    repository = str(fields["reference"]).partition("@")[0]
    with tempfile.TemporaryDirectory(prefix="mcp-pack-") as folder:
        archive = Path(folder) / "image.tar"
        try:
            with archive.open("wb") as file:
                file.writelines(docker_archive(layout, [f"{repository}:{fields['tag']}"]))
        except (OSError, ValueError, KeyError) as error:
            raise WorldError(Problem(f"the image in {layout} cannot be read: {error}", "build again")) from error
        command = _command(str(fields[LOAD]), fields.get(CLUSTER), archive)
        done = run(command, env=environ)
    if not done.ok:
        raise WorldError(
            Problem(
                f"{' '.join(command[:3])} did not take the image: {done.stderr.strip()[-300:]}",
                f"make {command[0]} work with the cluster first",
            )
        )


def _command(sort: str, cluster: Value, archive: Path) -> tuple[str, ...]:
    match sort:
        case "kind":
            return ("kind", "load", "image-archive", str(archive), *(("--name", str(cluster)) if cluster else ()))
        case "minikube":
            return ("minikube", "image", "load", str(archive), *(("--profile", str(cluster)) if cluster else ()))
        case "k3s":
            return ("k3s", "ctr", "images", "import", str(archive))
        case _:
            raise WorldError(Problem(f"images are not loaded into {sort}", "use the version that deployed it"))
