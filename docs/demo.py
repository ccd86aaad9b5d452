"""``make demo``: from nothing to an answered call, with the commands that a person would type.

Scaffolds a tool into a temporary folder, builds it, deploys it to this machine, calls it with the ``mcp`` Python
client, and removes all of it again. It runs as a container where a daemon answers and the base image is to be had, else
as a process, and says which and why. ``--keep`` leaves it running and says how to remove it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mcp import Client

NAME = "hello-tools"
ARGUMENTS = {"name": "world"}
CONTAINER, PROCESS = "docker", "local"


def main() -> int:
    """Show it. Returns the exit code of the first command that fails, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    keep: bool = parser.parse_args().keep
    folder = Path(tempfile.mkdtemp(prefix="mcp-pack-demo-"))
    # Releases go into the folder too, so that the demo leaves nothing in the user's home.
    os.environ["MCP_PACK_HOME"] = str(folder / "releases")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    project, target = folder / NAME, PROCESS
    try:
        _run(folder, "new", NAME)
        target = _target(project)
        _run(project, "build", "--target", target)
        _run(project, "deploy", "--target", target, "--yes")
        url = _url(project, target)
        print(f"\nendpoint  {url}")
        asyncio.run(_call(url))
    except subprocess.CalledProcessError as failed:
        print(f"make demo: {' '.join(failed.cmd)} failed ({failed.returncode})", file=sys.stderr)
        _remove(project, folder, target)
        return int(failed.returncode)
    if keep:
        print(f"\nIt goes on running. To remove it:\n  cd {project}")
        command = f"{shutil.which('mcp-pack')} destroy --target {target} --yes"
        print(f"  MCP_PACK_HOME={folder / 'releases'} {command} && rm -rf {folder}")
        return 0
    _remove(project, folder, target)
    return 0


def _target(project: Path) -> str:
    """``docker`` where it would work now, else ``local``; says why."""
    for command in ("status", "build"):  # is there a daemon, and is there a base image
        tried = ["mcp-pack", command, "--target", CONTAINER, "--quiet"]
        asked = subprocess.run(tried, cwd=project, capture_output=True, text=True, check=False)
        if asked.returncode:
            print(f"\nto {PROCESS}, not to {CONTAINER}: {_reason(asked.stderr)}")
            return PROCESS
    print(f"\nto {CONTAINER}: a daemon answers, and the base image is to be had")
    return CONTAINER


def _reason(told: str) -> str:
    """What the first problem says, in a line."""
    lines = told.strip().splitlines()
    return lines[0].removeprefix("error: ") if lines else "it does not work here"


def _run(where: Path, *arguments: str) -> None:
    print(f"\n$ mcp-pack {' '.join(arguments)}", flush=True)
    subprocess.run(["mcp-pack", *arguments], cwd=where, check=True)


def _url(project: Path, target: str) -> str:
    command = ["mcp-pack", "status", "--target", target, "--json"]
    answer = subprocess.run(command, cwd=project, check=True, capture_output=True)
    found = _endpoint(json.loads(answer.stdout))
    if found is None:
        raise ValueError(f"`mcp-pack status --json` names no URL: {answer.stdout.decode()}")
    return found


def _endpoint(document: Any) -> str | None:
    match document:
        case {"deployments": [{"endpoint": {"url": str(url)}}, *_]}:
            return url
        case _:
            return None


async def _call(url: str) -> None:
    async with Client(url) as client:
        tools = (await client.list_tools()).tools
        print(f"tools     {', '.join(tool.name for tool in tools)}")
        answer = await client.call_tool(tools[0].name, ARGUMENTS)
        print(f"answer    {tools[0].name}({ARGUMENTS}) -> {answer.structured_content or answer.content}")


def _remove(project: Path, folder: Path, target: str) -> None:
    if (project / "mcp-tool.lock").is_file():
        _run(project, "destroy", "--target", target, "--yes")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
