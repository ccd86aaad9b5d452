"""The seam to a cluster's API: how it is reached, one request at a time, and what its refusals mean for a person."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import PackError, Problem, UserError, WorldError
from mcp_packager.target import TransientError
from mcp_targets._kube.package import loaded

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0
POOL: Final = 16
"""Connections to one cluster: as many as requests may be under way at once."""
_TRIES: Final = 4
_PAUSE: Final = 0.2
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster's API is reached.

    ``name`` is what it is called in messages. ``configure`` gives a ``kubernetes.client.Configuration``; it is called
    once, when the cluster is first asked something, and raises a ``PackError`` where there is no way to it. A token
    that does not live long is renewed by the configuration's ``refresh_api_key_hook``.
    """

    name: str
    configure: Callable[[], Any]


def kubeconfig(context: str | None, environ: Mapping[str, str]) -> Access:
    """The way that ``kubectl`` would take: ``KUBECONFIG``, ``~/.kube/config``, or from inside a Pod.

    ``context`` is one of the file's contexts; ``None`` is its current one.
    """
    return Access(context or "of the current context", lambda: _configured(context, environ))


def _configured(context: str | None, environ: Mapping[str, str]) -> Any:
    kubernetes = loaded()
    config: Any = kubernetes.config  # its functions carry no types
    configuration = kubernetes.client.Configuration()
    named = environ.get("KUBECONFIG", "")
    files = [path for path in named.split(os.pathsep) if path] or [str(Path("~/.kube/config").expanduser())]
    there = [path for path in files if Path(path).exists()]
    if not there and context is None and "KUBERNETES_SERVICE_HOST" in environ:
        config.load_incluster_config(client_configuration=configuration)
        return configuration
    if not there:
        raise UserError(
            Problem(
                f"there is no kubeconfig: {os.pathsep.join(files)} does not exist",
                "set KUBECONFIG to the file that says how your cluster is reached",
            )
        )
    shown = os.pathsep.join(there)
    with _heard() as complaints:
        try:
            config.load_kube_config(shown, context=context, client_configuration=configuration, persist_config=False)
        except Exception as error:  # of a file that is no kubeconfig, the library falls over whatever is in it
            raise UserError(_unusable(shown, context, error)) from error
    if complaints and not configuration.api_key:
        raise UserError(
            Problem(
                f"the plugin that {shown} names for credentials does not work",
                "make kubectl work with the same kubeconfig first",
                found=complaints[0],
            )
        )
    return configuration


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the library has to say of a plugin that fails; it tells its log, and goes on without credentials."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear = Ear(logging.ERROR)
    root = logging.getLogger()
    root.addHandler(ear)
    try:
        yield said
    finally:
        root.removeHandler(ear)


def _unusable(files: str, context: str | None, error: Exception) -> Problem:
    if context is not None and "context" in str(error).lower():
        return Problem(f"{files} has no context {context!r}", "name one that kubectl config get-contexts shows")
    return Problem(
        f"{files} does not say how to reach the cluster",
        "make kubectl work with it first",
        found=str(error).splitlines()[0] if str(error) else None,
    )


class ApiError(WorldError):
    """The API server said no. ``status`` is the HTTP status, ``said`` its Status document."""

    def __init__(self, problem: Problem, status: int, said: Mapping[str, Any]) -> None:
        super().__init__(problem)
        self.status = status
        self.said = said

    @property
    def reason(self) -> str:
        """The server's word for it, such as ``AlreadyExists``."""
        return str(self.said.get("reason", ""))

    @property
    def message(self) -> str:
        """The server's sentence."""
        return str(self.said.get("message", ""))


