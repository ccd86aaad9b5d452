"""What one does with a registry: read manifests and blobs, and put them there.

The OCI distribution specification 1.1 (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.image.reference import Reference
from mcp_packager.image.transport import Transport

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_ACCEPTED: Final = ", ".join((INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))

_LARGEST_MANIFEST: Final = (
    4 * 1024 * 1024
)  # what registries must take at least, and refuse beyond (section "Pushing Manifests")
_CHUNK: Final = 1024 * 1024
_RESUMED_FROM: Final = 8 * 1024 * 1024
"""Blobs larger than this go up in steps, so that a broken one goes on where it broke."""
_STEP: Final = 32 * 1024 * 1024
_STEP_TRIES: Final = 4

_OK: Final = frozenset({200})


class MissingError(WorldError):
    """The registry does not have what a manifest of its own names."""


class WrongBytesError(WorldError):
    """The registry gave something else than what the digest is of."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index as it came: the bytes are what its digest is of."""

    digest: str
    media_type: str
    data: bytes

    @property
    def document(self) -> dict[str, Any]:
        """What it says."""
        found: dict[str, Any] = json.loads(self.data)
        return found

    @property
    def is_index(self) -> bool:
        """Whether it lists images of several platforms."""
        return self.media_type in {INDEX, DOCKER_LIST}


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob to be put into a registry: bytes at hand, or a file. ``digest`` is ``sha256:…``, ``size`` in bytes."""

    digest: str
    size: int
    source: bytes | Path

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``, in chunks."""
        stop = self.size if end is None else end
        if isinstance(self.source, bytes):
            yield self.source[start:stop]
            return
        with self.source.open("rb") as handle:
            handle.seek(start)
            while start < stop and (chunk := handle.read(min(_CHUNK, stop - start))):
                start += len(chunk)
                yield chunk


