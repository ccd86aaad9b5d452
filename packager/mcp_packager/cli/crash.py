"""What a user sees when mcp-pack itself is at fault: a short message, and a file with the details."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mcp_packager import __version__
from mcp_packager.cli import output
from mcp_packager.cli.places import home
from mcp_packager.cli.problems import show
from mcp_packager.errors import Problem

DEBUG_VARIABLE = "MCP_PACK_DEBUG"


def report(error: Exception, arguments: Sequence[str]) -> None:
    """Write the details to a file and say where it is; with ``MCP_PACK_DEBUG=1`` show the traceback too."""
    details = _details(error, arguments)
    written = _write(details)
    where = f"the details are in {written}" if written else f"run it again with {DEBUG_VARIABLE}=1 to see the details"
    message = f"mcp-pack met a fault of its own ({type(error).__name__}); {where}"
    fix = (
        "try it once more; if it happens again, report it with that file, after looking through it for anything private"
    )
    show((Problem(message, fix),), exit_code=3, as_json="--json" in arguments)
    if os.environ.get(DEBUG_VARIABLE) == "1":
        output.say(details)


def _details(error: Exception, arguments: Sequence[str]) -> str:
    return "\n".join(
        [
            f"mcp-pack {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"when: {datetime.now(UTC).isoformat(timespec='seconds')}",
            f"command: mcp-pack {' '.join(map(_without_value, arguments))}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )


def _without_value(argument: str) -> str:
    """A tool's arguments may be private: of ``key=value`` only the key is kept."""
    key, equals, _ = argument.partition("=")
    return f"{key}=…" if equals else argument


def _write(details: str) -> Path | None:
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    for folder in (home() / "crashes", Path(tempfile.gettempdir())):
        file = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(details)
        except OSError as problem:
            if os.environ.get(DEBUG_VARIABLE) == "1":
                print(f"could not write {file}: {problem}", file=sys.stderr)  # noqa: T201 - the last resort
            continue
        return file
    return None
