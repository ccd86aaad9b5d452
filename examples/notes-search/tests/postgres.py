"""A PostgreSQL of the tests' own: in a temporary folder, on a free port of 127.0.0.1, stopped at the end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEBIAN_FOLDER = Path("/usr/lib/postgresql")
OPTIONS = "-c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=20"


class PostgresMissingError(Exception):
    """There is no PostgreSQL server on this machine, or none that this user may start."""


@contextmanager
def running_postgres() -> Iterator[int]:
    """Start a server with an empty database `notes` for a user `notes`, and yield its port.

    Raises:
        PostgresMissingError: the programs are not installed, or this user may not start them.
    """
    programs = _programs()
    user = _ordinary_user()
    folder = Path(tempfile.mkdtemp(prefix="notes-postgres-"))
    if user is not None:
        shutil.chown(folder, user=user)
    data = folder / "data"
    control = programs / "pg_ctl"
    try:
        _run(user, programs / "initdb", "-D", data, "-U", "notes", "-A", "trust", "--no-sync", "-E", "UTF8")
        port = _start(user, control, data, folder)
        try:
            _run(user, programs / "createdb", "-h", folder, "-p", str(port), "-U", "notes", "notes")
            yield port
        finally:
            _run(user, control, "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Return the folder of the server's programs; Debian keeps them off the PATH."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(DEBIAN_FOLDER.glob("*/bin/initdb"), key=lambda program: int(program.parts[-3]))
    if not found:
        raise PostgresMissingError("initdb is not installed (Debian: apt-get install postgresql)")
    return found[-1].parent


def _ordinary_user() -> str | None:
    """Return the user to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise PostgresMissingError("PostgreSQL refuses to run as root, and there is no other user")


def _start(user: str | None, control: Path, data: Path, sockets: Path) -> int:
    """Start the server and return its port. A port that somebody took in the meantime is given up for another."""
    for attempt in range(5):
        port = _free_port()
        options = f"{OPTIONS} -c port={port} -c unix_socket_directories={sockets}"
        try:
            _run(user, control, "-D", data, "-o", options, "-l", sockets / f"log-{attempt}", "-w", "-t", "30", "start")
        except subprocess.CalledProcessError:
            if "could not bind" not in (sockets / f"log-{attempt}").read_text():
                raise
        else:
            return port
    raise AssertionError("five free ports in a row were taken before PostgreSQL could listen on them")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(user: str | None, *command: str | Path) -> None:
    # From "/": the test's own folder may be closed to that user. Files instead of pipes: the server inherits them, and
    # a pipe would be open for as long as it runs.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(part) for part in command],
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            timeout=60,
        )
        if done.returncode:
            output.seek(0)
            raise subprocess.CalledProcessError(done.returncode, done.args, output.read())
