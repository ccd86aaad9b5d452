"""The logs of all Pods of a deployment, each line behind its Pod's name; followed over restarts and rollouts."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import PackError
from mcp_targets._kube.client import ApiError
from mcp_targets._kube.kinds import PODS
from mcp_targets._kube.objects import Objects

_LOOK: Final = 1.0
_QUEUED: Final = 10_000
_STAMP: Final = 30
"""Characters of a time to the nanosecond; the server leaves noughts at its end away."""


def last_lines(objects: Objects, pods: Callable[[], list[Any]], lines: int) -> Iterator[str]:
    """The last lines of every Pod, those of all together in the order in which they were written."""
    yield from _told(_ended(objects, pods(), lines), lines)


def followed(objects: Objects, pods: Callable[[], list[Any]], lines: int) -> Iterator[str]:
    """The last lines, and every later one of each Pod there is by then, until the caller stops."""
    there = pods()
    found = _ended(objects, there, lines)
    yield from _told(found, lines)
    newest: dict[str, str] = {}
    for line in found:
        newest[line.pod] = max(line.stamp, newest.get(line.pod, ""))
    following = _Following(objects, pods, {_run_of(pod): newest.get(pod["metadata"]["name"], "") for pod in there})
    yield from following.lines()


@dataclass(frozen=True, slots=True, order=True)
class _Line:
    """A line of a Pod's log, and when it was written."""

    stamp: str
    pod: str
    text: str

    @property
    def shown(self) -> str:
        return f"{short(self.pod)} | {self.text}"


def _line(pod: str, text: str) -> _Line:
    stamp, _, rest = text.partition(" ")
    return _Line(stamp.rstrip("Z").ljust(_STAMP, "0"), pod, rest)


def _ended(objects: Objects, pods: list[Any], lines: int) -> list[_Line]:
    names = [pod["metadata"]["name"] for pod in pods]
    return sorted(_line(name, text) for name in names for text in _lines_of(objects, name, lines))


def _told(found: list[_Line], lines: int) -> Iterator[str]:
    yield from (line.shown for line in (found[-lines:] if lines else ()))


def _lines_of(objects: Objects, pod: str, lines: int) -> list[str]:
    path = PODS.path(objects.namespace, pod, "log")
    query = {"tailLines": str(lines), "timestamps": "true"}
    for asked in (query, {**query, "previous": "true"}):
        try:
            text = objects.api.text(path, asked)
        except ApiError:
            continue  # it has not begun, or is gone by now
        if text:
            return text.splitlines()
    return []


class _Following:
    """Reads every Pod's log in a thread of its own, and looks for new Pods.

    ``told`` is how far each run that was there at the beginning was told.
    """

    def __init__(self, objects: Objects, pods: Callable[[], list[Any]], told: Mapping[tuple[str, int], str]) -> None:
        self._objects = objects
        self._pods = pods
        self._told = told
        self._said: queue.Queue[str] = queue.Queue(_QUEUED)
        self._threads: dict[tuple[str, int], threading.Thread] = {}
        self._over = threading.Event()

    def lines(self) -> Iterator[str]:
        """Each line as it comes."""
        try:
            while True:
                self._join()
                yield from self._soon()
        finally:
            self._over.set()

    def _join(self) -> None:
        try:
            pods = self._pods()
        except PackError:
            return  # the way there broke for a moment; what is followed already goes on
        for pod in pods:
            run = _run_of(pod)
            thread = self._threads.get(run)
            begun = (pod.get("status") or {}).get("phase") in {"Running", "Succeeded", "Failed"}
            if thread is None and begun:
                thread = threading.Thread(target=self._read, args=(run,), daemon=True, name="mcp-pack-log")
                self._threads[run] = thread
                thread.start()

    def _soon(self) -> Iterator[str]:
        """What comes until it is time to look for Pods again."""
        left = _QUEUED
        try:
            while left:
                yield self._said.get(timeout=_LOOK)
                left -= 1
        except queue.Empty:
            return

    def _read(self, run: tuple[str, int]) -> None:
        pod = run[0]
        path = PODS.path(self._objects.namespace, pod, "log")
        known = self._told.get(run)
        # A run that began since is told from its first line on.
        since = {} if known is None else {"sinceTime": f"{known[:19]}Z"} if known else {"sinceSeconds": "1"}
        try:
            for raw in self._objects.api.lines(path, {"follow": "true", "timestamps": "true", **since}):
                if self._over.is_set():
                    return
                line = _line(pod, raw.decode("utf-8", "replace"))
                if line.stamp > (known or ""):
                    self._said.put(line.shown)
        except PackError:
            return  # it is gone


def short(pod: str) -> str:
    """What tells a Pod from its siblings: the end of its name."""
    return "-".join(pod.split("-")[-2:])


def _run_of(pod: Mapping[str, Any]) -> tuple[str, int]:
    """A Pod and how often it was started: each start has a log of its own."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return pod["metadata"]["name"], sum(int(each.get("restartCount") or 0) for each in statuses)
