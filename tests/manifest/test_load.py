"""What a manifest becomes, and each way in which a key can be wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mcp_packager.manifest.secret import Secret
from mcp_packager.manifest.serve import JwtAuth

from .conftest import LocalOptions, Project
from .samples import EVERYTHING, SMALLEST


def test_three_lines_are_enough(project: Project) -> None:
    manifest = project.load(SMALLEST)
    assert manifest.project == project.folder
    assert manifest.path == project.folder / "mcp-tool.toml"
    assert (manifest.stage, manifest.stages) == ("default", ())
    assert (manifest.tool.name, manifest.tool.entrypoint, manifest.tool.version) == ("word-count", "server", "0.1.0")
    assert manifest.tool.project_id == "word-count"
    assert manifest.tool.python == ">=3.11"
    assert (manifest.serve.path, manifest.serve.timeout, manifest.serve.concurrency) == ("/mcp", 60.0, 100)
    assert manifest.serve.auth is None
    assert manifest.scale.min is None
    assert manifest.written == {"tool", "tool.name", "tool.entrypoint"}


def test_every_key(project: Project) -> None:
    manifest = project.load(EVERYTHING)
    tool = manifest.tool
    assert (tool.version, tool.project_id, tool.bytecode) == ("1.2.0", "finance", False)
    assert tool.dependencies == ("httpx>=0.28", "redis")
    assert tool.allow[0].reason == "A key made for the tests"
    assert manifest.env == {"LOG_LEVEL": "info", "RETRIES": "3", "RATIO": "0.5", "DEBUG": "false"}
    assert manifest.secrets["API_KEY"].source("API_KEY") == ("aws-sm", "prod/bank#key")
    assert (manifest.secrets["CLIENT_KEY"].as_, manifest.secrets["CLIENT_KEY"].required) == ("file", False)
    cache = manifest.services["cache"]
    assert (cache.ports, cache.resources.cpu, cache.resources.memory) == ((6379,), 0.25, 256 << 20)
    assert cache.volume is not None
    assert cache.volume.size == 2 << 30
    assert cache.health.command == ("redis-cli", "ping")
    assert manifest.permissions.aws[0].conditions["StringLike"] == {"aws:PrincipalTag/team": ("a", "b")}
    assert [rule.ports for rule in manifest.permissions.egress] == [(443, 8443), (5432,)]
    assert (manifest.serve.timeout, manifest.serve.drain) == (90.0, 10.0)
    assert isinstance(manifest.serve.auth, JwtAuth)
    assert (manifest.resources.cpu, manifest.resources.memory, manifest.resources.disk) == (0.5, 512 << 20, 1 << 30)
    assert (manifest.scale.min, manifest.scale.max, manifest.scale.cpu) == (2, 10, 60)
    assert manifest.verify[0].arguments == {"account": "test", "at": "2026-01-01"}
    assert manifest.verify[0].expect.structured == {"total": 0.0}
    assert manifest.verify[1].expect.error
    assert manifest.pin.aws_account == "123456789012"
    assert manifest.targets == {"local": LocalOptions(port=8123)}
    assert manifest.env_names == ("DEBUG", "LOG_LEVEL", "RATIO", "REDIS_URL", "RETRIES", "SEARCH_HOST")


def test_what_the_contract_is_extracted_with(project: Project) -> None:
    manifest = project.load(EVERYTHING, "prod")
    assert manifest.base_env["LOG_LEVEL"] == "info"
    assert manifest.contract_env["REDIS_URL"] == "redis://cache:6379/0"
    assert manifest.contract_env["SEARCH_HOST"] == "search.internal.example.com"
    assert manifest.contract_env["LOG_LEVEL"] == "info"


def test_the_tool_document_is_the_same_for_every_stage(project: Project) -> None:
    documents = [project.load(EVERYTHING, stage).tool_document() for stage in ("default", "prod", "dev")]
    assert documents[0] == documents[1] == documents[2]
    assert documents[0] == {
        "schema": 1,
        "name": "ledger",
        "version": "1.2.0",
        "title": "Ledger",
        "description": "Books and balances",
        "instructions": "Ask for a balance before you book.",
        "entrypoint": "ledger.server:app",
        "env": ["DEBUG", "LOG_LEVEL", "RATIO", "REDIS_URL", "RETRIES", "SEARCH_HOST"],
        "secrets": {
            "API_KEY": {"as": "env", "required": True, "description": "Key of the bank"},
            "CLIENT_KEY": {"as": "file", "required": False, "description": ""},
        },
    }


def test_a_secret_comes_from_the_variable_of_its_name(project: Project) -> None:
    manifest = project.load(SMALLEST + "[secrets.TOKEN]\n")
    assert manifest.secrets == {"TOKEN": Secret()}
    assert manifest.secrets["TOKEN"].source("TOKEN") == ("env", "TOKEN")


def test_a_version_is_normalised(project: Project) -> None:
    assert project.load(SMALLEST + 'version = "1.0.0-rc.1"\n').tool.version == "1.0.0rc1"


def test_pyproject_gives_what_is_left_out(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "3.1"\ndescription = "From there"\nrequires-python = ">=3.12"\n'
    )
    tool = project.load(SMALLEST).tool
    assert (tool.version, tool.description, tool.python) == ("3.1", "From there", ">=3.12")
    tool = project.load(SMALLEST + 'version = "4.0"\n').tool
    assert (tool.version, tool.description) == ("4.0", "From there")


def test_a_wrong_value_in_pyproject_is_placed_there(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "newest"\n')
    (problem,) = project.problems(SMALLEST)
    assert problem.where.file == str(project.folder / "pyproject.toml")
    assert (problem.where.line, problem.where.column, problem.where.key) == (3, 11, "project.version")


def test_a_broken_pyproject_is_one_of_the_problems(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text("[project\n")
    (problem,) = project.problems(SMALLEST)
    assert problem.where.file == str(project.folder / "pyproject.toml")
    assert problem.where.line == 1


def test_a_dynamic_version_is_left_alone(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text('[project]\nname = "x"\ndynamic = ["version"]\n')
    assert project.load(SMALLEST).tool.version == "0.1.0"


def test_all_problems_at_once_in_the_order_of_the_file(project: Project) -> None:
    problems = project.problems(
        """\
