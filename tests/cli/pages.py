"""Fill the printed blocks of ``docs/cli.md`` and ``docs/clients.md`` with what mcp-pack really prints.

``python -m tests.cli.pages`` runs, in a scratch folder and in order, the command of every ``<!-- run: … -->`` line
and puts its output into the block below it. What differs from one machine or day to the next is evened out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from mcp_packager.store import default_root

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("cli.md", "clients.md")
BLOCK = re.compile(r"(?s)(<!-- run: (?P<command>[^\n]+) -->\n```(?P<kind>\w+)\n)(?P<output>.*?)(```\n)")


def main() -> None:
    """Rewrite both pages in place."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch).resolve()
        (root / "home").mkdir()
        for page in PAGES:
            file = DOCS / page
            text = BLOCK.sub(lambda match: _filled(match, root), file.read_text(encoding="utf-8"))
            file.write_text(text, encoding="utf-8")


def _filled(match: re.Match[str], root: Path) -> str:
    command = match["command"]
    tool = root / "word-tools"
    cwd = tool if tool.is_dir() and not command.startswith(("mcp-pack new", "cat")) else root
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(root / "home"),
        "MCP_PACK_HOME": str(root / "home" / ".local" / "share" / "mcp-pack"),
        "LOGNAME": "you",
        "USER": "you",
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    print(f"{done.returncode} {command}")
    output = _evened(done.stdout, root)
    # What prepared the example, before the last `&&`, is not shown; a JSON block holds nothing but JSON.
    typed = "" if match["kind"] == "json" else f"$ {command.rpartition('&& ')[2]}\n"
    return match[1] + typed + output.rstrip("\n") + "\n" + match[5]


def _evened(output: str, root: Path) -> str:
    for found, shown in (
        (str(default_root()), "/home/you/.cache/mcp-pack"),
        (str(root / "home"), "/home/you"),
        (str(root), "/home/you"),
        (str(Path(sys.prefix)), "/home/you/.local/share/uv/tools/mcp-packager"),
        (os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")), "/home/you/.pyenv"),
        (str(Path.home()), "/home/you"),
    ):
        output = output.replace(found, shown)
    output = re.sub(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:41873", output)
    return re.sub(r"(?m)[ \t]+$", "", output)


if __name__ == "__main__":
    main()
