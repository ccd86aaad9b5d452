"""Runs ``mcp-pack`` again and again, each time in a process of its own that may be told when to die.

python launcher.py local|docker|kubernetes    one order a line on standard input, one answer a line on standard output

    order    {"argv": [...], "moment": {"sort": "before" | "after" | "inside", "number": 3, "step": "" | "…"} | null}
    answer   {"code": 0 | -9 | ..., "told": "...", "writes": ["lock", "create home home", ...], "inside": ["…", …],
              "journal": ["before lock", "inside lock: …", "after lock", ...]}

A write is a call of the world's ``apply``, ``records.add``, ``records.remove`` or ``lock.swap``. What happens inside of
one is what Python tells its audit hooks: for `local` of files, processes and signals, for `docker` of requests that
change something at the daemon, each in the moment that it begins. For `kubernetes` it is each request that changes
something at the API server or in the registry, in the moment that the same write asks the next thing: what was wanted
is there, and nobody has waited for it. (The moment that its first request begins is that before the write.) A moment's
number counts the writes from 0, or inside of them the steps that are called ``step``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from typing import IO, Any, Final, NamedTuple

from mcp_packager.cli import main as command_line
from mcp_packager.pipeline import deploy, operate  # noqa: F401  # loaded once, for every process that is forked
from mcp_packager.target import Holder, Release, Step
from mcp_packager.verify import verify  # noqa: F401  # the same

_REQUEST: Final = re.compile(rb"(POST|PUT|DELETE) /v[\d.]+(/[a-z]+)\S*?(/start|/stop|/exec|/archive|/load)?[? ]")
_ASKED: Final = re.compile(rb"(?:(POST|PUT|PATCH|DELETE)|GET|HEAD) (/api/|/apis/|/v2/)(\S*)")
_CONTENT: Final = re.compile(r"\b[0-9a-f]{12,16}\b(-[0-9a-f]{8}\b)?")
_TOUCHING: Final = frozenset(
    {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.kill"}
    | {"subprocess.Popen", "os.posix_spawn", "os.fork"}
)


class Moments:
    """Counts what a process does to the world, writes it down as it goes, and ends the process when it is told to."""

    def __init__(self, moment: dict[str, Any] | None, journal: int) -> None:
        self._moment = moment or {"sort": "", "number": -1, "step": ""}
        self._journal = journal
        self._mutex = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._writing = threading.local()

    def reached(self, sort: str, what: str) -> None:
        """Die here, if this is the moment."""
        step = what if sort == "inside" else ""
        with self._mutex:
            number = self._counts[sort, step]
            self._counts[sort, step] += 1
            os.write(self._journal, f"{sort} {what}\n".encode())
            if self._moment == {"sort": sort, "number": number, "step": step}:
                os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, name: Callable[..., str], write: Callable[..., Any]) -> Callable[..., Any]:
        """The write, with a moment before and one after it."""

        def around(this: object, *arguments: Any) -> Any:
            if not name(*arguments):
                return write(this, *arguments)
            self.reached("before", name(*arguments))
            self._writing.now, self._writing.asked = name(*arguments), ""
            try:
                answer = write(this, *arguments)
            finally:
                self._writing.now = ""
            self.reached("after", name(*arguments))
            return answer

        return around

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python is about to do to this machine."""
        self._within(event if event in _TOUCHING else "")

    def sent(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python is about to ask of the daemon."""
        if event == "http.client.send" and isinstance(arguments[1], bytes):
            found = _REQUEST.match(arguments[1])
            self._within("" if found is None else b"".join(part or b"" for part in found.groups()).decode())

    def asked(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python is about to ask of the API server or of the registry: what it asked before is answered."""
        found = None
        if event == "http.client.send" and isinstance(arguments[1], bytes):
            found = _ASKED.match(arguments[1])
        if found is not None:
            self._within(getattr(self._writing, "asked", ""))
            self._writing.asked = f"{found[1].decode()} {_plural(found[2], found[3])}" if found[1] else ""

    def _within(self, what: str) -> None:
        now = getattr(self._writing, "now", "")
        if now and what:
            self._writing.now = ""
            self.reached("inside", f"{now}: {what}")
            self._writing.now = now


def _plural(root: bytes, rest: bytes) -> str:
    """Which sort of thing a path of either is about."""
    parts = rest.partition(b"?")[0].decode().split("/")
    if root == b"/v2/":
        return next((part for part in reversed(parts) if part in {"blobs", "uploads", "manifests"}), "image")
    place = parts.index("namespaces") + 2 if "namespaces" in parts else len(parts)
    return parts[place] if place < len(parts) else "namespaces"


def _step(step: Step) -> str:
    # What is named by its content has another name in the next redeploy.
    return f"{step.action.value} {_CONTENT.sub('CONTENT', str(step.key))}"


def _added(release: Release) -> str:
    return f"record {release.outcome.value}"


def _removed(_: int) -> str:
    return "forget"


def _swapped(old: Holder | None, new: Holder | None) -> str:
    # How often a lock is renewed is up to how busy the machine is: no moment to come back to.
    if old is not None and new is not None and old.token == new.token:
        return ""
    return "lock" if new is not None else "unlock"


class World(NamedTuple):
    """What of a target writes, and how it is heard at that."""

    world: Any
    records: Any
    lock: Any
    hearing: Callable[[Moments], Callable[[str, tuple[Any, ...]], None]]


def _world(target: str) -> World:
    if target == "docker":
        import docker  # noqa: F401  # as above

        from mcp_targets.docker.records import VolumeLock, VolumeRecords
        from mcp_targets.docker.world import DockerWorld

        return World(DockerWorld, VolumeRecords, VolumeLock, lambda moments: moments.sent)
    if target == "kubernetes":
        import kubernetes.client  # noqa: F401  # as above

        import mcp_packager.image  # noqa: F401  # as above
        from mcp_targets._kube.records import LeaseLock, SecretRecords
        from mcp_targets._kube.world import KubeWorld

        return World(KubeWorld, SecretRecords, LeaseLock, lambda moments: moments.asked)
    from mcp_targets.local.records import FileLock, FileRecords
    from mcp_targets.local.world import LocalWorld

    return World(LocalWorld, FileRecords, FileLock, lambda moments: moments.heard)


def _child(world: World, order: dict[str, Any], told: int, journal: int) -> None:
    """Become the command."""
    for number, stream in ((0, os.open(os.devnull, os.O_RDONLY)), (1, told), (2, told)):
        os.dup2(stream, number)
    moments = Moments(order["moment"], journal)
    patch: Any = setattr
    patch(world.world, "apply", moments.counted(_step, world.world.apply))
    patch(world.records, "add", moments.counted(_added, world.records.add))
    patch(world.records, "remove", moments.counted(_removed, world.records.remove))
    patch(world.lock, "swap", moments.counted(_swapped, world.lock.swap))
    sys.addaudithook(world.hearing(moments))
    sys.argv = ["mcp-pack", *order["argv"]]
    command_line.main()


def _run(world: World, order: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as journal:
        pid = os.fork()
        if pid == 0:
            code: Any = 3
            try:
                _child(world, order, told.fileno(), journal.fileno())
            except SystemExit as end:
                code = end.code
            finally:
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                os._exit(code or 0)
        _, status = os.waitpid(pid, 0)
        lines = _text(journal).splitlines()
        return {
            "code": os.waitstatus_to_exitcode(status),
            "told": _text(told),
            "writes": [line.removeprefix("before ") for line in lines if line.startswith("before ")],
            "inside": [line.removeprefix("inside ") for line in lines if line.startswith("inside ")],
            "journal": lines,
        }


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


if __name__ == "__main__":
    writing = _world(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(_run(writing, json.loads(line))), flush=True)
