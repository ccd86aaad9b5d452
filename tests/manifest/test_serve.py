"""``[serve]`` beyond its first keys: what a server refuses, counts and tells of itself, and where its secrets go."""

from __future__ import annotations

import pytest

from .conftest import Project
from .samples import EVERYTHING, SMALLEST

CASES = [
    ("[serve]\nmax_body = '4 MiB'", "serve.max_body", "4MiB", None),
    ("[serve]\nmax_body = '2Gi'", "serve.max_body", "between 1Ki and 1Gi", None),
    ("[serve]\nmax_body = 4.5", "serve.max_body", "4MiB", None),
    ("[serve]\ntrusted_proxies = '10.0.0.0/8'", "serve.trusted_proxies", "an array", None),
    ("[serve]\ntrusted_proxies = ['10.0.0.1']", "serve.trusted_proxies[0]", "10.0.0.0/8", None),
    ("[serve]\ntrusted_proxies = ['10.0.0.1/8']", "serve.trusted_proxies[0]", "host bits", "10.0.0.0/8"),
    ("[serve]\ntrusted_proxies = ['::/0']", "serve.trusted_proxies[0]", "your own proxies", "/32"),
    ("[serve]\nevents = 'kafka://x'", "serve.events", "redis://", None),
    ("[serve]\nevents = 'redis://'", "serve.events", "redis://", None),
    ("[serve]\nevents = 'redis:///0'", "serve.events", "redis://host", None),
    ("[serve]\nevents = 'redis://h:99999'", "serve.events", "redis://host", None),
    ("[serve]\nevents = 'redis://u:pw@h'", "serve.events", "without a password", "into a secret"),
    ("[serve]\nevents = 'redis://h/0?x=1'", "serve.events", "redis://host", "Remove query"),
    ("[serve]\nevents = 'env:REDIS_URL'", "serve.events", "env:NAME", "declare [secrets.REDIS_URL]"),
    ("[serve]\nevents = 'env:REDIS_ULR'\n[env]\nREDIS_URL = 'redis://h'", "serve.events", None, "env:REDIS_URL"),
    (
        "[secrets.K]\n[serve]\nevents = 'env:K'\nauth = { mode = 'bearer', keys = ['K'] }",
        "serve.events",
        "holds redis://",
        "another secret",
    ),
    ("[serve]\nrate = 60", "serve.rate", "a table", None),
    ("[serve]\nrate = {}", "serve.rate.calls", "one caller may make", "Add calls"),
    ("[serve]\nrate = { calls = 0 }", "serve.rate.calls", "at least 1", None),
    ("[serve]\nrate = { calls = 1, per = 'hour' }", "serve.rate.per", '"30s"', None),
    ("[serve]\nrate = { calls = 1, burst = 0 }", "serve.rate.burst", "at least 1", None),
    ("[serve]\nrate = { calls = 1, shared = 1 }", "serve.rate.shared", "true or false", None),
    ("[serve]\nrate = { calls = 1, shared = true }", "serve.rate.shared", "serve.events", "Add events"),
    ("[serve.metrics]\nport = 0", "serve.metrics.port", "at least 1", None),
    ("[serve.metrics]\nprot = 1", "serve.metrics.prot", "port", "Did you mean port?"),
    ("[serve.telemetry]", "serve.telemetry.otlp", "collector", "Add otlp"),
    ("[serve.telemetry]\notlp = 'collector:4318'", "serve.telemetry.otlp", None, None),
    ("[serve.telemetry]\notlp = 'http://u:p@c:4318'", "serve.telemetry.otlp", "without user", "Remove user"),
    ("[serve.telemetry]\notlp = 'http://c'\nsample = 1.5", "serve.telemetry.sample", "at most 1", None),
    ("[serve.audit]\nto = 'disk'", "serve.audit.to", '"stderr"', None),
    ("[serve.audit]\nto = 'otlp'", "serve.audit.to", "serve.telemetry", 'to = "stderr"'),
    ("[verify]\nvia = 'vpn'", "verify.via", '"cluster"', None),
]


@pytest.mark.parametrize(("text", "key", "expected", "fix"), CASES)
def test_each_problem_names_key_expectation_and_fix(
    project: Project, text: str, key: str, expected: str | None, fix: str | None
) -> None:
    (problem,) = [each for each in project.problems(f"{SMALLEST}{text}\n") if each.where.key == key]
    assert problem.where.line is not None
    assert expected is None or expected in str(problem.expected)
    assert problem.fix
    assert fix is None or fix in problem.fix


def test_keys_of_the_server_are_not_the_codes_in_any_stage(project: Project) -> None:
    for stage in ("default", "prod", "dev"):
        manifest = project.load(EVERYTHING, stage)
        assert manifest.server_secrets == {"CALLER_KEY"}
        assert sorted(manifest.code_secrets) == ["API_KEY", "CLIENT_KEY"]
        assert "CALLER_KEY" in manifest.secrets


def test_every_stage_has_the_extras_that_any_stage_needs(project: Project) -> None:
    assert project.load(SMALLEST).extras == ("fast",)
    text = SMALLEST + "[stage.a.serve]\nevents = 'redis://h'\n[stage.b.serve.telemetry]\notlp = 'http://c'\n"
    for stage in ("default", "a", "b"):
        assert project.load(text, stage).extras == ("fast", "otel", "redis")


def test_what_the_server_tells_of_itself(project: Project) -> None:
    serve = project.load(EVERYTHING).serve
    assert (serve.max_body, serve.events, serve.trusted_proxies) == (
        1 << 20,
        "env:REDIS_URL",
        ("10.0.0.0/8", "fd00::/8"),
    )
    assert serve.rate is not None
    assert (serve.rate.calls, serve.rate.per, serve.rate.burst, serve.rate.shared) == (60, 60.0, 20, True)
    assert serve.metrics is not None
    assert serve.telemetry is not None
    assert (serve.metrics.port, serve.telemetry.sample) == (9465, 0.5)
    empty = project.load(
        SMALLEST + "[serve]\nmetrics = {}\naudit = {}\ntelemetry = { otlp = 'http://c', sample = 1 }\n"
    ).serve
    assert empty.metrics is not None
    assert empty.audit is not None
    assert (empty.metrics.port, empty.audit.to) == (9464, "stderr")


@pytest.mark.parametrize(
    "what",
    [
        "[env]\nREDIS = 'redis://h'",
        "[secrets.REDIS]",
        "[services.s]\nexternal = 'h:1'\nprovides = { REDIS = 'redis://{host}:{port}' }",
    ],
)
def test_events_are_in_a_variable_that_something_sets(project: Project, what: str) -> None:
    assert project.load(SMALLEST + f"{what}\n[serve]\nevents = 'env:REDIS'\n").serve.events == "env:REDIS"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1Ki", 1024),
        ("8KiB", 8192),
        ("8k", 8000),
        ("8kB", 8000),
        ("4M", 4_000_000),
        ("1.5MiB", 1572864),
        ("1GiB", 1 << 30),
    ],
)
def test_sizes_of_a_message(project: Project, text: str, size: int) -> None:
    assert project.load(SMALLEST + f"[serve]\nmax_body = '{text}'\n").serve.max_body == size


def test_a_password_in_an_address_is_not_repeated(project: Project) -> None:
    (problem,) = project.problems(SMALLEST + "[serve]\nevents = 'redis://me:hunter2@h'\n")
    assert "hunter2" not in str(problem)
    assert "h" in str(problem.found)
