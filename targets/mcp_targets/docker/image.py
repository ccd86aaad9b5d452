"""The tool's image at the daemon: loaded from artifact or registry, held for as long as a release may need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.image import LAYOUT, digest_of, docker_archive, fetched_archive, find, manifests, parse
from mcp_packager.target import SOURCE, Key, Value
from mcp_targets.docker.daemon import Daemon, speaking
from mcp_targets.docker.hosted import ARCHITECTURE, BESIDE
from mcp_targets.docker.names import Names


def ensure(
    daemon: Daemon, names: Names, name: str, fields: Mapping[str, Value], output: Path | None
) -> dict[str, Value]:
    """Have the image there, and a container that never runs and keeps it from being removed as unused.

    A volume names it before it is loaded: by that a destroy finds what a load that was killed left.

    Raises:
        WorldError: it is not there and the artifact does not hold it, or the daemon has no room.
    """
    wanted: str = fields["id"]
    key = Key("image", name)
    with speaking():
        daemon.api.create_volume(names.of("image", name), labels=names.labels(key, {"id": wanted}))
    if not there(daemon, wanted):
        _load(daemon, wanted, _archive(wanted, fields, output))
    daemon.hold(names.of("image", name), names.labels(key, fields), wanted)
    return dict(fields)


def beside(daemon: Daemon, names: Names, name: str, fields: Mapping[str, Value]) -> dict[str, Value]:
    """Have an image of a public name there, under a name of this deployment's own; what it was once it stays.

    Raises:
        UserError: there is no such image, or not for this machine.
        WorldError: its registry cannot be reached, or the daemon has no room.
    """
    key, known, reference = Key("image", name), fields["id"], fields["reference"]
    public, architecture = parse(fields[BESIDE]), fields[ARCHITECTURE]
    if not isinstance(known, str) or not there(daemon, known):
        found = find(public.at(digest_of(public)))
        if architecture not in found.images:
            raise UserError(
                Problem(
                    f"the image {public}, which the front runs from, is not there for {architecture}",
                    "name another with a Python inside: [target.docker] base",
                )
            )
        known = found.images[architecture].config_digest
        with speaking():
            daemon.api.create_volume(names.of(*key), labels=names.labels(key, {**fields, "id": known}))
        if not there(daemon, known):
            _load(daemon, known, fetched_archive(found, known, reference))
    with speaking():
        daemon.api.tag(known, *reference.rpartition(":")[::2])
    held = {**fields, "id": known}
    daemon.hold(names.of(*key), names.labels(key, held), known)
    return held


def must_be_had(daemon: Daemon, fields: Mapping[str, Value], output: Path | None) -> None:
    """Hold that the image is there, or can be brought: so that nothing is begun that cannot be done.

    Raises:
        WorldError: it is neither at the daemon nor in the artifact's folder, and comes out of no registry.
    """
    if SOURCE not in fields and BESIDE not in fields and not there(daemon, fields["id"]):
        _archive(fields["id"], fields, output)


def drop(daemon: Daemon, names: Names, name: str, image: str | None) -> None:
    """Let go of the image; it goes itself where nothing else is made of it."""
    daemon.remove(names.of("image", name))
    if image is not None:
        discard(daemon, image)
    daemon.remove_volume(names.of("image", name))


def discard(daemon: Daemon, image: str) -> None:
    """Remove an image that nothing is made of any more."""
    import docker

    with speaking():
        try:
            daemon.api.remove_image(image)
        except docker.errors.ImageNotFound:
            pass
        except docker.errors.APIError as error:
            if error.status_code != 409:  # another stage, or a container of somebody else's, is made of it
                raise


def there(daemon: Daemon, image: str) -> bool:
    """Whether the daemon has an image of that name or id."""
    import docker

    with speaking():
        try:
            daemon.api.inspect_image(image)
        except docker.errors.ImageNotFound:
            return False
    return True


def _archive(image: str, fields: Mapping[str, Value], output: Path | None) -> Iterator[bytes]:
    """The image as the daemon takes it: out of the registry that it was found in, or of the artifact's folder."""
    name: str = fields["reference"]
    if SOURCE in fields:
        return fetched_archive(find(parse(fields[SOURCE])), image, name)
    layout = None if output is None else output / LAYOUT
    if layout is None or not _holds(layout, image):
        raise WorldError(
            Problem(
                f"the image {image[7:19]} of that release is no longer at the daemon",
                "mcp-pack build that version, then say the same again; or deploy it",
            )
        )
    return docker_archive(layout, [name], image)


def _load(daemon: Daemon, image: str, archive: Iterator[bytes]) -> None:
    with speaking():
        told: Iterator[Any] = daemon.api.load_image(archive)
        for line in told:
            if "error" in line:
                raise _not_loaded(str(line["error"]))
    if not there(daemon, image):
        raise _not_loaded("it has another id there")


def _holds(layout: Path, image: str) -> bool:
    """Whether a layout is of the image with that configuration."""
    try:
        return any(manifest["config"]["digest"] == image for manifest in manifests(layout))
    except (OSError, ValueError, KeyError):
        return False


def _not_loaded(said: str) -> WorldError:
    room = "no space left" in said.lower()
    fix = "make room: docker system df" if room else "see the daemon's log, and try again"
    return WorldError(Problem(f"the daemon did not take the image: {said.strip()[:300]}", fix))
