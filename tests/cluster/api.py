"""The API server over HTTPS, as the stand-ins speak to it: JSON in, JSON out. Standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SECONDS = 15.0


class ApiError(Exception):
    """An answer that says no; ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """One connection a thread, as the user of a kubeconfig that names files; the one that the cluster writes does."""

    def __init__(self, kubeconfig: Path) -> None:
        told = json.loads(kubeconfig.read_text())
        cluster, user = told["clusters"][0]["cluster"], told["users"][0]["user"]
        self._at = urllib.parse.urlsplit(cluster["server"]).netloc
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self._own = threading.local()

    def get(self, path: str) -> Any:
        """What is there.

        Raises:
            ApiError: it is refused, or there is no such thing.
            OSError: the server cannot be reached.
        """
        return self._ask("GET", path)

    def items(self, path: str) -> list[dict[str, Any]]:
        """The objects of a listing; none where nobody has made the kind known."""
        try:
            listed = self._ask("GET", path)
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        found: list[dict[str, Any]] = listed["items"]
        return found

    def watch(self, path: str) -> Iterator[dict[str, Any]]:
        """The objects of a listing: those that are there, then each as it changes, until the server ends the watch.

        Raises:
            ApiError: it is refused.
            OSError: the server cannot be reached.
        """
        listed = self.get(path)
        yield from listed["items"]
        connection = self._connect()
        query = f"watch=1&resourceVersion={listed['metadata']['resourceVersion']}"
        connection.request("GET", f"{path}?{query}", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        if answer.status >= 400:
            raise ApiError(answer.status, answer.read().decode(errors="replace")[:500])
        if connection.sock is not None:
            connection.sock.settimeout(None)  # nothing may happen for long
        try:
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["object"]
        finally:
            connection.close()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Make something."""
        return self._ask("POST", path, body)

    def merge(self, path: str, body: Mapping[str, Any], kind: str = "merge-patch") -> Any:
        """Change something, by a patch of this kind (``merge-patch``, ``strategic-merge-patch``)."""
        return self._ask("PATCH", path, body, f"application/{kind}+json")

    def delete(self, path: str) -> Any:
        """Remove something."""
        return self._ask("DELETE", path)

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> Any:
        data = None if body is None else json.dumps(body)
        for again in (True, False):
            connection = self._connection()
            try:
                connection.request(method, path, data, {"Content-Type": kind, "Accept": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                # The server may have closed it meanwhile; a read may be repeated.
                if method != "GET" or not again:
                    raise
        if answer.status >= 400:
            raise ApiError(answer.status, text.decode(errors="replace")[:500])
        return json.loads(text)

    def _connection(self) -> http.client.HTTPSConnection:
        found: http.client.HTTPSConnection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._own.connection = self._connect()
        return found

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._at, timeout=_SECONDS, context=self._tls)
