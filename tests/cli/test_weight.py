"""``check`` of a real project loads nothing that it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("boto3", "docker", "jinja2", "kubernetes", "mcp", "requests", "rich")


def test_check_loads_no_heavy_library_but_pydantic(tmp_path: Path) -> None:
    (tmp_path / "mcp-tool.toml").write_text('[tool]\nname = "one"\nentrypoint = "one"\n')
    (tmp_path / "one.py").write_text(
        'from mcp_tool import tool\n\n@tool\ndef f() -> int:\n    """Give one."""\n    return 1\n'
    )
    code = (
        "import sys\nfrom mcp_packager.cli.main import run\n"
        f"assert run(['check', '--project', {str(tmp_path)!r}]) == 0\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    for _ in range(2):  # the first locks and extracts, the second finds all of it
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "f" in done.stdout
