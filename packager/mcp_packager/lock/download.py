"""Wheels from the index into the store: side by side, checked by hash, tried again when the network stumbles."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from mcp_packager.errors import PackError, Problem, WorldError
from mcp_packager.lock.credentials import Credentials
from mcp_packager.process import redact
from mcp_packager.store import Store, StoredFile

PARALLEL = 8
KIND = "wheels"
_TRIES = 4
_SECONDS = 60.0
_CHUNK = 1 << 18
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: its name, the SHA-256 it must have (``None``: whatever comes, then it is known), its URL."""

    file: str
    sha256: str | None
    url: str


@dataclass(frozen=True, slots=True)
class Got:
    """A wheel in the store."""

    path: Path
    sha256: str


def download(wanted: Sequence[Wanted], *, store: Store, credentials: Credentials) -> tuple[Got, ...]:
    """Fetch each file, in order; at most eight at a time.

    Raises:
        WorldError: all that went wrong, one problem a file: unreachable, refused, not there, another hash.
    """
    if not wanted:
        return ()
    opener = _opener()
    with ThreadPoolExecutor(max_workers=min(PARALLEL, len(wanted))) as pool:
        futures = [pool.submit(_one, item, store, credentials, opener) for item in wanted]
    problems: list[Problem] = []
    got: list[Got] = []
    for future in futures:
        try:
            got.append(future.result())
        except PackError as error:
            problems += error.problems
    if problems:
        raise WorldError(problems)
    return tuple(got)


def _one(item: Wanted, store: Store, credentials: Credentials, opener: urllib.request.OpenerDirector) -> Got:
    if item.sha256 is not None:
        return _into_store(item, item.sha256, store, credentials, opener)
    with store.scratch() as folder:
        sha256 = _fetch(item, folder / item.file, credentials, opener)
        entry = store.folder(KIND, sha256, lambda target: _moved(folder / item.file, target / item.file, sha256))
    return Got(entry.folder / item.file, sha256)


def _into_store(
    item: Wanted, sha256: str, store: Store, credentials: Credentials, opener: urllib.request.OpenerDirector
) -> Got:
    def make(folder: Path) -> tuple[StoredFile, ...]:
        target = folder / item.file
        found = _fetch(item, target, credentials, opener)
        if found != sha256:
            raise WorldError(
                Problem(
                    what=f"{item.file} from the index is not the file that the lock names",
                    fix="The index or something on the way changed it: do not use it before you know why; "
                    "if the change is meant, run `mcp-pack lock --upgrade`",
                    expected=f"sha256 {sha256}",
                    found=f"sha256 {found}",
                )
            )
        return (StoredFile(item.file, sha256, target.stat().st_size),)

    entry = store.folder(KIND, sha256, make)
    return Got(entry.folder / entry.files[0].path, sha256)


def _moved(source: Path, target: Path, sha256: str) -> tuple[StoredFile, ...]:
    source.rename(target)
    return (StoredFile(target.name, sha256, target.stat().st_size),)


def _fetch(item: Wanted, target: Path, credentials: Credentials, opener: urllib.request.OpenerDirector) -> str:
    """Write the file and return its SHA-256; four tries with growing pauses where another one may help."""
    pause = 0.2
    for attempt in range(1, _TRIES + 1):
        try:
            return _stream(item.url, target, credentials, opener)
        except urllib.error.HTTPError as error:
            error.close()  # it is the answer, with its connection
            if error.code not in _AGAIN or attempt == _TRIES:
                raise _refused(item, error.code, credentials) from None
        except (OSError, http.client.HTTPException) as error:
            if attempt == _TRIES or _hopeless(error):
                raise _unreachable(item, error) from None
        time.sleep(pause)
        pause *= 3
    raise AssertionError("unreachable: the last try returns or raises")


def _hopeless(error: Exception) -> bool:
    """A certificate that is not trusted now will not be trusted a second later."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(reason, ssl.SSLCertVerificationError)


def _stream(url: str, target: Path, credentials: Credentials, opener: urllib.request.OpenerDirector) -> str:
    request = _request(url, credentials)
    digest = hashlib.sha256()
    with opener.open(request, timeout=_SECONDS) as answer, target.open("wb") as handle:
        expected = answer.headers.get("Content-Length")
        size = 0
        while block := answer.read(_CHUNK):
            digest.update(block)
            handle.write(block)
            size += len(block)
        if expected is not None and size != int(expected):
            raise http.client.IncompleteRead(b"", int(expected) - size)
    return digest.hexdigest()


def _request(url: str, credentials: Credentials) -> urllib.request.Request:
    """A request whose credentials stay with its own host: urllib drops unredirected headers on a redirect."""
    parts = urlsplit(url)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(plain, headers={"User-Agent": "mcp-pack", "Accept-Encoding": "identity"})  # noqa: S310 - scheme checked below
    if request.type not in {"http", "https", "file"}:
        raise WorldError(
            Problem(what=f"An index names a file by {request.type}:", fix="Use an index that serves https")
        )
    if request.type != "file" and (header := credentials.header(url)):
        request.add_unredirected_header("Authorization", header)
    return request


class _SameHostRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; credentials travel on only to the same scheme, host and port."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # typeshed wants HTTPMessage, a Message
        header = req.unredirected_hdrs.get("Authorization")
        if following is not None and header and _origin(following.full_url) == _origin(req.full_url):
            following.add_unredirected_header("Authorization", header)
        return following


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _opener() -> urllib.request.OpenerDirector:
    """Proxies as the environment says; certificates of SSL_CERT_FILE, else the system's, else certifi's."""
    context = ssl.create_default_context()
    if not context.get_ca_certs() and not _has_system_certificates():
        import certifi

        context.load_verify_locations(certifi.where())
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _SameHostRedirects())


def _has_system_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))


def _refused(item: Wanted, code: int, credentials: Credentials) -> WorldError:
    known = "with" if credentials.header(item.url) else "without"
    fixes = {
        401: "Give uv the credentials of that index (UV_INDEX_<NAME>_USERNAME and _PASSWORD, netrc, keyring)",
        403: "Ask for the right to read that index, or give other credentials",
        404: "The index lists a file that it does not have: check the mirror, or run `mcp-pack lock --upgrade`",
    }
    return WorldError(
        Problem(
            what=f"{item.file} could not be fetched: the index answered {code} (asked {known} credentials)",
            fix=fixes.get(code, "Try again later"),
            found=_shown(item.url),
        )
    )


def _unreachable(item: Wanted, error: Exception) -> WorldError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return WorldError(
        Problem(
            what=f"{item.file} could not be fetched: {redact(str(reason))}",
            fix="Check the network and the proxy (HTTPS_PROXY, NO_PROXY) and the certificates (SSL_CERT_FILE)",
            found=_shown(item.url),
        )
    )


def _shown(url: str) -> str:
    """An address without who asks and without a query, which may be a signed one."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
