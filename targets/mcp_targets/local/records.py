"""Releases and the lock as files. A release is linked into place, so that a number is taken once."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
from dataclasses import replace
from pathlib import Path

from mcp_packager.errors import Place, Problem, WorldError
from mcp_packager.files import locked, sync_folder, write_atomic
from mcp_packager.target import Holder, RecordTakenError, Release
from mcp_targets.local.places import told
from mcp_targets.local.supervisor.machine import birth

_RECORD = re.compile(r"([1-9]\d*)\.json\Z")


class FileRecords:
    """One file a release: ``releases/<number>.json``, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def listing(self) -> tuple[Release, ...]:
        """Every release, lowest number first.

        Raises:
            WorldError: a record cannot be read, or a newer mcp-pack wrote it.
        """
        try:
            found = [path for path in self._folder.iterdir() if _RECORD.match(path.name)]
        except FileNotFoundError:
            return ()
        return tuple(sorted((_read(path) for path in found), key=lambda release: release.number))

    def add(self, release: Release) -> None:
        """Keep a release under its number; exactly one of two writers gets through."""
        with told(self._folder):
            self._add(release)

    def _add(self, release: Release) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{release.number}.json"
        scratch = self._folder / f".{release.number}.{secrets.token_hex(6)}"
        try:
            write_atomic(scratch, json.dumps(release.as_json(), indent=1, sort_keys=True).encode(), mode=0o600)
            os.link(scratch, path)
        except FileExistsError as error:
            raise RecordTakenError(
                Problem(f"release {release.number} is already recorded", "deploy again", Place(str(path)))
            ) from error
        finally:
            scratch.unlink(missing_ok=True)
        sync_folder(self._folder)

    def remove(self, number: int) -> None:
        """Forget a release."""
        with told(self._folder):
            (self._folder / f"{number}.json").unlink(missing_ok=True)


def _read(path: Path) -> Release:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Release.from_json(document, where=str(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorldError(
            Problem(
                f"the release record cannot be read: {type(error).__name__}",
                "move the file away; the release it describes can then no longer be gone back to",
                Place(str(path)),
            )
        ) from error


class FileLock:
    """The lock as a file, looked at and changed behind a gate that the system opens when its holder dies.

    It names the process that holds it, so that the lock of one that died on this machine has ended already.
    """

    def __init__(self, path: Path, gate: Path) -> None:
        self._path = path
        self._gate = gate

    def read(self) -> Holder | None:
        """Who holds it; a file that makes no sense holds nothing."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            holder = Holder.from_json(document)
            place, pid, born = document.get("host"), document.get("pid"), document.get("birth")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        died = place == platform.node() and isinstance(pid, int) and birth(pid) != born
        return replace(holder, expires=0.0) if died else holder

    def swap(self, old: Holder | None, new: Holder | None) -> bool:
        """Put ``new`` in the place of ``old`` if that is still what is there."""
        with told(self._path.parent), locked(self._gate, timeout=30):
            there = self.read()
            for scratch in self._path.parent.glob(f".{self._path.name}.*"):
                scratch.unlink()  # of one that was killed: only who holds the gate writes
            if _mark(there) != _mark(old):
                return False
            if new is None:
                self._path.unlink(missing_ok=True)
            else:
                owner = {"host": platform.node(), "pid": os.getpid(), "birth": birth(os.getpid())}
                write_atomic(self._path, json.dumps(new.as_json() | owner).encode(), mode=0o600)
            return True


def _mark(holder: Holder | None) -> tuple[str, float] | None:
    return None if holder is None else (holder.token, holder.expires)
