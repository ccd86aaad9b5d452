"""Credentials of package indexes, from where uv takes them. They go into requests and nowhere else.

uv keeps no wheel files, so mcp-pack downloads them itself and has to prove itself as uv does
(https://docs.astral.sh/uv/concepts/authentication/http/): the address, ``UV_INDEX_<NAME>_USERNAME`` and
``_PASSWORD``, netrc, uv's own credential store, a keyring.
"""

from __future__ import annotations

import base64
import itertools
import json
import netrc
import os
import re
import threading
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from mcp_packager.errors import PackError
from mcp_packager.lock import uv
from mcp_packager.process import run

_ADDRESSES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_PASSWORD = re.compile(r"UV_INDEX_(?P<name>[A-Z0-9_]+)_(?:USERNAME|PASSWORD)\Z")
_KEYRING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and password. Never shown by ``repr``."""

    user: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of an ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class _Index:
    name: str | None
    url: SplitResult


class Credentials:
    """Finds the header for an address. Asks slow places (keyring, uv) at most once for each host."""

    def __init__(self, project: Path, environ: Mapping[str, str] | None = None) -> None:
        self._project = project
        self._environ = os.environ if environ is None else environ
        self._indexes = tuple(_indexes(project, self._environ))
        self._slow: dict[str, str | None] = {}
        self._asking = threading.Lock()

    def header(self, url: str) -> str | None:
        """The ``Authorization`` header for ``url``; ``None`` where no credentials are known."""
        parts = urlsplit(url)
        login = _in_address(parts) or self._of_index(parts) or self._of_netrc(parts)
        return login.header if login else self._remembered(parts) or self._of_user_alone(parts)

    def _of_index(self, parts: SplitResult) -> Login | None:
        near = [index for index in self._indexes if _realm(index.url) == _realm(parts)]
        near.sort(key=lambda index: -_common(index.url.path, parts.path))
        for index in near:
            if login := _named(index.name, self._environ) or _in_address(index.url):
                return login
        return None

    def _of_user_alone(self, parts: SplitResult) -> str | None:
        """A user name without a password, which is how some indexes take a token."""
        users = [index.url.username for index in self._indexes if _realm(index.url) == _realm(parts)]
        return next((Login(unquote(user), "").header for user in users if user), None)

    def _of_netrc(self, parts: SplitResult) -> Login | None:
        path = self._environ.get("NETRC")
        try:
            found = netrc.netrc(path).authenticators(parts.hostname or "") if path else _home_netrc(parts)
        except (OSError, netrc.NetrcParseError):
            return None
        return Login(found[0], found[2]) if found and found[2] else None

    def _remembered(self, parts: SplitResult) -> str | None:
        realm = _realm(parts)
        with self._asking:
            if realm not in self._slow:
                self._slow[realm] = self._of_uv(parts) or self._of_keyring(parts)
            return self._slow[realm]

    def _of_uv(self, parts: SplitResult) -> str | None:
        """What ``uv auth login`` stored, through uv's credential helper."""
        question = json.dumps({"uri": parts.geturl()}).encode()
        try:
            done = run(
                [uv.program(), "auth", "helper", "--protocol", "bazel", "get"],
                stdin=question,
                timeout=_KEYRING_SECONDS,
                env=uv.environment(self._environ),
            )
            headers = json.loads(done.stdout)["headers"] if done.ok else {}
        except (PackError, ValueError, KeyError):
            return None
        values = headers.get("Authorization") or []
        return str(values[0]) if values else None

    def _of_keyring(self, parts: SplitResult) -> str | None:
        if _keyring_provider(self._project, self._environ) != "subprocess":
            return None
        users = [
            unquote(index.url.username)
            for index in self._indexes
            if index.url.username and _realm(index.url) == _realm(parts)
        ]
        users += [
            self._environ[f"UV_INDEX_{_variable(index.name)}_USERNAME"]
            for index in self._indexes
            if index.name
            and _realm(index.url) == _realm(parts)
            and f"UV_INDEX_{_variable(index.name)}_USERNAME" in self._environ
        ]
        services = [
            *(index.url.geturl() for index in self._indexes if _realm(index.url) == _realm(parts)),
            parts.netloc,
        ]
        for user in users:
            for service in services:
                if password := self._ask_keyring(_bare(service), user):
                    return Login(user, password).header
        return None

    def _ask_keyring(self, service: str, user: str) -> str | None:
        try:
            done = run(["keyring", "get", service, user], timeout=_KEYRING_SECONDS, env=self._environ)
        except PackError:
            return None
        return done.text().rstrip("\r\n") or None if done.ok else None


