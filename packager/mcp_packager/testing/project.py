"""A small tool project that a suite writes, edits and breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MANIFEST: Final = """\
[tool]
name = "{name}"
version = "{version}"
entrypoint = "suite_tool"

[env]
GREETING = "hello"

[target.{target}]
{options}

[[verify.call]]
tool = "greet"
arguments = {{ name = "you" }}
expect = {{ contains = "{expected}" }}

[stage.second.env]
GREETING = "good evening"

[stage.second.verify]
call = [{{ tool = "greet", arguments = {{ name = "you" }}, expect = {{ contains = "good evening" }} }}]
"""

_ASKING: Final = """
[secrets.OLD_KEY]

[secrets.NEW_KEY]

[serve.auth]
mode = "bearer"
keys = [{keys}]
"""

_CODE: Final = '''\
import os

from mcp_tool import tool


@tool
def greet(name: str) -> str:
    """Greet somebody."""
    return f"{{os.environ['GREETING']}}, {{name}}! This is {version}."
'''


_UNASKED: Final = """
[serve.auth]
mode = "none"
insecure_public = true
"""

_BROKEN: Final = """\
import os, sys

if "serve" in sys.argv or "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    raise SystemExit("no such thing as a free start")
"""


@dataclass(frozen=True)
class Project:
    """A tool ``greet`` whose answer names its version, with two stages that greet otherwise.

    ``unasked``: the manifest says that everybody may call, where the platform would ask who is calling otherwise.
    """

    folder: Path
    target: str
    options: str = ""
    name: str = "suite-tool"
    unasked: bool = False

    def write(self, version: str, *, expected: str = "hello, you!", keys: Sequence[str] = ()) -> None:
        """Write the project as of a version. An answer without ``expected`` makes it a bad one.

        With ``keys``, of ``OLD_KEY`` and ``NEW_KEY``, callers must show the value of one of these secrets.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        manifest = _MANIFEST.format(
            name=self.name, version=version, target=self.target, options=self.options, expected=expected
        )
        if keys:
            manifest += _ASKING.format(keys=", ".join(f'"{key}"' for key in keys))
        elif self.unasked:
            manifest += _UNASKED
        (self.folder / "mcp-tool.toml").write_text(manifest, encoding="utf-8")
        (self.folder / "suite_tool.py").write_text(_CODE.format(version=version), encoding="utf-8")

    def break_start(self) -> None:
        """Make the server fail to start, in a way that only starting it shows."""
        code = self.folder / "suite_tool.py"
        code.write_text(_BROKEN + code.read_text(encoding="utf-8"), encoding="utf-8")