class Api:
    """One cluster's API. Connects when it is first asked something; may be asked by several threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._client: Any = None
        self._mutex = threading.Lock()
        self.requests = 0
        """How many requests were made, for tests and for those who look at what a command costs."""

    @property
    def name(self) -> str:
        """What the cluster is called."""
        return self._access.name

    @property
    def client(self) -> Any:
        """The ``kubernetes`` package's client: its connections, its TLS, its ways to prove who we are."""
        with self._mutex:
            if self._client is None:
                configuration = self._access.configure()
                configuration.connection_pool_maxsize = POOL
                configuration.retries = False
                self._client = loaded().client.ApiClient(configuration)
            return self._client

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Read a document; tried again where the server or the way to it fails for a moment."""
        return self.patiently(lambda: self.send("GET", path, query=query))

    def find(self, path: str) -> Any | None:
        """Read a document that may not be there."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def patiently(self, request: Callable[[], Any]) -> Any:
        """Make a request that is safe to repeat, again where it fails for a moment."""
        pause = _PAUSE
        for _ in range(_TRIES - 1):
            try:
                return request()
            except TransientError:
                time.sleep(pause)
                pause *= 2
        return request()

    def patch(self, path: str, document: Any, query: Mapping[str, str], *, merge: bool = False) -> Any:
        """Apply on the server's side, or merge."""
        return self.send("PATCH", path, query=query, body=document, content=_MERGE if merge else _APPLY)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> Any:
        """One request, and the JSON document that answers it.

        Raises:
            TransientError: the server is busy, or the way to it broke; what was asked may have been done.
            ApiError: the server said no.
        """
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        response = self._ask(method, path, query, data, content)
        if response.status >= 400:
            raise _refused(self.name, method, path, response.status, response.data)
        try:
            return json.loads(response.data) if response.data else {}
        except ValueError:
            raise WorldError(
                Problem(
                    f"what answers for the cluster {self.name} is not the API of one",
                    "look at server in the kubeconfig, and at what stands in front of it",
                    found=response.data[:100].decode("utf-8", "replace"),
                )
            ) from None

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """A log, as text."""
        response = self._ask("GET", path, query, None, "application/json", accept="*/*")
        if response.status >= 400:
            raise _refused(self.name, "GET", path, response.status, response.data)
        found: bytes = response.data
        return found.decode("utf-8", "replace")

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """A stream that the server ends, line by line."""
        import urllib3

        response = self._ask("GET", path, query, None, "application/json", accept="*/*", stream=True)
        if response.status >= 400:
            raise _refused(self.name, "GET", path, response.status, response.read())
        rest = b""
        try:
            for chunk in response.stream(amt=65536):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
        except urllib3.exceptions.HTTPError:
            return  # the way there broke; whoever follows looks again
        finally:
            response.close()
        if rest:
            yield rest

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        data: bytes | None,
        content: str,
        *,
        accept: str = "application/json",
        stream: bool = False,
    ) -> Any:
        import urllib3

        client = self.client
        headers = {"Accept": accept, "User-Agent": "mcp-pack"} | ({} if data is None else {"Content-Type": content})
        self.authorise(headers)
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=None if stream else READ_SECONDS)
        fields = "" if not query else "?" + _encoded(query)
        self.requests += 1
        try:
            return client.rest_client.pool_manager.request(
                method,
                f"{client.configuration.host}{path}{fields}",
                body=data,
                headers=headers,
                timeout=timeout,
                preload_content=not stream,
                retries=False,
            )
        except urllib3.exceptions.SSLError as error:
            raise WorldError(
                Problem(
                    f"the cluster {self.name} cannot be trusted: {_said(error)}",
                    "look at certificate-authority and server in the kubeconfig",
                    found=client.configuration.host,
                )
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(
                Problem(
                    f"the cluster {self.name} does not answer at {client.configuration.host}: {_said(error)}",
                    "check that it runs and that this machine reaches it; then run the same command again",
                )
            ) from error

    def authorise(self, headers: dict[str, str]) -> None:
        """Put what proves who we are among the headers of a request."""
        try:
            for setting in self.client.configuration.auth_settings().values():
                headers[setting["key"]] = setting["value"]
        except PackError:
            raise
        except Exception as error:  # a plugin of the user's kubeconfig, which may fail in any way
            raise WorldError(
                Problem(
                    f"no credentials for the cluster {self.name} could be had: {error}",
                    "make kubectl work with the same kubeconfig first",
                )
            ) from error


def _encoded(query: Mapping[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(query)


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    text = str(reason or error)
    return text.rpartition(": ")[2] or text


def _refused(name: str, method: str, path: str, status: int, data: bytes) -> PackError:
    try:
        said = json.loads(data)
    except ValueError:
        said = {}
    if not isinstance(said, dict):
        said = {}
    message = str(said.get("message") or data[:300].decode("utf-8", "replace") or f"HTTP status {status}")
    if status in _AGAIN and said.get("reason") != "AlreadyExists":
        return TransientError(
            Problem(
                f"the cluster {name} could not do it now: {message}", "wait a moment and run the same command again"
            )
        )
    return ApiError(_problem(name, method, path, status, message), status, {**said, "message": message})


def _problem(name: str, method: str, path: str, status: int, message: str) -> Problem:
    match status:
        case 401:
            return Problem(
                f"the cluster {name} does not know who is asking",
                "log in to it again: kubectl must work with the same kubeconfig",
                found=message,
            )
        case 403 if "exceeded quota" in message:
            return Problem(
                "the namespace's quota does not leave room for it",
                "ask for less in [resources] and [scale], or have the ResourceQuota raised",
                found=message,
            )
        case 403 if "violates PodSecurity" in message:
            return Problem(
                "the namespace's Pod Security level refuses the Pod",
                "take the patch away that loosens its security context, or use another namespace",
                found=message,
            )
        case 403 if "is being terminated" in message:
            return Problem(
                "the namespace is being removed, and takes nothing new until it is gone",
                "wait until kubectl get namespace no longer shows it, then run the same command again",
                found=message,
            )
        case 403:
            return Problem(
                f"the cluster {name} does not allow it: {message}",
                "have that right added to your Role; mcp-pack doctor --target prints all that a deployer needs",
            )
        case 422:
            return Problem(
                f"the cluster {name} refuses an object: {message}",
                "mend what it names; a patch of the manifest's may have put it there",
            )
        case _:
            return Problem(
                f"the cluster {name} answered {status} to {method} {path}: {message}", "look at what it says"
            )
