"""What the figures of Lambda are taken with: tools as functions' files, and the functions that they stand against."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from benchmarks.place import PROGRAMS, ROOT, Place
from mcp_packager.testing.aws.running import unpacked
from tests import real_parts
from tests.lambda_.asking import legacy

if TYPE_CHECKING:
    from mcp_packager.bundle import Bundle
    from mcp_packager.bundle.zip import Zipped
    from mcp_packager.pipeline.prepare import Prepared
    from mcp_packager.pipeline.project import Aim

MINOR: Final = "3.13"
"""The Python of the functions, one that Lambda has."""

WRAPPER: Final = "run-mcp-servers-with-aws-lambda==0.5.22"
EVENT: Final = legacy("tools/call", {"name": "count", "arguments": {"text": "one two three"}})
"""A call that both can answer: the wrapper's SDK knows the older era alone."""

_PARTS: Final = ("lambda-emulator", f"python{MINOR}", "sam")
_SAMPLE: Final = ROOT / "benchmarks" / "sample"
_ARCHITECTURE: Final = {"aarch64": "arm64"}.get(platform.machine(), "x86_64")
_TABLE: Final = f"""
[target.lambda]
region = "eu-central-1"
account = "123456789012"
architecture = "{_ARCHITECTURE}"
"""
_EDITED: Final = Path("src") / "sample" / "tools.py"

_IMPORTS: Final = """\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import mcp.server


def handler(event, context):
    return {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
"""
_WRAPPED: Final = """\
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))
from mcp.client.stdio import StdioServerParameters
from mcp_lambda import LambdaFunctionURLEventHandler, StdioServerAdapterRequestHandler

parameters = StdioServerParameters(
    command=sys.executable, args=[str(HERE / "server.py")], env={"PYTHONPATH": str(HERE / "lib")}
)
answering = LambdaFunctionURLEventHandler(StdioServerAdapterRequestHandler(parameters))


def handler(event, context):
    return answering.handle(event, context)
"""
_SERVER: Final = '''\
from mcp.server.fastmcp import FastMCP

server = FastMCP("count")


@server.tool()
def count(text: str) -> int:
    """Count the words in a text."""
    return len(text.split())


server.run()
'''

_SERVED: Final = '''\
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import uvicorn
from mcp.server import MCPServer

server = MCPServer("count")


@server.tool()
def count(text: str) -> int:
    """Count the words in a text."""
    return len(text.split())


app = server.streamable_http_app(stateless_http=True, json_response=True, host="0.0.0.0")
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
'''


def missing() -> str | None:
    """Why the figures cannot be taken here."""
    return next((said for part in _PARTS if (said := real_parts.missing(part)) is not None), None)


@contextmanager
def surroundings(place: Place) -> Iterator[None]:
    """This process with the scratch folder's store."""
    said = {key: value for key, value in place.env.items() if key.startswith("MCP_PACK_")}
    before = {key: os.environ.get(key) for key in said}
    os.environ.update(said)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


