"""The seam to Docker or Podman: where its socket is, and what its refusals mean for a person."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import PackError, Problem, UserError, WorldError
from mcp_packager.target import Scope, TransientError
from mcp_packager.target.owner import died, me
from mcp_targets.docker.names import BY, EMPTY, KIND, SCOPE

_SECONDS: Final = 120
_TRIES: Final = 20
_SOCKET: Final = "/var/run/docker.sock"
USER: Final = 65532


class Daemon:
    """One Docker or Podman daemon. Connects when it is first asked something."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._api: Any = None

    @property
    def api(self) -> Any:
        """docker-py's low-level client.

        Raises:
            UserError: no daemon answers, or this user may not speak to it.
        """
        if self._api is None:
            self._api = _connected(self._environ)
        return self._api

    def empty_image(self) -> str:
        """The id of the image of containers that never run; loaded when it is missing.

        By its id, as Podman takes a short name for one of Docker Hub. It is not imported: Podman would drop the tag.
        """
        import docker

        identity, archive = _empty()
        with speaking():
            try:
                self.api.inspect_image(identity)
            except docker.errors.ImageNotFound:
                for _ in self.api.load_image(archive):
                    pass
        return identity

    def drop_empty(self) -> None:
        """Remove that image, unless a deployment is at the daemon; data that one left needs it no more."""
        import docker

        with speaking():
            volumes = self.api.volumes()["Volumes"] or ()
            labels = [volume["Labels"] or {} for volume in volumes]
            if any(KIND in each and each.get(SCOPE) != Scope.DATA.value for each in labels):
                return
            image = _empty()[0]
            try:
                self.api.remove_image(image)
            except docker.errors.APIError as error:
                # 409: a command that is at work made a container of it.
                if error.status_code != 409 and not _vanished(error, image):
                    raise

    def hold(self, name: str, labels: Mapping[str, str], image: str) -> None:
        """Make a container that never runs and keeps an image in use, unless it is there."""
        import docker

        with speaking():
            try:
                self.api.create_container(image, command=["none"], name=name, labels=dict(labels))
            except docker.errors.APIError as error:
                if not _taken(error):
                    raise

    def volumes(self, filters: Mapping[str, list[str]]) -> list[Any]:
        """The volumes that carry all labels of a filter. Podman 4.3 answers with those that carry any, and others."""
        found = self.api.volumes(filters=dict(filters))["Volumes"] or ()
        wanted = [label.partition("=")[::2] for label in filters["label"]]
        return [each for each in found if all((each["Labels"] or {}).get(name) == value for name, value in wanted)]

    def remove_volume(self, name: str) -> None:
        """Remove a volume; one that is gone is fine."""
        import docker

        with speaking(), contextlib.suppress(docker.errors.NotFound):
            self.api.remove_volume(name)

    def sweep(self) -> None:
        """Remove what a command that was killed on this machine had only for as long as it ran."""
        with speaking():
            found = self.api.containers(all=True, filters={"label": [BY]})
        for container in found:
            if died(container["Labels"][BY]):
                self.remove(container["Id"])

    def remove(self, container: str, *, stop_seconds: int | None = None) -> None:
        """Stop a container, where it is to be given time, and remove it; one that is gone is fine."""
        import docker

        with speaking():
            try:
                if stop_seconds is not None:
                    self.api.stop(container, timeout=stop_seconds)
                self.api.remove_container(container, v=True, force=stop_seconds is None)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if "already in progress" not in str(error):
                    raise

    @contextmanager
    def mounting(self, volume: str) -> Iterator[str]:
        """A container that never runs and through which a volume's files are written and read, below ``/v``."""
        self.sweep()
        name = f"{volume}-{os.urandom(4).hex()}"
        made = self._of_nothing(name, volume)
        try:
            yield made
        finally:
            self.remove(made)

    def _of_nothing(self, name: str, volume: str) -> str:
        """Make a container of the image without a file; a destroy elsewhere may take that away in between."""
        import docker

        for _ in range(_TRIES):
            image = self.empty_image()
            with speaking():
                host = self.api.create_host_config(binds={volume: {"bind": "/v", "mode": "rw"}})
                try:
                    made = self.api.create_container(
                        image, command=["none"], name=name, host_config=host, labels={BY: me()}
                    )
                    return str(made["Id"])
                except docker.errors.APIError as error:
                    if not _vanished(error, image):
                        raise
        raise TransientError(Problem("other commands keep removing the image that this one makes", "try again"))

    def write(self, volume: str, files: Mapping[str, bytes], *, mode: int = 0o400) -> None:
        """Put files into a volume, the tool's user's own; a name with a slash at its end is a folder."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.uid, info.gid = len(data), mode, USER, USER
                if name.endswith("/"):
                    info.type, info.mode = tarfile.DIRTYPE, 0o700
                archive.addfile(info, io.BytesIO(data))
        with self.mounting(volume) as container, speaking():
            self.api.put_archive(container, "/v", stream.getvalue())

    def read(self, volume: str, file: str) -> bytes | None:
        """A file of a volume; ``None`` where it is not there."""
        with self.mounting(volume) as container:
            return self.read_from(container, f"/v/{file}")

    def read_from(self, container: str, path: str) -> bytes | None:
        """A file of a container; ``None`` where it is not there."""
        import docker

        with speaking():
            try:
                chunks, _ = self.api.get_archive(container, path)
                data = b"".join(chunks)
            except docker.errors.NotFound:
                return None
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                found = archive.extractfile(member)
                if found is not None:
                    return found.read()
        return None


def _empty() -> tuple[str, bytes]:
    """An image without a file, the same everywhere: its id, and what a daemon loads."""
    import hashlib
    import json

    from mcp_packager.image import tar

    layer = tar.END
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    manifest = [{"Config": "config.json", "RepoTags": [EMPTY], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    archive = b"".join((*(tar.member(name, 0o644, data) for name, data in files.items()), tar.END))
    return f"sha256:{hashlib.sha256(config).hexdigest()}", archive


def _vanished(error: Any, image: str) -> bool:
    """Whether something failed because the image just went. Docker says so in several ways, with several codes."""
    said = str(error.explanation)
    return error.status_code == 404 or image in said or "layer does not exist" in said


def _taken(error: Any) -> bool:
    """Whether a creation failed for its name (409; Podman 4 says 500 with these words)."""
    return error.status_code == 409 or "already in use" in str(error.explanation)


@contextmanager
def speaking() -> Iterator[None]:
    """Turn what docker-py raises into a problem with a fix."""
    import docker
    import requests

    try:
        yield
    except PackError:
        raise
    except docker.errors.APIError as error:
        raise _refused(error) from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
        raise TransientError(
            Problem(f"the connection to the container daemon broke: {_short(error)}", "see that it runs, and try again")
        ) from error


def _refused(error: Any) -> WorldError:
    said = str(error.explanation or error).strip().splitlines()[0][:300]
    lower = said.lower()
    if "no space left" in lower:
        return WorldError(Problem(f"the container daemon has no room: {said}", "make room: docker system df"))
    if "port is already allocated" in lower or "address already in use" in lower:
        return WorldError(
            Problem(f"the port is taken: {said}", "set another [target.docker] port, or end what holds it")
        )
    if error.status_code in {500, 502, 503, 504} and ("timeout" in lower or "busy" in lower or "try again" in lower):
        return TransientError(Problem(f"the container daemon could not do it now: {said}", "try again"))
    return WorldError(
        Problem(f"the container daemon refused: {said}", "see its log; docker version says whether it runs")
    )


def _connected(environ: Mapping[str, str]) -> Any:
    import docker
    import requests

    address = environ.get("DOCKER_HOST") or _of_context(environ) or _podman(environ)
    try:
        if address and not environ.get("DOCKER_HOST"):
            client = docker.APIClient(base_url=address, timeout=_SECONDS, version="auto")
        else:
            client = docker.from_env(environment=dict(environ), timeout=_SECONDS).api
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise _no_daemon(address or f"unix://{_SOCKET}", error) from error
    return client


def _of_context(environ: Mapping[str, str]) -> str | None:
    """The daemon of Docker's current context, where that is not the default one."""
    from docker.context import ContextAPI

    name = environ.get("DOCKER_CONTEXT")
    context = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
    if context is None or context.name == "default":
        return None
    host: str | None = context.Host
    return host


