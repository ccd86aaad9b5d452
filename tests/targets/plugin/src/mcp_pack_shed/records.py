"""Releases and the lock as files."""

from __future__ import annotations

import json
from pathlib import Path

from mcp_packager.errors import Problem
from mcp_packager.files import locked, write_atomic
from mcp_packager.target import Holder, RecordTakenError, Release


class Records:
    """One file a release."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def listing(self) -> tuple[Release, ...]:
        files = sorted(self._folder.glob("[0-9]*.json"), key=lambda path: int(path.stem))
        return tuple(Release.from_json(json.loads(path.read_text(encoding="utf-8"))) for path in files)

    def add(self, release: Release) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / "gate"):
            path = self._folder / f"{release.number}.json"
            if path.exists():
                raise RecordTakenError(Problem("that release is recorded already", "deploy again"))
            write_atomic(path, json.dumps(release.as_json()).encode())

    def remove(self, number: int) -> None:
        (self._folder / f"{number}.json").unlink(missing_ok=True)


class Lock:
    """One file, compared and swapped behind a gate."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Holder | None:
        try:
            return Holder.from_json(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def swap(self, old: Holder | None, new: Holder | None) -> bool:
        with locked(self._path.with_suffix(".gate")):
            there = self.read()
            if (there and (there.token, there.expires)) != (old and (old.token, old.expires)):
                return False
            if new is None:
                self._path.unlink(missing_ok=True)
            else:
                write_atomic(self._path, json.dumps(new.as_json()).encode())
            return True
