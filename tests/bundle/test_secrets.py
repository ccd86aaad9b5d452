"""Secrets in the author's files are refused by name and by content, named with path and line, and never shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mcp_packager.bundle import author_files, scan_secrets
from mcp_packager.errors import Problem, WorldError
from mcp_packager.store import Store
from tests.lock.projects import Project

# Put together at run time, so that scanners of this repository find nothing.
AWS = "AKIA" + "QX7RJ5LBPT2MZK3W"
GITHUB = "ghp_" + "x7Kq2mZr9TbW4vNc6YpLd8Fj3Hs5GaUe1Qo0"
SLACK = "xoxb-" + "735190284617-735190284618-" + "k3JqZ8vXw2LmNpRt6YbHs4Gd"
PASSWORD = "pw-" + "Vk93mxQ27tLz"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7v3Q\n-----END RSA " + "PRIVATE KEY-----\n"


def _problems(project: Project, store: Store) -> Sequence[Problem]:
    manifest = project.manifest
    return scan_secrets(author_files(manifest), manifest.tool.allow, store=store)


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.production",
        "config/.env",
        "prod.env",
        "id_rsa",
        "keys/id_ed25519",
        "server.pem",
        "tls/server.key",
        "client.p12",
        "store.jks",
        ".netrc",
        ".pypirc",
        ".npmrc",
        ".aws/credentials",
        ".docker/config.json",
        ".kube/config",
        "kubeconfig",
        "prod.kubeconfig",
        "terraform.tfstate",
        "infra/terraform.tfstate.backup",
        "secrets.tfvars",
        "application_default_credentials.json",
        "service-account.json",
        ".ssh/config",
        ".dockercfg",
        ".git-credentials",
    ],
)
def test_a_file_that_is_a_secret_by_name_is_refused(project: Project, store: Store, path: str) -> None:
    project.write(path, "TOKEN=anything-at-all\n")
    problems = _problems(project, store)
    assert [problem.where.file for problem in problems] == [path]
    assert "anything-at-all" not in str(problems[0])
    assert "[[tool.allow]]" in problems[0].fix


@pytest.mark.parametrize(
    "path", [".env.example", "id_rsa.pub", "keyboard.py", "environment.py", "monkey.txt", "credentials.py"]
)
def test_a_harmless_name_is_fine(project: Project, store: Store, path: str) -> None:
    project.write(path, "NAME=\n")
    assert _problems(project, store) == ()


@pytest.mark.parametrize(
    ("path", "line", "value"),
    [
        ("settings.py", 'KEY = "{}"', AWS),
        ("settings.py", 'TOKEN = "{}"', GITHUB),
        ("settings.py", 'SLACK = "{}"', SLACK),
        ("settings.py", 'password = "{}"', PASSWORD),
        ("settings.yaml", "password: {}", PASSWORD),
        ("notes.txt", "psql postgres://admin:{}@db.example/x", PASSWORD),
        ("settings.py", 'KEY = "{}"  # pragma: allowlist secret', AWS),
    ],
)
def test_a_secret_inside_a_file_is_named_with_its_line_and_not_shown(
    project: Project, store: Store, path: str, line: str, value: str
) -> None:
    project.write(path, f"# one\n# two\n{line.format(value)}\n")
    problems = _problems(project, store)
    assert problems
    assert {(problem.where.file, problem.where.line) for problem in problems} == {(path, 3)}
    assert value not in "".join(str(problem) for problem in problems)


def test_a_private_key_is_found_in_text_in_binary_and_in_a_large_file(project: Project, store: Store) -> None:
    project.write("text.py", f'KEY = """\n{PRIVATE}"""\n')
    project.write("blob.bin", b"\0\1\2\n\n" + PRIVATE.encode())
    project.write("large.csv", b"a,b\n" * 400_000 + PRIVATE.encode())
    found = {problem.where.file: problem.where.line for problem in _problems(project, store)}
    assert found == {"blob.bin": 3, "large.csv": 400_001, "text.py": 2}


def test_ordinary_code_is_fine(project: Project, store: Store) -> None:
    project.write(
        "ordinary.py",
        "import os\n\npassword = os.environ['PASSWORD']\ntoken = get_token()\nURL = 'https://example.com/a?b=c'\n"
        "def login(password: str, api_key: str | None = None) -> None: ...\n",
    )
    assert _problems(project, store) == ()


def test_an_exception_of_the_manifest_lets_a_file_through(project: Project, store: Store) -> None:
    project.write("fixtures/server.pem", PRIVATE)
    project.write("other.pem", PRIVATE)
    project.depend([], '[[tool.allow]]\npath = "fixtures/*.pem"\nreason = "a certificate for the demonstration"')
    assert [problem.where.file for problem in _problems(project, store)] == ["other.pem"]


def test_an_answer_is_remembered_by_content_and_holds_no_value(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("settings.py", f'KEY = "{AWS}"\n')
    first = _problems(project, store)
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if AWS.encode() in path.read_bytes()]
    monkeypatch.setattr(
        "mcp_packager.bundle.secrets._scanned", lambda files: [pytest.fail(f"scanned {file} again") for file in files]
    )
    assert _problems(project, store) == first


def test_ignored_and_excluded_secrets_are_nobodys_business(project: Project, store: Store) -> None:
    project.write(".env", f"KEY={AWS}\n")
    project.depend([], 'exclude = [".env"]')
    assert _problems(project, store) == ()


def test_a_link_does_not_hide_what_it_leads_to(project: Project, store: Store) -> None:
    project.write("private/id_rsa", "x\n")
    (project.folder / "harmless.txt").symlink_to("private/id_rsa")
    project.depend([], 'exclude = ["private"]')
    assert [problem.where.file for problem in _problems(project, store)] == ["harmless.txt"]


def test_a_secret_outside_the_import_root_is_not_packed_and_not_refused(project: Project, store: Store) -> None:
    project.write("src/shouting/__init__.py", "")
    project.write(".env", f"KEY={AWS}\n")
    assert _problems(project, store) == ()
    assert [file.shown for file in author_files(project.manifest).files] == [str(Path("src/shouting/__init__.py"))]


def test_a_scanner_that_fails_is_told_without_what_it_read(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project.write("settings.py", "KEY = 'hunter2'\n")
    broken = tmp_path / "scanner.py"
    broken.write_text("import sys\nsys.exit(open(sys.stdin.read().split('\"')[1]).read())\n")
    monkeypatch.setattr("mcp_packager.bundle.scanner.__file__", str(broken))
    with pytest.raises(WorldError, match="looking for secrets ended with exit code 1") as failed:
        _problems(project, store)
    assert "hunter2" not in str(failed.value)
