"""Where a local deployment lives on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcp_packager.errors import Place, Problem, WorldError
from mcp_packager.files import remove_tree
from mcp_packager.target import Identity


def data_folder(environ: Mapping[str, str]) -> Path:
    """``MCP_PACK_HOME``, else ``$XDG_DATA_HOME/mcp-pack``, else ``~/.local/share/mcp-pack``."""
    if chosen := environ.get("MCP_PACK_HOME"):
        return Path(chosen).expanduser().absolute()
    if base := environ.get("XDG_DATA_HOME"):
        return Path(base) / "mcp-pack"
    return Path(environ["HOME"] if environ.get("HOME") else Path.home()) / ".local" / "share" / "mcp-pack"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and files of one deployment. ``root`` holds all of it but the lock."""

    root: Path
    lock: Path
    gate: Path
    """Held while the lock file is looked at and changed."""

    @classmethod
    def of(cls, identity: Identity, environ: Mapping[str, str]) -> Places:
        """Where the deployment of that identity is; makes nothing."""
        folder = data_folder(environ) / "local"
        name = identity.name()
        return cls(folder / name, folder / f"{name}.lock.json", folder / ".gate")

    @property
    def owner(self) -> Path:
        """Says whose the folder is."""
        return self.root / "deployment.json"

    @property
    def bundles(self) -> Path:
        """One materialised bundle a digest."""
        return self.root / "bundles"

    @property
    def configs(self) -> Path:
        """One config a release."""
        return self.root / "configs"

    @property
    def secrets(self) -> Path:
        """One folder a secret; readable by its owner alone."""
        return self.root / "secrets"

    @property
    def keys(self) -> Path:
        """One folder a key that was made here; readable by its owner alone."""
        return self.root / "keys"

    @property
    def releases(self) -> Path:
        """One record a release."""
        return self.root / "releases"

    @property
    def run(self) -> Path:
        """What the supervisor is told and tells."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """What the servers write."""
        return self.root / "logs"

    def log(self, slot: str) -> Path:
        """The log of a slot's server."""
        return self.logs / f"{slot}.log"


def inside(folder: Path) -> list[Path]:
    """What a folder holds that was written whole, sorted; nothing where there is none."""
    return sorted(path for path in _entries(folder) if not path.name.startswith("."))


def scratch(places: Places) -> Iterator[Path]:
    """What a run that was killed was still writing or removing: whatever is named with a dot."""
    flat = (places.root, places.bundles, places.configs, places.releases, places.secrets, places.keys)
    for folder in (*flat, *inside(places.secrets), *inside(places.keys)):
        yield from (path for path in _entries(folder) if path.name.startswith("."))


def drop(path: Path) -> None:
    """Remove a file or folder; it is gone at once, so that no run finds half of it under its name."""
    doomed = path.with_name(f".{path.name}.gone")
    remove_tree(doomed)
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    remove_tree(doomed)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextmanager
def told(root: Path) -> Iterator[None]:
    """Turn what the system says against a change below ``root`` into a problem with where, what and fix."""
    try:
        yield
    except OSError as error:
        raise WorldError(
            Problem(
                f"the deployment's files cannot be written: {error.strerror or error}",
                f"make room, and let yourself write, below {root}; then run the same command again",
                Place(str(error.filename or root)),
            )
        ) from error
