"""What an example needs from outside of it to run."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def surroundings(name: str, project: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """The project, made ready to be deployed, and its environment: for the notes with a database behind its address.

    ``project`` is a copy: the address in its manifest is changed.
    """
    if name != "notes-search":
        yield project, {}
        return
    with _module(project / "tests" / "postgres.py").running_postgres() as port:
        file = project / "mcp-tool.toml"
        text = file.read_text(encoding="utf-8")
        assert '"127.0.0.1:5432"' in text
        file.write_text(text.replace('"127.0.0.1:5432"', f'"127.0.0.1:{port}"'), encoding="utf-8")
        yield project, {"DATABASE_PASSWORD": "unused"}


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
