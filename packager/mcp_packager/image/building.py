"""A base image out of a ``Dockerfile``, for tools that need packages of the system.

The one part of an image that is not made here: a builder runs the Dockerfile, and what it made is taken over layer by
layer. Above it all is as deterministic as ever; whether the same layers are made twice is up to the Dockerfile.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.image import layering
from mcp_packager.image.bases import Base
from mcp_packager.image.reference import Reference
from mcp_packager.platforms import ARCHITECTURES
from mcp_packager.process import Finished, run
from mcp_packager.store import Store

CREATED: Final = "1980-01-01T00:00:00Z"
NAME: Final = Reference("localhost", "mcp-pack/dockerfile")
"""What such a base is called in manifest and provenance; its digest is one over its layers, and no registry has it."""

_BUILDERS: Final = ("docker", "podman")
_ASK_SECONDS: Final = 30.0
_BUILD_SECONDS: Final = 3600.0
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Recipe:
    """A ``Dockerfile`` of a project. What lies in its folder can be copied by it, unless that is the project's own.

    Then nothing but the Dockerfile reaches the builder: the project's folder holds what no image may.
    """

    file: Path
    project: Path

    @property
    def context(self) -> Path | None:
        """The folder that is sent to the builder."""
        folder = self.file.resolve().parent
        return None if folder == self.project.resolve() else folder


def built(
    recipe: Recipe, architecture: str, *, environ: Mapping[str, str] = os.environ, store: Store | None = None
) -> Base:
    """The image that a Dockerfile describes, as a base.

    Raises:
        UserError: there is no such file, or the builder refuses it.
        WorldError: no builder answers.
    """
    shared = store or Store()
    builder = _builder(environ)
    image = _build(builder, recipe, architecture, environ)
    kept = _remembered(image, shared)
    if kept is not None:
        return kept
    with shared.scratch() as folder:
        saved = folder / "image.tar"
        _ran(run([builder, "save", "--output", saved, image], env=environ, timeout=_BUILD_SECONDS), recipe, "saved")
        return _taken(image, saved, shared)


def _builder(environ: Mapping[str, str]) -> str:
    """The first builder that answers: the client of a Docker daemon, or Podman."""
    told = []
    for name in _BUILDERS:
        try:
            asked = run([name, "version"], env=environ, timeout=_ASK_SECONDS)
        except WorldError as error:
            told.append(error.problems[0].what)
            continue
        if asked.ok:
            return name
        told.append(f"{name}: {asked.stderr.strip().splitlines()[-1] if asked.stderr.strip() else 'no answer'}")
    raise WorldError(
        Problem(
            "nothing here can build a Dockerfile",
            "start Docker, or install Podman; or name a base that is in a registry",
            found="; ".join(told),
        )
    )


def _build(builder: str, recipe: Recipe, architecture: str, environ: Mapping[str, str]) -> str:
    """Have it built; the image's id."""
    try:
        text = recipe.file.read_bytes()
    except OSError as error:
        raise UserError(
            Problem(f"there is no Dockerfile: {error.strerror}", "write it, or name another", Place(str(recipe.file)))
        ) from None
    machine = platform.machine().lower()
    foreign = ARCHITECTURES.get(machine, machine) != architecture
    words: list[str | Path] = [builder, "build", "--quiet"]
    words += ["--platform", f"linux/{architecture}"] if foreign else []
    words += ["-"] if recipe.context is None else ["--file", recipe.file, recipe.context]
    stdin = text if recipe.context is None else None
    done = _ran(run(words, env=environ, stdin=stdin, timeout=_BUILD_SECONDS), recipe, "built")
    found = done.text().strip().splitlines()
    name = found[-1].strip() if found else ""
    return name if name.startswith("sha256:") else f"sha256:{name}"


def _ran(done: Finished, recipe: Recipe, what: str) -> Finished:
    if not done.ok:
        last = [line for line in done.stderr.strip().splitlines() if line.strip()][-8:]
        raise UserError(
            Problem(
                f"the Dockerfile could not be {what}",
                "mend what the builder says",
                Place(str(recipe.file)),
                found="\n".join(last) or f"exit code {done.code}",
            )
        )
    return done


def _taken(image: str, saved: Path, store: Store) -> Base:
    """The layers of an image that was saved, packed as ours are."""
    try:
        with tarfile.open(saved) as archive:
            (entry,) = json.loads(_member(archive, "manifest.json").read())
            config = json.loads(_member(archive, entry["Config"]).read())
            layers = tuple(
                layering.copied(diff_id, lambda name=name: _plain(archive, name), store)  # type: ignore[misc]  # bound now
                for name, diff_id in zip(entry["Layers"], config["rootfs"]["diff_ids"], strict=True)
            )
    except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise WorldError(
            Problem(f"what the builder saved cannot be read: {error}", "try another builder: docker, podman")
        ) from error
    said = config.get("config") or {}
    known = {
        "architecture": str(config["architecture"]),
        "variant": config.get("variant") or "",
        "run": {name: said[name] for name in ("Env", "Labels") if said.get(name)},
        "layers": [{"diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size} for layer in layers],
    }
    store.remember("built-bases", image.removeprefix("sha256:"), known)
    return _base(known, layers)


def _remembered(image: str, store: Store) -> Base | None:
    """The base of an image that was taken over before, where all its layers are still kept."""
    known = store.record("built-bases", image.removeprefix("sha256:"))
    if known is None:
        return None
    layers = tuple(layering.known(item["diff_id"], store) for item in known["layers"])
    found = tuple(layer for layer in layers if layer is not None)
    return _base(known, found) if len(found) == len(layers) else None


def _base(known: Mapping[str, Any], layers: tuple[layering.Layer, ...]) -> Base:
    """No time and no command of the builder's goes on into the image: they differ where the content does not."""
    over = hashlib.sha256("\n".join(layer.diff_id for layer in layers).encode()).hexdigest()
    config = {
        **({"variant": known["variant"]} if known["variant"] else {}),
        "config": known["run"],
        "history": [{"created": CREATED, "created_by": "Dockerfile"} for _ in layers],
    }
    name = NAME.at(f"sha256:{over}")
    return Base(name, name, known["architecture"], config, layers)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def _plain(archive: tarfile.TarFile, name: str) -> Iterator[bytes]:
    """A layer's tar, which some builders save compressed."""
    with _member(archive, name) as peeked:
        packed = peeked.read(2) == b"\x1f\x8b"
    file: AbstractContextManager[Any] = _member(archive, name)
    with file as stored:
        inside = gzip.GzipFile(fileobj=stored) if packed else stored
        while chunk := inside.read(_CHUNK):
            yield chunk