class Registry:
    """The repository of one image in its registry. Safe to use from several threads."""

    def __init__(self, reference: Reference, *, environ: Mapping[str, str] = os.environ) -> None:
        self.reference = reference
        self.transport = Transport(reference, environ=environ)
        self._pull = f"repository:{reference.repository}:pull"
        self._push = f"repository:{reference.repository}:pull,push"

    def manifest(self, wanted: str, *, pushing: bool = False) -> Manifest | None:
        """The manifest or index with that tag or digest; ``None`` where there is none.

        Raises:
            UserError: we are not let in.
            WorldError: the registry cannot be reached, or what it gives is not what the digest says.
        """
        response = self.transport.request(
            "GET",
            f"{self.reference.repository}/manifests/{wanted}",
            scope=self._push if pushing else self._pull,
            headers={"Accept": _ACCEPTED},
            expect=frozenset({200, 404}),
        )
        if response.status == 404:
            return None
        data = response.data
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if wanted.startswith("sha256:") and wanted != digest:
            raise _tampered(self.reference, wanted)
        media_type = response.headers.get("content-type", "").split(";")[0]
        return Manifest(digest, media_type or str(json.loads(data).get("mediaType", MANIFEST)), data)

    def small_blob(self, digest: str) -> bytes:
        """A blob of at most 4 MiB, checked against its digest.

        Raises:
            WorldError: it is missing, too large, or another one.
        """
        data = b"".join(self.blob(digest, most=_LARGEST_MANIFEST))
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise _tampered(self.reference, digest)
        return data

    def blob(self, digest: str, *, most: int | None = None) -> Iterator[bytes]:
        """A blob in chunks, unchecked: whoever keeps it compares its hash.

        Raises:
            WorldError: it is missing, longer than ``most`` bytes, or the connection broke.
        """
        from urllib3.exceptions import HTTPError

        response = self.transport.request(
            "GET",
            f"{self.reference.repository}/blobs/{digest}",
            scope=self._pull,
            expect=frozenset({200, 404}),
            stream=True,
        )
        if response.status == 404:
            response.drain_conn()
            raise MissingError(Problem(f"{self.reference} names {digest}, which is not there", "push that image again"))
        size = 0
        try:
            for chunk in response.stream(_CHUNK):
                size += len(chunk)
                if most is not None and size > most:
                    raise WorldError(Problem(f"{digest} of {self.reference} is too large", "use another image"))
                yield chunk
        except HTTPError as error:
            raise WorldError(
                Problem(f"the connection to {self.reference.registry} broke: {error}", "try again")
            ) from error
        finally:
            response.release_conn()

    def has(self, digest: str) -> bool:
        """Whether the repository holds a blob."""
        path = f"{self.reference.repository}/blobs/{digest}"
        return self.transport.request("HEAD", path, scope=self._push, expect=frozenset({200, 404})).status == 200

    def mounted(self, digest: str, source: str) -> bool:
        """Have the registry take a blob from another repository of its own; whether it did.

        Where it does not, it has opened an upload, which it drops by itself.
        """
        response = self.transport.request(
            "POST",
            f"{self.reference.repository}/blobs/uploads/?mount={digest}&from={source}",
            scope=f"{self._push} repository:{source}:pull",
            headers={"Content-Length": "0"},
            expect=frozenset({201, 202}),
        )
        return response.status == 201

    def put_blob(self, blob: Blob) -> None:
        """Send a blob.

        Raises:
            UserError: we may not push.
            WorldError: the registry cannot be reached, or refuses it.
        """
        started = self.transport.request(
            "POST",
            f"{self.reference.repository}/blobs/uploads/",
            scope=self._push,
            headers={"Content-Length": "0"},
            expect=frozenset({202}),
        )
        place = self._place(started.headers.get("location", ""))
        if blob.size > _RESUMED_FROM:
            self._finish(blob, self._in_steps(blob, place), None)
        else:
            self._finish(blob, place, blob.read)

    def _place(self, location: str) -> str:
        return urljoin(f"{self.transport.base}{self.reference.repository}/blobs/uploads/", location)

    def _finish(self, blob: Blob, place: str, body: Callable[[], Iterator[bytes]] | None) -> None:
        separator = "&" if "?" in place else "?"
        response = self.transport.request(
            "PUT",
            f"{place}{separator}digest={blob.digest}",
            scope=self._push,
            headers={"Content-Type": "application/octet-stream"},
            body=body,
            size=blob.size if body else 0,
            expect=frozenset({201, 202, 204}),
        )
        told = response.headers.get("docker-content-digest", blob.digest)
        if told != blob.digest:
            raise _tampered(self.reference, blob.digest)

    def _in_steps(self, blob: Blob, place: str) -> str:
        """Send a blob step by step; after a break the registry says how far it got."""
        done, tries = 0, _STEP_TRIES
        while done < blob.size:
            end = min(done + _STEP, blob.size)
            try:
                response = self.transport.request(
                    "PATCH",
                    place,
                    scope=self._push,
                    headers={"Content-Type": "application/octet-stream", "Content-Range": f"{done}-{end - 1}"},
                    body=lambda start=done, stop=end: blob.read(start, stop),  # type: ignore[misc]  # defaults bind now
                    size=end - done,
                    expect=frozenset({202}),
                    again=False,
                )
            except WorldError:
                tries -= 1
                if not tries:
                    raise
                place, done = self._how_far(place)
                continue
            place, done, tries = self._place(response.headers.get("location", place)), end, _STEP_TRIES
        return place

    def _how_far(self, place: str) -> tuple[str, int]:
        response = self.transport.request("GET", place, scope=self._push, expect=frozenset({204}))
        _, _, last = response.headers.get("range", "").partition("-")
        return self._place(response.headers.get("location", place)), int(last) + 1 if last.isdigit() else 0

    def put_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> str:
        """Put a manifest or an index, under its digest or a tag; its digest. Everything it names must be there.

        Raises:
            UserError: we may not push, or the tag is taken and must not change.
            WorldError: the registry cannot be reached, or refuses it.
        """
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        response = self.transport.request(
            "PUT",
            f"{self.reference.repository}/manifests/{tag or digest}",
            scope=self._push,
            headers={"Content-Type": media_type},
            body=data,
            expect=frozenset({201, 202, 400, 409}),
        )
        if response.status in {400, 409}:
            raise self._not_taken(tag or digest, response.data)
        return digest

    def _not_taken(self, name: str, said: bytes) -> UserError | WorldError:
        text = said[:500].decode("utf-8", "replace")
        if "TAG_INVALID" in text or "immutable" in text.lower() or "already exists" in text.lower():
            return UserError(
                Problem(
                    f"{self.reference.registry}/{self.reference.repository} does not let the tag {name} change",
                    "raise the tool's version, or deploy by digest",
                    found=text,
                )
            )
        return WorldError(
            Problem(f"{self.reference.registry} refuses the manifest {name}", "see what it says", found=text)
        )


def _tampered(reference: Reference, digest: str) -> WrongBytesError:
    return WrongBytesError(
        Problem(
            f"{reference.registry} gave something else than {digest}",
            "do not use this registry before its owner knows why; a broken proxy in between may be the reason",
        )
    )
