"""A ``Dockerfile`` that makes the same image, for those who must use a builder of their own.

It is made of the image's own configuration, so that the two cannot drift apart: each layer is the blob that stands in
the OCI layout beside it, which ``ADD`` unpacks with the owners and modes it has. Nothing runs while it is built.
Builders: Docker's classic one, BuildKit, Buildah.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from mcp_packager.errors import Problem, UserError
from mcp_targets.docker.compose import HEALTH
from mcp_targets.docker.render import HEALTH_INTERVAL, HEALTH_RETRIES, HEALTH_TIMEOUT

if TYPE_CHECKING:
    from mcp_packager.image import Image

_BLOBS: Final = "image/blobs/sha256"


def dockerfile(image: Image, below: str | None = None) -> str:
    """The text of the ``Dockerfile``; ``below`` is that of the author's own, which then comes first.

    Raises:
        UserError: a value holds a control character, which could be read as a line of its own.
    """
    return "\n".join(_lines(image, below)) + "\n"


def dockerignore(image: Image) -> str:
    """The text of ``.dockerignore``: nothing but the blobs that are unpacked reaches the builder."""
    return "\n".join(["*", *(f"!{_blob(layer.digest)}" for layer in image.layers)]) + "\n"


def _lines(image: Image, below: str | None) -> Iterator[str]:
    run = json.loads(image.config)["config"]
    inherited = image.base.config.get("config") or {}
    yield "# The image that mcp-pack makes, for another builder: docker build ."
    yield "# checkov:skip=CKV_DOCKER_4: ADD unpacks the layers, which are local and named by digest; COPY would not"
    yield "# hadolint's DL3020 says the same of each ADD, and is left out for the same reason"
    yield f"FROM {_plain(str(image.base.reference))}" if below is None else f"# The project's own Dockerfile\n{below}"
    for layer in image.layers:
        yield f"# {_plain(layer.name)}"
        yield "# hadolint ignore=DL3020"
        yield f"ADD {_array([_blob(layer.digest), '/'])}"
    theirs = set(inherited.get("Env") or ())
    yield from (
        f"ENV {name}={_quoted(value)}" for name, _, value in (e.partition("=") for e in run["Env"] if e not in theirs)
    )
    for name, value in sorted(run["Labels"].items()):
        if (inherited.get("Labels") or {}).get(name) != value:
            yield f"LABEL {_quoted(name)}={_quoted(value)}"
    yield from (f"EXPOSE {_plain(port)}" for port in sorted(run["ExposedPorts"]))
    yield f"WORKDIR {_plain(run['WorkingDir'])}"
    yield f"USER {_plain(run['User'])}"
    yield f"STOPSIGNAL {_plain(run['StopSignal'])}"
    times = f"--interval={HEALTH_INTERVAL:g}s --timeout={HEALTH_TIMEOUT:g}s --start-period=60s"
    yield f"HEALTHCHECK {times} --retries={HEALTH_RETRIES} CMD {_array(HEALTH)}"
    yield f"ENTRYPOINT {_array(run['Entrypoint'])}"
    yield f"CMD {_array(run['Cmd'])}"


def _blob(digest: str) -> str:
    return f"{_BLOBS}/{digest.removeprefix('sha256:')}"


def _array(words: Any) -> str:
    """The exec form: no shell reads it."""
    return json.dumps([_plain(word) for word in words], ensure_ascii=False)


def _quoted(text: str) -> str:
    """A value in double quotes; there a Dockerfile knows escapes for these three, and variables begin with ``$``."""
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    if not text.isprintable():
        raise UserError(
            Problem(f"{text!r} cannot stand in a Dockerfile", "leave control characters out of names and descriptions")
        )
    return text
