"""A tool runs on every supported Python, from a bundle made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.projects import CODE, MANIFEST, data, destroyed_afterwards, project

WHICH = CODE.replace(
    "return text.upper()", 'import sys\n    return f"{text} {sys.version_info[0]}.{sys.version_info[1]}"'
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "minor", [pytest.param(minor, marks=pytest.mark.real(f"python{minor}")) for minor in ("3.12", "3.13", "3.14")]
)
def test_on(minor: str, tmp_path: Path) -> None:
    manifest = MANIFEST.replace("HELLO", f"hello {minor}").replace("[[verify", f'python = "=={minor}.*"\n[[verify')
    folder = project(tmp_path / "shouter", code=WHICH, manifest=manifest)
    with destroyed_afterwards(folder):
        (deployed,) = data(folder, "deploy")["deployments"]
        assert "call shout answered as expected" in deployed["verified"]