[tool]
name = "Word Count"
entrypont = "server"
version = 1
[serve]
timeout = "soon"
[secrets.KEY]
form = "env:X"
[[verify.call]]
tool = "a"
[[verify.call]]
arguments = { when = 2026-01-01 }
[stage.prod]
serve.concurrency = 0
"""
    )
    assert [(problem.where.line, problem.where.column, problem.where.key) for problem in problems] == [
        (1, 2, "tool.entrypoint"),
        (2, 8, "tool.name"),
        (3, 1, "tool.entrypont"),
        (4, 11, "tool.version"),
        (6, 11, "serve.timeout"),
        (8, 1, "secrets.KEY.form"),
        (11, 3, "verify.call[1].tool"),
        (12, 22, "verify.call[1].arguments.when"),
        (14, 21, "stage.prod.serve.concurrency"),
    ]
    by_key = {problem.where.key: problem for problem in problems}
    assert by_key["tool.entrypont"].fix == "Did you mean entrypoint?"
    assert by_key["tool.version"].expected == "a string"
    assert by_key["tool.version"].found == "1"
    assert by_key["serve.timeout"].found == '"soon"'
    assert "30s" in str(by_key["serve.timeout"].expected)
    assert all(problem.where.file == str(project.folder / "mcp-tool.toml") for problem in problems)


CASES = [
    ('[tool]\nname = "x"', "tool.entrypoint", None, "Add entrypoint"),
    ('tool = "x"', "tool", "a table", None),
    ("[tools]\n", "tools", None, "Did you mean tool?"),
    ("version = '1.0+local'", "tool.version", "PEP 440", None),
    ("version = ''", "tool.version", "not empty", None),
    ("python = '3.11'", "tool.python", ">=3.11", None),
    ("requires = '>=99'", "tool.requires", "mcp-pack >=99", "uv tool install"),
    ("project = 'A'", "tool.project", "lower-case", None),
    ("description = 'a\\u0007'", None, None, None),
    ('description = "a\\u0007"', "tool.description", "without control characters", None),
    ('title = "a\\nb"', "tool.title", "one line", None),
    ("include = ['../secret']", "tool.include[0]", "inside the project", "without '..'"),
    ("include = ['/etc/passwd']", "tool.include[0]", "relative", None),
    ("include = 'data'", "tool.include", "an array", None),
    ("bytecode = 'yes'", "tool.bytecode", "true or false", None),
    ("dependencies = ['no version at all!']", "tool.dependencies[0]", "PEP 508", None),
    ("[[tool.allow]]\npath = 'a'", "tool.allow[0].reason", None, "Add reason"),
    ("[env]\nPORT = 1", "env.PORT", "a name of your own", "Rename"),
    ("[env]\nPYTHONPATH = 'x'", "env.PYTHONPATH", "a name of your own", "Rename"),
    ("[env]\n'a-b' = 'x'", "env.a-b", "letters, digits and underscores", None),
    ("[env]\nA = ['x']", "env.A", "a string", None),
    ('[env]\nA = "\\u0000"', "env.A", "control", None),
    ("[env]\nA = 'x'\n[secrets.A]", "secrets.A", "one origin", "[env]"),
    ("[secrets.A]\nfrom = 'vault:x'", "secrets.A.from", "env:NAME", None),
    ("[secrets.A]\nas = 'string'", "secrets.A.as", '"env" or "file"', None),
    ("[secrets]\nA = 'x'", "secrets.A", "a table", None),
    ("[secrets.A]\nfrom_ = 'env:B'", "secrets.A.from_", "from", "Did you mean from?"),
    ("[services.db]\ncommand = ['x']", "services.db", "image, external", None),
    ("[services.db]\nimage = 'redis:7'", "services.db", "ports", None),
    ("[services.db]\nimage = 'Redis 7'\nports = [1]", "services.db.image", "redis:7", None),
    ("[services.db]\nimage = 'redis:7'\nports = [0]", "services.db.ports[0]", "at least 1", None),
    ("[services.db]\nexternal = 'db'", "services.db.external", "host:port", None),
    ("[services.db]\nexternal = 'db:99999'", "services.db.external", "65535", None),
    (
        "[services.db]\nexternal = 'db:1'\nsecrets = { A = 'TOKEN' }",
        "services.db.secrets.A",
        "declared",
        "[secrets.TOKEN]",
    ),
    ("[services.db]\nexternal = 'db:1'\nprovides = { A = '{ip}' }", "services.db.provides.A", "{host}", None),
    ("[services.Db]\nexternal = 'db:1'", "services.Db", "lower-case", None),
    ("[services.db]\nexternal = 'd:1'\nvolume = { path = 'data' }", "services.db.volume.path", "absolute", None),
    ("[[permissions.aws]]\nactions = ['s3']\nresources = ['*']", "permissions.aws[0].actions[0]", "s3:GetObject", None),
    ("[[permissions.aws]]\nactions = []\nresources = ['*']", "permissions.aws[0].actions", "at least 1", None),
    ("[[permissions.egress]]\nports = [1]", "permissions.egress[0]", "either host or cidr", None),
    ("[[permissions.egress]]\ncidr = '10.0.0.1/8'", "permissions.egress[0].cidr", "host bits", None),
    (
        "[[permissions.kubernetes]]\nresources = ['pods']\nverbs = ['see']",
        "permissions.kubernetes[0].verbs[0]",
        "get",
        None,
    ),
    ("[serve]\npath = 'mcp'", "serve.path", "/mcp", None),
    ("[serve]\npath = '/metrics'", "serve.path", "/healthz", "Use /mcp"),
    ("[serve]\npath = '/a/../b'", "serve.path", "plain path", None),
    ("[serve]\npublic_url = 'http://example.com'", "serve.public_url", "https://", "Use https"),
    ("[serve]\npublic_url = 'https://u:p@example.com'", "serve.public_url", "https://", "Remove user"),
    ("[serve]\npublic_url = 'https://[x'", "serve.public_url", "https://", None),
    ("[serve]\ntimeout = '60 s'", "serve.timeout", '"30s"', None),
    ("[serve]\ntimeout = 0", "serve.timeout", "between", None),
    ("[serve]\ntimeout = true", "serve.timeout", '"30s"', None),
    ("[serve]\nconcurrency = 1.5", "serve.concurrency", "an integer", None),
    ("[serve]\nauth = {}", "serve.auth", "mode", "Set mode"),
    ("[serve]\nauth = { mode = 'basic' }", "serve.auth", "mode", "Set mode"),
    ("[serve]\nauth = { mode = 'bearer', keys = ['K'] }", "serve.auth.keys[0]", "declared", "[secrets.K]"),
    ("[serve]\nauth = { mode = 'bearer' }", "serve.auth.keys", None, "Add keys"),
    ("[serve]\nauth = { mode = 'none', insecure = true }", "serve.auth.insecure", "insecure_public", "insecure_public"),
    ("[serve]\nauth = { mode = 'jwt', issuer = 'https://i.example.com' }", "serve.auth", "jwks_url", "Add jwks_url"),
    ("[resources]\nmemory = '512'", "resources.memory", "512Mi", None),
    ("[resources]\nmemory = 512", "resources.memory", "between 1Mi", None),
    ("[resources]\ncpu = '1 core'", "resources.cpu", "250m", None),
    ("[resources]\ncpu = inf", "resources.cpu", "250m", None),
    ("[scale]\nmin = 3\nmax = 2", "scale", "max of at least min", None),
    ("[scale]\nmin = -1", "scale.min", "at least 0", None),
    ("[[verify.call]]\ntool = 't'\narguments = { x = nan }", "verify.call[0].arguments.x", "JSON", None),
    ("[verify]\ncall = {}", "verify.call", "an array", None),
    ("[pin]\naws_account = 123456789012", "pin.aws_account", "a string", None),
    ("[pin]\naws_account = '1234'", "pin.aws_account", "twelve digits", None),
    ("[pin]\naws_region = 'Frankfurt'", "pin.aws_region", "eu-central-1", None),
    ("[target.locla]\nport = 1", "target.locla", "local", "Did you mean local?"),
    ("[target.local]\nprot = 1", "target.local.prot", "port", "Did you mean port?"),
    ("[target.local]\nport = 70000", "target.local.port", "at most 65535", None),
    ("[target]\nlocal = 1", "target.local", "a table", None),
]


@pytest.mark.parametrize(("text", "key", "expected", "fix"), CASES)
def test_each_problem_names_key_expectation_and_fix(
    project: Project, text: str, key: str | None, expected: str | None, fix: str | None
) -> None:
    whole = text if text.startswith(("[tool]", "tool =")) else SMALLEST + text + "\n"
    if key is None:
        project.load(whole)
        return
    problems = project.problems(whole)
    assert [each.where.key for each in problems].count(key) == 1, [str(each) for each in problems]
    problem = next(each for each in problems if each.where.key == key)
    assert problem.where.line is not None or key == "tool"
    assert problem.fix
    if expected is not None:
        assert expected in str(problem.expected)
    if fix is not None:
        assert fix in problem.fix


def test_a_file_for_a_newer_packer_says_so_beside_the_keys_that_are_unknown_here(project: Project) -> None:
    problems = project.problems(SMALLEST + "requires = '>=99'\nhologram = true\n")
    assert [problem.where.key for problem in problems] == ["tool.requires", "tool.hologram"]


def test_values_of_the_environment_are_not_repeated(project: Project) -> None:
    (problem,) = project.problems(SMALLEST + '[env]\nA = "\\u0001hunter2"\n')
    assert "hunter2" not in str(problem)


def test_dependencies_stand_in_one_place(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    (problem,) = project.problems(SMALLEST + "dependencies = []\n")
    assert problem.where.key == "tool.dependencies"
    assert "pyproject.toml" in problem.fix


def test_targets_stay_data_where_nobody_says_what_they_are(project: Project) -> None:
    manifest = project.load(SMALLEST + "[target.moon]\ncrater = 1\n", options={})
    assert manifest.targets == {"moon": {"crater": 1}}
    manifest = project.load(SMALLEST + "[target.moon]\ncrater = 1\n", check_targets=False)
    assert manifest.targets == {"moon": {"crater": 1}}


def test_written_keys_are_portable_names(project: Project) -> None:
    written = project.load(EVERYTHING).written
    assert {
        "services.image",
        "secrets.from",
        "permissions.egress.host",
        "verify.call.tool",
        "serve.auth.mode",
    } <= written
    assert "scale.min" in project.load(EVERYTHING, "dev").written
    assert "serve.hosts" not in project.load(SMALLEST).written


def test_a_good_file_needs_no_position_scan_and_nothing_heavy() -> None:
    code = (
        "import sys, pathlib\n"
        "from mcp_packager.manifest import load\n"
        "load(pathlib.Path(sys.argv[1]))\n"
        "heavy = {'difflib', 'boto3', 'kubernetes', 'docker', 'mcp', 'mcp_tool', 'jinja2', 'rich', 'packaging'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    folder = __file__.rsplit("/", 1)[0] + "/smallest"
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
