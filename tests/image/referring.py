"""The registry that lists referrers, and what both kinds of registry hold about an image."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests import real_parts
from tests.image import registries


@contextlib.contextmanager
def listing() -> Iterator[str]:
    """A registry in memory that lists referrers; its ``host:port``."""
    server = subprocess.Popen(
        [real_parts.PARTS["referrers-registry"](), "127.0.0.1:0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        address = server.stdout.readline().strip()
        assert address, "the registry did not start"
        yield address
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()


@contextlib.contextmanager
def either(kind: str, folder: Path) -> Iterator[str]:
    """A registry that ``lists`` referrers, or one that leaves them to the tag."""
    with listing() if kind == "lists" else registries.registry(folder) as address:
        yield address


KINDS = ("lists", "tags")


@contextlib.contextmanager
def paging(digests: Sequence[str] | None) -> Iterator[str]:
    """A front that lists referrers one a page, or (``None``) answers with something else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = int(self.path.partition("?page=")[2] or 0)
            self.send_response(200)
            if digests and number + 1 < len(digests):
                self.send_header("Link", f'<{self.path.partition("?")[0]}?page={number + 1}>; rel="next"')
            self.end_headers()
            page = {"manifests": [{"digest": digests[number]}]} if digests else ["welcome"]
            self.wfile.write(json.dumps(page).encode())

        def log_message(self, *_: object) -> None:
            pass

    with registries._serving(Handler) as address:
        yield address
