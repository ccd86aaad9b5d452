"""A tool project deployed to the fake of AWS, for the project's own tests: no account, no credentials, no bill."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from mcp_packager.testing import Pack
from mcp_packager.testing.aws import ACCOUNT, REGION, Cloud, running
from mcp_packager.testing.aws.processes import architecture
from mcp_packager.verify import texts

_TARGET: Final = "lambda"
_MANIFEST, _WORKSPACE = "mcp-tool.toml", "mcp-workspace.toml"
_NOT_COPIED: Final = (".git", ".venv", "__pycache__", ".*_cache", "build", "dist", "node_modules", "venv")
_NEEDED: Final = 'needs moto: pip install "mcp-packager[testing]"'


@dataclass(frozen=True)
class Function:
    """A project and an account that is its own. ``cloud`` and ``pack`` are there for what the methods do not do."""

    pack: Pack
    cloud: Cloud

    def deploy(self) -> None:
        """Deploy the project as it is: ``mcp-pack deploy``, its verification included.

        Raises:
            AssertionError: it failed; what mcp-pack said is in the message.
        """
        self.pack.deploy()

    def call(self, tool: str, /, **arguments: object) -> str:
        """Call a tool of the deployed function: the text of its answer.

        Raises:
            AssertionError: the call failed, or the answer is an error.
        """
        given = [f"{name}={value}" for name, value in arguments.items()]
        return texts(self.pack.run(f"invoke {tool}", *given).document["invoke"]["result"])

    def destroy(self) -> None:
        """Remove all of it: ``mcp-pack destroy``, data included."""
        self.pack.run("destroy", "--yes", "--data")

    def left(self) -> list[str]:
        """Everything that is in the account."""
        return self.cloud.left()


@contextmanager
def function(project: Path, folder: Path) -> Iterator[Function]:
    """An empty account for a project, until the block ends; the test is skipped, with the fix, where moto is missing.

    A copy of the project is deployed, with ``region``, ``account`` and ``architecture`` of its ``[target.lambda]``
    as they are here. The function runs as a process of this machine, so its Python has to be here too.

    Args:
        project: The folder with ``mcp-tool.toml``.
        folder: An empty one, such as pytest's ``tmp_path``.
    """
    pytest.importorskip("moto", reason=_NEEDED)
    account = folder / "aws"
    account.mkdir()
    with running(account) as cloud:
        environ = {"MCP_PACK_HOME": str(folder / "home"), **cloud.environ}
        yield Function(Pack(_copied(project, folder / "copy"), _TARGET, environ), cloud)


def _copied(project: Path, folder: Path) -> Path:
    import tomlkit

    copy = folder / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    above = next((one / _WORKSPACE for one in project.parents if (one / _WORKSPACE).is_file()), None)
    if above is not None:
        shutil.copyfile(above, folder / _WORKSPACE)
    manifest = tomlkit.parse((copy / _MANIFEST).read_text(encoding="utf-8"))
    options = manifest.setdefault("target", tomlkit.table()).setdefault(_TARGET, tomlkit.table())
    options.update({"region": REGION, "account": ACCOUNT, "architecture": architecture()})
    (copy / _MANIFEST).write_text(tomlkit.dumps(manifest), encoding="utf-8")
    return copy