def values(project: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Every secret value that stands in uv's settings, to be taken out of what is shown."""
    found = [value for name, value in environ.items() if _PASSWORD.match(name) and name.endswith("PASSWORD")]
    for index in _indexes(project, environ):
        if index.url.password:
            found += [index.url.password, unquote(index.url.password)]
    return tuple(found)


def _indexes(project: Path, environ: Mapping[str, str]) -> Iterator[_Index]:
    for variable in _ADDRESSES:
        for word in re.split(r"[\s,]+" if variable == "UV_FIND_LINKS" else r"\s+", environ.get(variable, "")):
            if word:
                yield _parse(word)
    for table in _settings(project, environ):
        for entry in table.get("index") or ():
            if isinstance(entry, dict) and entry.get("url"):
                yield _Index(entry.get("name"), urlsplit(str(entry["url"])))
        for address in (
            table.get("index-url"),
            *(table.get("extra-index-url") or ()),
            *(table.get("find-links") or ()),
        ):
            if address:
                yield _Index(None, urlsplit(str(address)))
        pip = table.get("pip")
        for address in (pip.get("index-url"), *(pip.get("extra-index-url") or ())) if isinstance(pip, dict) else ():
            if address:
                yield _Index(None, urlsplit(str(address)))


def _parse(word: str) -> _Index:
    """``name=url`` or ``url``, as UV_INDEX holds them."""
    name, equals, url = word.partition("=")
    if equals and re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return _Index(name, urlsplit(url))
    return _Index(None, urlsplit(word))


def _settings(project: Path, environ: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """``[tool.uv]`` and ``uv.toml`` of the project and above, the user's and the system's ``uv.toml``."""
    if chosen := environ.get("UV_CONFIG_FILE"):
        yield _toml(Path(chosen))
    for folder in (project.absolute(), *project.absolute().parents):
        tool = _toml(folder / "pyproject.toml").get("tool")
        table = tool.get("uv") if isinstance(tool, dict) else None
        yield _toml(folder / "uv.toml")
        yield table if isinstance(table, dict) else {}
    base = environ.get("XDG_CONFIG_HOME")
    yield _toml((Path(base) if base else Path.home() / ".config") / "uv" / "uv.toml")
    yield _toml(Path("/etc/uv/uv.toml"))


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _keyring_provider(project: Path, environ: Mapping[str, str]) -> str:
    if chosen := environ.get("UV_KEYRING_PROVIDER"):
        return chosen
    for table in _settings(project, environ):
        pip = table.get("pip")
        if chosen := table.get("keyring-provider") or (pip.get("keyring-provider") if isinstance(pip, dict) else None):
            return str(chosen)
    return "disabled"


def _named(name: str | None, environ: Mapping[str, str]) -> Login | None:
    if name is None:
        return None
    user = environ.get(f"UV_INDEX_{_variable(name)}_USERNAME")
    password = environ.get(f"UV_INDEX_{_variable(name)}_PASSWORD")
    return Login(user or "", password or "") if password is not None else None


def _variable(name: str | None) -> str:
    return re.sub(r"[^A-Z0-9]", "_", (name or "").upper())


def _in_address(parts: SplitResult) -> Login | None:
    if parts.password is None:
        return None
    return Login(unquote(parts.username or ""), unquote(parts.password))


def _home_netrc(parts: SplitResult) -> tuple[str, str, str] | None:
    found = netrc.netrc().authenticators(parts.hostname or "")
    return (found[0], found[1] or "", found[2] or "") if found else None


def _common(one: str, other: str) -> int:
    """How many folders two paths share from the top."""
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _realm(parts: SplitResult) -> str:
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _bare(service: str) -> str:
    parts = urlsplit(service)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.scheme else service
