"""A head start's answer counts for the very extraction that is asked for in the end, and for no other."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mcp_packager.contract import ExtractRequest, extract
from mcp_packager.contract.headstart import RECORDS, Source, Subject, begun, remember
from mcp_packager.store import Store

CODE = '''
from mcp_tool import tool

@tool
def f() -> int:
    """Give one."""
    return 1
'''


@dataclass(frozen=True)
class Asked:
    """A project that was asked for its contract once."""

    folder: Path
    store: Store
    subject: Subject
    request: ExtractRequest


@pytest.fixture
def asked(tmp_path: Path, library: Path, project: Callable[..., ExtractRequest]) -> Asked:
    """With a library folder of its own."""
    own = tmp_path / "lib"
    shutil.copytree(library, own, symlinks=True)
    request = replace(project(CODE), lib=own)
    file = request.app / "server.py"
    app = [("app/server.py", hashlib.sha256(file.read_bytes()).hexdigest())]
    subject = Subject("library", app, request.tool, request.env, request.secrets, "cpython")
    store = Store(tmp_path / "store")
    remember(tmp_path, subject, request, [Source("app/server.py", file, 0o644)], [], store)
    return Asked(tmp_path, store, subject, request)


def test_it_is_what_would_have_been_answered(asked: Asked) -> None:
    with begun(asked.folder, asked.store) as head:
        found = head.contract(asked.subject.key, asked.request)
    assert found == extract(asked.request)


def test_another_subject_is_not_answered(asked: Asked) -> None:
    other = replace(asked.subject, library="another")
    with begun(asked.folder, asked.store) as head:
        assert head.contract(other.key, asked.request) is None


def test_another_request_is_not_answered(asked: Asked) -> None:
    with begun(asked.folder, asked.store) as head:
        assert head.contract(asked.subject.key, replace(asked.request, lib=asked.folder / "elsewhere")) is None


def test_a_library_that_was_made_anew_is_asked_again(asked: Asked) -> None:
    with begun(asked.folder, asked.store) as head:
        asked.request.lib.rename(asked.folder / "old")
        shutil.copytree(asked.folder / "old", asked.request.lib, symlinks=True)
        assert head.contract(asked.subject.key, asked.request) is None


def test_nothing_is_begun_of_a_record_in_another_form(asked: Asked) -> None:
    (record,) = (asked.store.root / "records" / "head-starts").glob("*/*.json")
    for text in ("{}", "[]", "nonsense", '{"text": "{}"}', '{"text": "[]"}', '{"text": "{\\"form\\": 1}"}'):
        record.write_text(text)
        with begun(asked.folder, asked.store) as head:
            assert head.key is None


def test_nothing_is_asked_of_what_is_known(asked: Asked) -> None:
    asked.store.remember(RECORDS, asked.subject.key, {"text": "{}"})
    with begun(asked.folder, asked.store) as head:
        assert head.key == asked.subject.key
        assert head.contract(asked.subject.key, asked.request) is None
