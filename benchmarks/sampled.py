"""The sample as this project builds it in process, and as contexts for the builders that it is compared with."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.docker import Docker
from benchmarks.place import PROGRAMS, PYTHON, ROOT, Place

if TYPE_CHECKING:
    from mcp_packager.bundle import Bundle
    from mcp_packager.image import Pushed
    from mcp_packager.pipeline.prepare import Prepared
    from mcp_packager.pipeline.project import Aim
    from mcp_packager.store import Store

_SAMPLE: Final = ROOT / "benchmarks" / "sample"
_EDITED: Final = Path("src") / "sample" / "tools.py"


@contextmanager
def surroundings(place: Place, docker: Docker) -> Iterator[None]:
    """This process with the scratch folder's store, no settings of the user's, and the registry as the mirror."""
    said = {key: value for key, value in place.env.items() if key.startswith("MCP_PACK_")}
    said |= {"DOCKER_CONFIG": str(place.folder / "docker-config"), "MCP_PACK_REGISTRY_MIRROR": docker.registry}
    before = {key: os.environ.get(key) for key in said}
    os.environ.update(said)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@dataclass(frozen=True)
class Sample:
    """A copy of the sample, locked; ``bytecode`` says whether its bundles hold any."""

    project: Path
    prepared: Prepared
    aim: Aim
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def edit(self) -> str:
        """Change one line of the author's code; the line."""
        return f"EDITED = {next(self.numbers)}\n"

    def write(self, line: str) -> None:
        """Put a line at the end of the author's code."""
        (self.project / _EDITED).write_text((_SAMPLE / _EDITED).read_text() + line)

    def bundle(self, line: str = "", store: Store | None = None) -> Bundle:
        """The bundle with that line at the end of the author's code."""
        from mcp_packager.bundle import assemble, author_files

        self.write(line)
        manifest = self.prepared.manifest
        ((platform, interpreter),) = self.prepared.platforms[self.aim.name]
        return assemble(
            manifest=manifest,
            lock=self.prepared.lock,
            platform=platform,
            interpreter=interpreter,
            contract_document=self.prepared.contract.document,
            tool_document=manifest.tool_document(),
            author=author_files(manifest),
            store=store,
        )

    def push(self, bundle: Bundle, repository: str, store: Store | None = None) -> Pushed:
        """The bundle as an image in a registry: what is timed."""
        from mcp_packager.image import Settings, architecture_of, base, image, layers, parse, push
        from mcp_packager.pipeline.standing import base_of, pinned

        manifest = self.prepared.manifest
        named = pinned(self.prepared.lock, base_of(manifest, self.aim)) or ""
        settings = Settings(manifest.tool.name, manifest.tool.version, python=bundle.platform.python)
        below = base(parse(named), architecture_of(bundle.platform.tag), store=store)
        made = image(below, layers(bundle, store), settings)
        return push([made], parse(f"{repository}:{bundle.hash[:12]}"), store=store)


def sample(place: Place, *, bytecode: bool = True) -> Sample:
    """The sample, locked and with all that it needs in the store.

    Raises:
        PackError: the package index does not answer.
    """
    from mcp_packager.pipeline.prepare import bundles, prepare
    from mcp_packager.pipeline.project import open_project
    from mcp_packager.pipeline.requests import Request
    from mcp_packager.progress import Silent

    project = place.fresh() / "sample"
    shutil.copytree(_SAMPLE, project, ignore=shutil.ignore_patterns("Dockerfile*", "__pycache__", "dist"))
    if not bytecode:
        manifest = project / "mcp-tool.toml"
        manifest.write_text(manifest.read_text().replace("[tool]\n", "[tool]\nbytecode = false\n"))
    opened = open_project(Request(project, targets=("docker",)))
    prepared = prepare(opened.manifest, opened.aims, locked=False, progress=Silent())
    bundles(prepared, opened.aims[0], progress=Silent())
    return Sample(project, prepared, opened.aims[0])


def context(place: Place, of: Sample, *, compiled: bool) -> Path:
    """A builder's context with the same files: ``lib`` as an installer leaves it, ``code``, and the Dockerfiles.

    ``compiled`` has everything in ``lib`` compiled, as ``compileall`` does it.
    """
    from mcp_packager.bundle import materialise

    folder, tree = place.fresh() / "context", place.fresh() / "tree"
    materialise(of.bundle(), tree)
    shutil.copytree(tree / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    code = folder / "code"
    shutil.copytree(tree, code, ignore=lambda at, _: ["lib", "__pycache__"] if Path(at) == tree else ["__pycache__"])
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    for file in ("Dockerfile", "Dockerfile.pip"):
        shutil.copy(_SAMPLE / file, folder)
    if compiled:
        compile_all: list[str | Path] = [PYTHON, "-m", "compileall", "-q", "-j", "0"]
        where: list[str | Path] = ["--invalidation-mode", "unchecked-hash", "-s", folder, "-p", "/opt/mcp-tool"]
        # Files of a wheel may be for another Python (as numpy's are); compileall says so and goes on.
        subprocess.run([*compile_all, *where, folder / "lib"], check=False, stdout=subprocess.DEVNULL)
        subprocess.run([*compile_all, *where, code], check=True)
    return folder


def lend_wheels(place: Place, of: Sample, folder: Path) -> None:
    """Put the wheels and pip into a context, for `Dockerfile.pip`."""
    from mcp_packager.lock import fetch

    ((platform, _),) = of.prepared.platforms[of.aim.name]
    wheels = folder / "wheels"
    wheels.mkdir()
    named = []
    for wheel in fetch(of.prepared.lock, platform):
        shutil.copy(wheel.path, wheels / wheel.filename)
        named.append(f"{wheel.name}=={wheel.version}\n")
    (wheels / "requirements.txt").write_text("".join(named))
    install: list[str | Path] = [PROGRAMS / "uv", "pip", "install", "--quiet", "--python", PYTHON]
    subprocess.run([*install, "--target", folder / "pip", "pip"], check=True, env=dict(place.env))


def edited(folder: Path, line: str) -> None:
    """The same edit in a builder's context."""
    original, file = (_SAMPLE / _EDITED).read_text(), folder / "code" / "app" / "sample" / "tools.py"
    file.write_text(original + line)
    # Nobody looks whether that bytecode is still the source's.
    shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
