"""A head start: the extraction that will most likely be asked for, begun before the packager has loaded itself.

Between two runs in a project mostly the author's code changes. What else an extraction needs is remembered in the
store, so that a child can be started on the code as it is now while this process still reads and judges. Its answer
counts only where the very same extraction is asked for in the end; a wrong guess costs processor time and nothing else.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mcp_packager.contract.document import Contract
from mcp_packager.contract.extract import ExtractRequest, extract
from mcp_packager.errors import UserError
from mcp_packager.store import EPOCH, Store

RECORDS: Final = "contracts"
"""Where the store remembers contracts by :attr:`Subject.key`, as ``{"text": the document}``."""

_HABITS: Final = "head-starts"
_FORM: Final = 1
_MOST_FILES: Final = 2000
_MOST_BYTES: Final = 16 << 20
"""More code than this is not read twice."""


@dataclass(frozen=True, slots=True)
class Subject:
    """All that a contract comes of.

    ``library`` names the content of the library folder; ``app`` is path and SHA-256 of each of the author's files;
    ``python`` is the interpreter's identity.
    """

    library: str
    app: Sequence[tuple[str, str]]
    tool: Mapping[str, Any]
    env: Mapping[str, str]
    secrets: Sequence[str]
    python: str

    @property
    def key(self) -> str:
        """What the contract is remembered by."""
        facts = {
            "format": 1,
            "library": self.library,
            "app": self.app,
            "tool": self.tool,
            "env": self.env,
            "secrets": self.secrets,
            "python": self.python,
        }
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Source:
    """One of the author's files: its path in the bundle, such as ``app/tool.py``, where it lies, its mode."""

    path: str
    file: Path
    mode: int


class HeadStart:
    """An extraction that was begun ahead, or none."""

    def __init__(self, key: str | None = None, request: ExtractRequest | None = None) -> None:
        self.key = key
        """The subject's as it was when this began; ``None`` where nothing was remembered of the project."""
        self._request = request
        self._library = None if request is None else _identity(request.lib)
        self._unwanted = threading.Event()
        self._worker: threading.Thread | None = None
        self._answer: Contract | UserError | None = None

    def go(self, files: Mapping[Source, bytes], store: Store) -> None:
        """Begin; ``files`` are the author's."""
        # Whatever way an interrupt takes through a half-loaded program, the child does not outlive it.
        atexit.register(self.end)
        # A daemon, so that a process which is interrupted twice does not wait for it.
        self._worker = threading.Thread(target=self._work, args=(files, store), daemon=True)
        self._worker.start()

    def contract(self, key: str, request: ExtractRequest) -> Contract | None:
        """The contract, waited for; ``None`` where another one was begun, or nothing came of it.

        ``request`` is what would be asked otherwise; ``app`` in it counts not, as ``key`` holds the files' hashes.

        Raises:
            UserError: as :func:`extract`.
        """
        mine = self._request
        # A library folder of another identity was found damaged since, and made anew.
        if (
            self._worker is None
            or mine is None
            or key != self.key
            or replace(request, app=mine.app) != mine
            or _identity(request.lib) != self._library
        ):
            self._unwanted.set()
            return None
        self._worker.join()
        if isinstance(self._answer, UserError):
            raise self._answer
        return self._answer

    def end(self) -> None:
        """End the child, where one still runs, and wait until it is gone."""
        self._unwanted.set()
        if self._worker is not None and self._worker.ident is not None:
            self._worker.join()
        atexit.unregister(self.end)

    def _work(self, files: Mapping[Source, bytes], store: Store) -> None:
        if self._request is None:
            return
        try:
            with store.scratch() as folder:
                _lay_out(files, folder)
                self._answer = extract(replace(self._request, app=folder / "app"), unwanted=self._unwanted.is_set)
        except UserError as error:
            self._answer = error
        except Exception:  # noqa: BLE001 - whatever it is, the ordinary way meets it too, and tells it
            return


@contextlib.contextmanager
def begun(project: Path, store: Store | None = None) -> Iterator[HeadStart]:
    """Begin what was asked for the last time in the folder ``project``, and end it with the body.

    No child is started where the manifest, the lock or another of its sources was touched since: whether they are
    sound is not known yet. None is needed where the code's contract is remembered.
    """
    shared = store or Store()
    head = HeadStart()
    files: dict[Source, bytes] = {}
    # Whatever a record of another version holds, it is only a guess that is lost.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        head, files = _guess(project, shared)
    try:
        if files:
            head.go(files, shared)
        yield head
    finally:
        head.end()


def remember(
    project: Path,
    subject: Subject,
    request: ExtractRequest,
    files: Sequence[Source],
    judged: Sequence[Path],
    store: Store,
) -> None:
    """Note what was asked for in the folder ``project``. ``judged`` are the files that it follows from."""
    if len(files) > _MOST_FILES:
        return
    document = {
        "form": _FORM,
        "judged": [[str(path), _state(path)] for path in judged],
        "files": [[file.path, str(file.file), file.mode] for file in files],
        "interpreter": str(request.python),
        "lib": str(request.lib),
        "shown": None if request.shown is None else str(request.shown),
        "limit": request.limit,
        "library": subject.library,
        "tool": subject.tool,
        "env": subject.env,
        "secrets": list(subject.secrets),
        "python": subject.python,
    }
    # As text: the store sorts keys, and what the code is told keeps its order.
    store.remember(_HABITS, _name(project), {"text": json.dumps(document)})


def _guess(project: Path, store: Store) -> tuple[HeadStart, dict[Source, bytes]]:
    """What was asked for the last time, with the author's files as they are now; no files where nobody need ask."""
    record = store.record(_HABITS, _name(project))
    if record is None:
        return HeadStart(), {}
    known = json.loads(record["text"])
    if known["form"] != _FORM or any(_state(Path(path)) != state for path, state in known["judged"]):
        return HeadStart(), {}
    sources = [Source(path, Path(file), mode) for path, file, mode in known["files"]]
    files = {source: source.file.read_bytes() for source in sources}
    if sum(map(len, files.values())) > _MOST_BYTES:
        return HeadStart(), {}
    app = [(source.path, hashlib.sha256(data).hexdigest()) for source, data in files.items()]
    subject = Subject(known["library"], app, known["tool"], known["env"], known["secrets"], known["python"])
    request = ExtractRequest(
        python=Path(known["interpreter"]),
        lib=Path(known["lib"]),
        app=Path("app"),
        tool=subject.tool,
        env=subject.env,
        secrets=tuple(subject.secrets),
        limit=known["limit"],
        shown=None if known["shown"] is None else Path(known["shown"]),
    )
    head = HeadStart(subject.key, request)
    return head, {} if store.record(RECORDS, subject.key) else files


def _lay_out(files: Mapping[Source, bytes], folder: Path) -> None:
    (folder / "app").mkdir()
    for source, data in files.items():
        target = folder / source.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(source.mode)
        os.utime(target, (EPOCH, EPOCH))


def _name(project: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.realpath(project))).hexdigest()


def _state(file: Path) -> list[int] | None:
    """What changes whenever somebody writes a file; ``None`` where there is none."""
    try:
        state = file.stat()
    except OSError:
        return None
    return [state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino]


def _identity(folder: Path) -> tuple[int, int] | None:
    """What two folders never share that stood at the same place one after the other."""
    try:
        state = folder.stat()
    except OSError:
        return None
    return state.st_ino, state.st_ctime_ns
