"""The zip as Lambda wants it: the bundle at the top of ``/var/task``, and beside it what Lambda starts.

Lambda developer guide, "Lambda quotas" and "Working with .zip file archives for Python Lambda functions".
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mcp_packager.bundle import Bundle, Entry
from mcp_packager.bundle.entries import inline
from mcp_packager.bundle.zip import Zipped, sizes, write_zip
from mcp_packager.errors import Problem, UserError
from mcp_packager.store import Store

MOST_UNZIPPED: Final = 250 * 2**20
"""Bytes of a function's files, layers included."""

MOST_DIRECT: Final = 50 * 2**20
"""Bytes of a zip that is sent with the request; a larger one has to lie in S3."""

HANDLER: Final = "mcp_handler.handler"
WRAPPER: Final = "/var/task/mcp-stream"
"""What ``AWS_LAMBDA_EXEC_WRAPPER`` names where answers are streamed."""

_NAMED: Final = 5
_MIB: Final = 2**20

_PATHS: Final = """\
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "lib"), str(HERE / "app")]
"""
_HANDLER: Final = f'''\
"""What AWS's runtime for Python calls: `mcp_handler.handler`."""

{_PATHS}
from mcp_tool.serve.aws.handler import Handler  # noqa: E402 - found by the line before

handler = Handler(HERE)
'''
_STREAM: Final = f'''\
"""What `mcp-stream` starts in the place of AWS's runtime, so that answers can be streamed."""

{_PATHS}
from mcp_tool.serve.aws import streaming  # noqa: E402 - found by the line before

streaming.main(HERE)
'''
_START: Final = """\
#!/bin/sh
# Lambda starts this with the interpreter and its own runtime as arguments (AWS_LAMBDA_EXEC_WRAPPER).
exec "$1" "$(dirname "$0")/mcp_stream.py"
"""


def package(bundle: Bundle, path: Path, *, store: Store | None = None) -> Zipped:
    """Write the zip.

    Raises:
        UserError: its content is larger than Lambda takes, or a file of the author's changed meanwhile.
        WorldError: the system does not let it be written.
    """
    beside = entries()
    unzipped = bundle.size + sum(entry.size for entry in beside)
    if unzipped > MOST_UNZIPPED:
        largest = list(sizes(bundle.entries).items())[:_NAMED]
        raise UserError(
            Problem(
                what="The tool is too large for a function that comes as a zip",
                fix='Depend on less, or set package = "image" under [target.lambda]: an image may have 10 GB',
                expected=f"{MOST_UNZIPPED // _MIB} MB unpacked at most",
                found=f"{unzipped / _MIB:.0f} MB: " + ", ".join(f"{name} {size / _MIB:.0f}" for name, size in largest),
            )
        )
    return write_zip(bundle, path, beside, store=store)


def entries() -> tuple[Entry, ...]:
    """What stands beside the bundle."""
    start = inline("mcp-stream", _START.encode())
    return (
        inline("mcp_handler.py", _HANDLER.encode()),
        inline("mcp_stream.py", _STREAM.encode()),
        Entry(start.path, 0o755, start.sha256, start.size, start.source),
    )
