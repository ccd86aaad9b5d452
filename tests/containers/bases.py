"""Base images for the tests, made of Debian's packages: Python and nothing else, no shell, no user.

``mmdebstrap`` unpacks one in seconds, for another architecture too. They lie in the cache as tar files; a test puts
them into a registry of its own, under the names that the packager asks for.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests import real_parts
from tests.sampling import whole

SUITES: Mapping[str, str] = MappingProxyType({"3.11": "bookworm", "3.13": "trixie"})
_PACKAGES = "python3,libstdc++6,base-files,base-passwd,netbase,tzdata,ca-certificates"
"""Wheels with C++ inside, such as numpy's, count on its library, which the public images have too."""
_EDITION = "2"
"""Raised whenever the packages of a base change, so that one of before is not taken for it."""
_SERVICE = "redis-server,base-files,base-passwd,netbase"
_DATABASE = "postgresql-15,dash,coreutils,util-linux,base-files,base-passwd,netbase,tzdata"
_POSTGRES = """\
set -e
echo 'postgres:x:100:100::/:/bin/sh' > /etc/passwd
mkdir -p "$PGDATA" /var/run/postgresql
chown -R 100:100 "$PGDATA" /var/run/postgresql
as() { setpriv --reuid=100 --regid=100 --clear-groups "$@"; }
if ! test -s "$PGDATA/PG_VERSION"; then
  echo "$POSTGRES_PASSWORD" > /tmp/word
  chmod 644 /tmp/word
  as initdb -D "$PGDATA" -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/word --locale=C.UTF-8 --no-sync
  rm /tmp/word
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | as postgres --single -D "$PGDATA" postgres
fi
exec setpriv --reuid=100 --regid=100 --clear-groups postgres -D "$PGDATA" -c listen_addresses='*' -c jit=off
"""
"""What the public image of PostgreSQL does, as far as a test needs it."""
_REDIS = [
    "/usr/bin/redis-server",
    "--bind",
    "0.0.0.0",
    "--protected-mode",
    "no",
    "--dir",
    "/data",
    "--appendonly",
    "yes",
]


def can_make() -> bool:
    """Whether this is a Debian machine with ``mmdebstrap``, and we are root there."""
    return os.geteuid() == 0 and shutil.which("mmdebstrap") is not None


def tar_of(minor: str, architecture: str = "amd64") -> Path:
    """The tar file of the base with that Python; it may not be there."""
    other = "" if architecture == "amd64" else f"-{architecture}"
    return real_parts.cache() / "bases" / f"{SUITES[minor]}-{_EDITION}{other}.tar"


def redis_tar() -> Path:
    """The tar file of the service image; it may not be there."""
    return real_parts.cache() / "bases" / "redis.tar"


def postgres_tar() -> Path:
    """The tar file of the database's image; it may not be there. It is large, and whole runs alone use it."""
    return real_parts.cache() / "bases" / "postgres.tar"


def make(minor: str) -> None:
    """Make the base with that Python, and the service images, unless they are there.

    Raises:
        subprocess.CalledProcessError: mmdebstrap failed; its own words are on stderr.
    """
    _make(tar_of(minor), SUITES[minor], _PACKAGES)
    _make(tar_of(minor, "arm64"), SUITES[minor], _PACKAGES, "arm64")
    _make(redis_tar(), "bookworm", _SERVICE)
    if whole():
        _make(postgres_tar(), "bookworm", _DATABASE)


def _make(place: Path, suite: str, packages: str, architecture: str = "amd64") -> None:
    if place.is_file():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{os.getpid()}.{place.name}")
    # Unpacked and not set up, so that nothing of another architecture is run.
    options = ["--quiet", "--variant=extract", f"--include={packages}", f"--architectures={architecture}"]
    epoch = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    subprocess.run(["mmdebstrap", *options, suite, fresh], check=True, env=epoch, stdout=subprocess.DEVNULL)
    fresh.rename(place)


def push(address: str, minor: str) -> str:
    """Put the base into a registry as ``library/python:MINOR-slim``; its digest."""
    env = ["PATH=/usr/local/bin:/usr/bin:/bin", f"PYTHON_VERSION={minor}.0"]
    return _push(address, "library/python", f"{minor}-slim", tar_of(minor), {"Env": env})


def push_both(address: str, minor: str) -> str:
    """Put the base into a registry for both processors, as an index under the same name; the index's digest."""
    from mcp_packager.image import Reference, Registry
    from mcp_packager.image.registry import INDEX, MANIFEST

    registry = Registry(Reference(address, "library/python"))
    entries = []
    for architecture in ("amd64", "arm64"):
        env = ["PATH=/usr/local/bin:/usr/bin:/bin", f"PYTHON_VERSION={minor}.0"]
        tag = f"{minor}-{architecture}"
        digest = _push(address, "library/python", tag, tar_of(minor, architecture), {"Env": env}, architecture)
        found = registry.manifest(digest)
        platform = {"architecture": architecture, "os": "linux"}
        size = len(found.data) if found else 0
        entries.append({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return registry.put_manifest(json.dumps(index).encode(), INDEX, f"{minor}-slim")


def push_redis(address: str) -> str:
    """Put the service image into a registry as ``library/redis:7``; its digest."""
    return _push(address, "library/redis", "7", redis_tar(), {"Env": ["PATH=/usr/bin:/bin"], "Cmd": _REDIS})


def push_postgres(address: str) -> str:
    """Put the database's image into a registry as ``library/postgres:17``; its digest."""
    run = {"Env": ["PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin"], "Cmd": ["/bin/sh", "-c", _POSTGRES]}
    return _push(address, "library/postgres", "17", postgres_tar(), run)


def push_foreign(address: str, minor: str) -> str:
    """Put an image that says it is for another processor into a registry as ``library/foreign:1``; its digest."""
    return _push(address, "library/foreign", "1", tar_of(minor), {"Env": ["PATH=/usr/bin"]}, "s390x")


def push_program(address: str, repository: str, tag: str, program: Path) -> str:
    """Put an image that holds one program, and runs it, into a registry; its digest. The program needs no library."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(program.name)
        entry.mode, entry.size = 0o755, program.stat().st_size
        with program.open("rb") as content:
            tar.addfile(entry, content)
    return _put(address, repository, tag, packed.getvalue(), {"Entrypoint": [f"/{program.name}"]})


def _push(
    address: str, repository: str, tag: str, file: Path, run: Mapping[str, object], architecture: str = "amd64"
) -> str:
    return _put(address, repository, tag, file.read_bytes(), run, architecture)


def _put(
    address: str, repository: str, tag: str, raw: bytes, run: Mapping[str, object], architecture: str = "amd64"
) -> str:
    # Here, so that the rest needs the standard library alone: `make parts` runs it.
    from mcp_packager.image import Reference, Registry
    from mcp_packager.image.registry import MANIFEST, Blob

    packed = gzip.compress(raw, 1, mtime=0)
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": dict(run),
            "rootfs": {"type": "layers", "diff_ids": [_digest(raw)]},
            # Buildah wants one entry for each layer.
            "history": [{"created_by": "unpacked from packages"}],
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _described("application/vnd.oci.image.config.v1+json", config),
            "layers": [_described("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        }
    ).encode()
    registry = Registry(Reference(address, repository, tag))
    for data in (config, packed):
        registry.put_blob(Blob(_digest(data), len(data), data))
    return registry.put_manifest(manifest, MANIFEST, tag)


def _described(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
