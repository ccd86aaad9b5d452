"""A package index on loopback that can demand credentials, stumble, lie, redirect, or know no hashes."""

from __future__ import annotations

import base64
import hashlib
import ssl
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name, parse_wheel_filename


@dataclass
class Index:
    """What the server does, changeable while it runs, and what it was asked."""

    wheels: Path
    login: tuple[str, str] | None = None
    hashes: bool = True
    stumbles: int = 0
    """How many requests for files answer 503 before they succeed."""
    lies: bool = False
    """Whether files have other bytes than their hash says."""
    files_at: str | None = None
    """Another address that requests for files are redirected to."""
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and ``Authorization`` header of every request."""

    @property
    def files_asked(self) -> list[str]:
        return [path for path, _ in self.asked if path.endswith(".whl")]

    def with_login(self) -> str:
        """The address with the credentials in it."""
        assert self.login is not None
        return self.url.replace("://", f"://{self.login[0]}:{self.login[1]}@")


@contextmanager
def serving(index: Index, tls: ssl.SSLContext | None = None) -> Iterator[Index]:
    """Serve until the context ends. It also answers as a proxy in front of any other index's name."""

    class Handler(_Handler):
        owner = index

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    index.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Index

    def do_GET(self) -> None:
        owner = self.owner
        owner.asked.append((self.path, self.headers.get("Authorization")))
        if owner.login is not None:
            wanted = "Basic " + base64.b64encode(":".join(owner.login).encode()).decode()
            if self.headers.get("Authorization") != wanted:
                self._answer(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="packages"'})
                return
        match unquote(urlsplit(self.path).path).strip("/").split("/"):
            case ["simple", project]:
                self._page(project)
            case ["files", name] if (owner.wheels / name.removesuffix(".metadata")).is_file():
                self._metadata(name) if name.endswith(".metadata") else self._file(name)
            case _:
                self._answer(404, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Say nothing."""

    def _page(self, project: str) -> None:
        rows = []
        for wheel in sorted(self.owner.wheels.glob("*.whl")):
            if canonicalize_name(parse_wheel_filename(wheel.name)[0]) == project:
                sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
                anchor = f"#sha256={sha256}" if self.owner.hashes else ""
                rows.append(f'<a href="/files/{wheel.name}{anchor}" data-core-metadata="true">{wheel.name}</a>')
        if rows:
            self._answer(
                200, f"<!DOCTYPE html><html><body>{''.join(rows)}</body></html>".encode(), {"Content-Type": "text/html"}
            )
        else:
            self._answer(404, b"")

    def _metadata(self, name: str) -> None:
        with zipfile.ZipFile(self.owner.wheels / name.removesuffix(".metadata")) as archive:
            member = next(path for path in archive.namelist() if path.endswith(".dist-info/METADATA"))
            self._answer(200, archive.read(member))

    def _file(self, name: str) -> None:
        if self.owner.files_at:
            self._answer(302, b"", {"Location": f"{self.owner.files_at}/files/{name}"})
        elif self.owner.stumbles > 0:
            self.owner.stumbles -= 1
            self._answer(503, b"later")
        else:
            body = (self.owner.wheels / name).read_bytes()
            self._answer(200, body + b"!" if self.owner.lies else body, {"Content-Type": "application/octet-stream"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
