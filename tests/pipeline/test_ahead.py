"""What is done of a bundle while the contract is read: remembered where it went well, told where bundles are made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mcp_packager.errors import UserError
from mcp_packager.pipeline.prepare import Prepared, bundles, prepare
from mcp_packager.pipeline.project import Project, open_project
from mcp_packager.pipeline.requests import Request
from mcp_packager.progress import Silent
from tests.pipeline.projects import CODE, project


def _prepared(folder: Path) -> tuple[Project, Prepared]:
    opened = open_project(Request(folder))
    return opened, prepare(opened.manifest, opened.aims, locked=False, progress=Silent())


def test_the_scan_is_remembered_before_a_bundle_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, prepared = _prepared(project(tmp_path / "tool", code=f"{CODE}# {tmp_path}\n"))

    def again(files: Sequence[Path]) -> list[list[tuple[int, str]]]:
        assert not files, "it was scanned a second time"
        return []

    monkeypatch.setattr("mcp_packager.bundle.secrets._scanned", again)
    assert bundles(prepared, opened.aims[0], progress=Silent())


def test_a_secret_is_told_when_the_bundle_is_made(tmp_path: Path) -> None:
    key = "AKIA" + "Q3EGRHJ5KTB7XZPL"
    opened, prepared = _prepared(project(tmp_path / "tool", code=f'{CODE}KEY = "{key}"\n'))
    with pytest.raises(UserError, match="looks like a secret") as refused:
        bundles(prepared, opened.aims[0], progress=Silent())
    assert key not in str(refused.value)
