"""Serves wheels as a package index on loopback.

The simple repository API (https://packaging.python.org/en/latest/specifications/simple-repository-api/): JSON pages
with hashes, and each wheel's metadata beside it, so that a resolver need not download wheels to read them.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

_JSON = "application/vnd.pypi.simple.v1+json"


@contextmanager
def serving(wheels: Iterable[Path]) -> Iterator[str]:
    """Serve wheels, each with ``NAME.metadata`` beside it, until the context ends. Yields the index's URL."""
    files: dict[str, list[Path]] = {}
    for wheel in sorted(wheels):
        files.setdefault(canonicalize_name(parse_wheel_filename(wheel.name)[0]), []).append(wheel)

    class Handler(_Handler):
        projects = files

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="package index", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    projects: Mapping[str, list[Path]]

    def do_GET(self) -> None:
        """Answer a project's page or a file."""
        match self.path.strip("/").split("/"):
            case ["simple", project] if project in self.projects:
                self._answer(_page(project, self.projects[project]), _JSON)
            case ["files", name]:
                self._file(name)
            case _:
                self._answer(b"", "text/plain", HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Say nothing."""

    def _file(self, name: str) -> None:
        wheel = name.removesuffix(".metadata")
        known = [path for paths in self.projects.values() for path in paths if path.name == wheel]
        if not known:
            self._answer(b"", "text/plain", HTTPStatus.NOT_FOUND)
            return
        self._answer(known[0].with_name(name).read_bytes(), "application/octet-stream")

    def _answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(body)


def _page(project: str, wheels: list[Path]) -> bytes:
    files = [
        {
            "filename": wheel.name,
            "url": f"../../files/{wheel.name}",
            "hashes": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
            "core-metadata": True,
        }
        for wheel in wheels
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": files}).encode()
