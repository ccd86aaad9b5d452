"""Shell completion, asked as a shell asks: by environment, in a whole process."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import real_parts
from tests.cli.process import run

MANIFEST = '[tool]\nname = "notes"\nentrypoint = "notes"\n[target.local]\n[stage.prod]\n[stage.staging]\n'


def complete(*words: str, cwd: Path) -> list[str]:
    env = {
        "_MCP_PACK_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("mcp-pack", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = run(cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mcp-tool.toml").write_text(MANIFEST)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["de"], ["deploy", "destroy"]),
        (["status", "--stage", ""], ["default", "prod", "staging"]),
        (["status", "--stage", "pr"], ["prod"]),
        (["deploy", "--target", "lo"], ["local"]),
        (["client-config", "--client", "c"], ["claude-code", "claude-desktop", "cursor", "codex", "cline"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_what_is_offered(words: list[str], offered: list[str], project: Path) -> None:
    assert complete(*words, cwd=project) == offered


def test_options_are_offered(project: Path) -> None:
    assert {"--project", "--stage", "--target", "--json"} <= set(complete("status", "--", cwd=project))


def test_a_broken_manifest_offers_nothing_and_fails_nobody(project: Path) -> None:
    (project / "mcp-tool.toml").write_bytes(b"\xff[[[")
    assert complete("status", "--stage", "", cwd=project) == ["default"]


def test_the_stages_are_those_of_the_named_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert complete("status", "--project", str(project), "--stage", "pro", cwd=elsewhere) == ["prod"]


@pytest.mark.parametrize(
    "shell", [pytest.param(name, marks=pytest.mark.real(name)) for name in ("bash", "zsh", "fish")]
)
def test_the_shell_reads_the_script(shell: str) -> None:
    found = real_parts.PARTS[shell]()
    script = run("completion", shell).stdout
    done = subprocess.run([found, "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