@dataclass(frozen=True)
class Made:
    """A tool, locked for Lambda's Python on this machine's processor. ``folder`` is for its zips."""

    project: Path
    prepared: Prepared
    aim: Aim
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def edit(self) -> str:
        """A line that was not there before."""
        return f"EDITED = {next(self.numbers)}\n"

    def write(self, line: str) -> None:
        """Put a line at the end of the sample's code."""
        (self.project / _EDITED).write_text((_SAMPLE / _EDITED).read_text() + line)

    def bundle(self, line: str = "") -> Bundle:
        """The bundle, with that line at the end of the sample's code."""
        from mcp_packager.bundle import assemble, author_files

        if line:
            self.write(line)
        manifest = self.prepared.manifest
        ((target, interpreter),) = self.prepared.platforms[self.aim.name]
        return assemble(
            manifest=manifest,
            lock=self.prepared.lock,
            platform=target,
            interpreter=interpreter,
            contract_document=self.prepared.contract.document,
            tool_document=manifest.tool_document(),
            author=author_files(manifest),
        )

    def zipped(self, bundle: Bundle | None = None) -> Zipped:
        """The zip: what is timed."""
        from mcp_targets.aws_lambda.package import package

        return package(bundle or self.bundle(), self.folder / "function.zip")

    def tree(self, folder: Path) -> Path:
        """The bundle as a folder."""
        from mcp_packager.bundle import materialise

        materialise(self.bundle(), folder)
        return folder

    def installed(self, folder: Path) -> None:
        """The same wheels as an installer lays them down, with the author's code, all of it compiled."""
        from mcp_packager.lock import fetch

        ((target, _),) = self.prepared.platforms[self.aim.name]
        # Pip, as its readers name it: with the metadata that it writes.
        wheels = [str(wheel.path) for wheel in fetch(self.prepared.lock, target)]
        python = real_parts.python(MINOR)
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-compile",
        ]
        subprocess.run([*install, "--root-user-action", "ignore", "--target", folder, *wheels], check=True)
        shutil.copytree(self.project / "src", folder, dirs_exist_ok=True)
        # Files of a wheel may be for another Python; compileall says so and goes on.
        compiling: list[str | Path] = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        subprocess.run([*compiling, "-s", folder, "-p", "/var/task", folder], check=False, stdout=subprocess.DEVNULL)

    def requirements(self) -> list[str]:
        """What it depends on, by versions, without our own library, which no index has."""
        from mcp_packager.lock import fetch

        ((target, _),) = self.prepared.platforms[self.aim.name]
        wheels = fetch(self.prepared.lock, target)
        return [f"{wheel.name}=={wheel.version}" for wheel in wheels if wheel.name != "mcp-tool-runtime"]


def made(place: Place, project: Path, *, sample: bool = False) -> Made:
    """A tool, locked and with all that it needs in the store.

    Raises:
        PackError: the package index does not answer.
    """
    from mcp_packager.manifest import load
    from mcp_packager.pipeline.prepare import bundles, prepare
    from mcp_packager.pipeline.project import Aim
    from mcp_packager.progress import Silent
    from mcp_targets.aws_lambda.options import Options
    from mcp_targets.aws_lambda.target import LambdaTarget

    if sample:
        shutil.copytree(_SAMPLE, project, ignore=shutil.ignore_patterns("Dockerfile*", "__pycache__", "dist"))
    manifest = project / "mcp-tool.toml"
    text = manifest.read_text().replace("[target.docker]\n", "")
    manifest.write_text(text.replace("[tool]\n", f'[tool]\npython = "=={MINOR}.*"\n') + _TABLE)
    loaded = load(project, options={"lambda": Options})
    aim = Aim("lambda", cast("Any", LambdaTarget()), loaded.targets["lambda"])
    prepared = prepare(loaded, [aim], locked=False, progress=Silent())
    bundles(prepared, aim, progress=Silent())
    return Made(project, prepared, aim, place.fresh())


def mine(place: Place, of: Made) -> Path:
    """A tool's files as they lie in Lambda."""
    return unpacked(of.zipped().path, place.fresh() / "task")


def only_imports(place: Place, of: Made) -> Path:
    """A function that imports the SDK's server, with the same library, and does nothing."""
    folder = mine(place, of)
    return _function(folder, {"mcp_handler.py": _IMPORTS})


def wrapped(place: Place) -> Path:
    """The same tool behind AWS's wrapper of stdio servers, compiled."""
    folder = place.folder / "wrapped"
    if not folder.exists():
        python = real_parts.python(MINOR)
        install: list[str | Path] = [PROGRAMS / "uv", "pip", "install", "--quiet", "--python", python]
        install += ["--target", folder / "lib"]
        subprocess.run([*install, WRAPPER], check=True, env=dict(place.env))
        subprocess.run([python, "-m", "compileall", "-q", folder / "lib"], check=False, stdout=subprocess.DEVNULL)
        _function(folder, {"mcp_handler.py": _WRAPPED, "server.py": _SERVER})
    return folder


def served(place: Place, of: Made) -> Path:
    """The same tool as a web server of the SDK, with the same library, behind what stands for the web adapter."""
    adapter = (ROOT / "benchmarks" / "adapter.py").read_text()
    return _function(mine(place, of), {"adapter.py": adapter, "server.py": _SERVED})


def _function(folder: Path, files: Mapping[str, str]) -> Path:
    folder.chmod(0o755)
    for name, text in files.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(text)
    return folder