def _podman(environ: Mapping[str, str]) -> str | None:
    """Podman's socket, where there is no Docker's."""
    if Path(_SOCKET).exists():
        return None
    runtime = environ.get("XDG_RUNTIME_DIR")
    places = [Path(runtime) / "podman/podman.sock"] if runtime else []
    for place in (*places, Path("/run/podman/podman.sock")):
        if place.exists():
            return f"unix://{place}"
    return None


def _no_daemon(address: str, error: Exception) -> UserError:
    text = _short(error)
    if "permission denied" in text.lower():
        return UserError(
            Problem(
                f"you may not speak to the container daemon at {address}",
                "join the group docker (sudo usermod -aG docker $USER) and log in again, or use rootless Podman",
            )
        )
    return UserError(
        Problem(
            f"no container daemon answers at {address}: {text}",
            "start Docker, or Podman's socket (systemctl --user start podman.socket), or name another in DOCKER_HOST",
        )
    )


def _short(error: BaseException) -> str:
    """The innermost reason, in the system's words."""
    reason: BaseException = error
    while True:
        inner = reason.__cause__ or reason.__context__
        if inner is None:
            nested = [arg for arg in reason.args if isinstance(arg, BaseException)]
            inner = nested[0] if nested else None
        if inner is None or inner is reason:
            break
        reason = inner
    text = getattr(reason, "strerror", None) or str(reason)
    return str(text).splitlines()[0][:200] if str(text) else type(reason).__name__
