"""Importing the author's module, and telling what went wrong in the author's words."""

import importlib
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

from mcp_tool.errors import EntrypointError

_NOT_THE_AUTHORS = (str(Path(__file__).parent.parent), sysconfig.get_path("stdlib"))


def import_module(name: str) -> None:
    """Import the author's module, so that its decorators record.

    Raises:
        EntrypointError: With the reason and the author's part of the traceback.
    """
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise EntrypointError(
                f"there is no module {name!r}",
                "name the module of the decorated functions as entrypoint, as seen from ./src or the project's folder",
            ) from None
        fix = f"add what provides {error.name!r} to the dependencies"
        raise EntrypointError(f"importing {name!r} failed: {error}", fix, trimmed(error)) from None
    except SystemExit as error:
        what = f"importing {name!r} ended the process: sys.exit({error.code!r})"
        fix = 'put what runs a program under `if __name__ == "__main__":`'
        raise EntrypointError(what, fix, trimmed(error)) from None
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        what = f"importing {name!r} failed: {type(error).__name__}: {error}"
        raise EntrypointError(what, "mend the line that the traceback ends with", trimmed(error)) from None


def trimmed(error: BaseException) -> str:
    """The traceback without the frames of the runtime, of Python and of installed packages."""
    report = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    part: traceback.TracebackException | None = report
    while part is not None and id(part) not in seen:
        seen.add(id(part))
        part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if is_authors(frame)])
        part = part.__cause__ or part.__context__
    return "".join(_without_empty_headers(report.format()))


def is_authors(frame: traceback.FrameSummary) -> bool:
    """Whether a line of a traceback is the author's: not the runtime's, nor Python's, nor an installed package's."""
    name = frame.filename
    if name.startswith("<") or "site-packages" in name or "dist-packages" in name:
        return False
    return not any(name.startswith(root) for root in _NOT_THE_AUTHORS)


def _without_empty_headers(lines: Iterable[str]) -> list[str]:
    """Drop the header over a stack of which no frame is left."""
    kept: list[str] = []
    header: str | None = None
    for line in lines:
        if line.startswith("Traceback ("):
            header = line
            continue
        if header is not None and line.startswith("  File"):
            kept.append(header)
        header = None
        kept.append(line)
    return kept
