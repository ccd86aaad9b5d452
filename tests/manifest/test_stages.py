"""Stages: what is laid over what, what a stage may not hold, and where its problems stand."""

from __future__ import annotations

import pytest

from mcp_packager.manifest.serve import BearerAuth

from .conftest import LocalOptions, Project
from .samples import EVERYTHING, SMALLEST


def test_tables_merge_and_everything_else_is_replaced(project: Project) -> None:
    text = (
        SMALLEST
        + """
[env]
A = "1"
B = "1"
[serve]
hosts = ["a"]
timeout = 10
[[verify.call]]
tool = "one"
[stage.prod]
env.B = "2"
env.C = "2"
serve.hosts = ["b", "c"]
[[stage.prod.verify.call]]
tool = "two"
"""
    )
    base, prod = project.load(text), project.load(text, "prod")
    assert base.env == {"A": "1", "B": "1"}
    assert prod.env == {"A": "1", "B": "2", "C": "2"}
    assert prod.base_env == base.env
    assert prod.env_names == base.env_names == ("A", "B", "C")
    assert (prod.serve.hosts, prod.serve.timeout) == (("b", "c"), 10.0)
    assert [call.tool for call in prod.verify] == ["two"]
    assert (prod.stage, prod.stages) == ("prod", ("prod",))


def test_a_stage_overlays_every_kind_of_section(project: Project) -> None:
    prod, dev = project.load(EVERYTHING, "prod"), project.load(EVERYTHING, "dev")
    assert prod.env["LOG_LEVEL"] == "warning"
    assert prod.targets == {"local": LocalOptions(port=8124)}
    assert dev.secrets["API_KEY"].source("API_KEY") == ("env", "BANK_KEY")
    assert dev.secrets["API_KEY"].description == "Key of the bank"
    assert (dev.scale.min, dev.scale.max) == (1, 10)


def test_another_way_to_authenticate_replaces_the_first(project: Project) -> None:
    assert project.load(EVERYTHING, "prod").serve.auth == BearerAuth(mode="bearer", keys=("CALLER_KEY",))


def test_the_same_way_to_authenticate_is_merged(project: Project) -> None:
    text = EVERYTHING + '[stage.qa.serve.auth]\naudience = "qa"\n'
    auth = project.load(text, "qa").serve.auth
    assert auth is not None
    assert auth.model_dump()["audience"] == "qa"
    assert auth.model_dump()["issuer"] == "https://login.example.com"


def test_an_issuer_keeps_its_name(project: Project) -> None:
    named = "https://tenant.example.com/"
    text = EVERYTHING + f'[stage.qa.serve.auth]\nissuer = "{named}"\n'
    auth = project.load(text, "qa").serve.auth
    assert auth is not None
    assert auth.model_dump()["issuer"] == named


def test_an_unknown_stage(project: Project) -> None:
    (problem,) = project.problems(SMALLEST + "[stage.prod]\n", "prdo")
    assert "prdo" in problem.what
    assert problem.fix == "Did you mean prod?"


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ("[stage.prod.tool]\nname = 'y'", "stage.prod.tool.name", "cannot differ"),
        ("[stage.prod]\ntool.entrypoint = 'y'", "stage.prod.tool.entrypoint", "cannot differ"),
        ("[stage.prod]\ntool.python = '>=3.12'", "stage.prod.tool.python", "cannot differ"),
        ("[stage.prod]\ntool.dependencies = []", "stage.prod.tool.dependencies", "cannot differ"),
        ("[stage.prod]\ntool.version = '2'", "stage.prod.tool.version", "cannot differ"),
        ("[stage.prod]\ntool.exclude = ['a']", "stage.prod.tool.exclude", "cannot differ"),
        ("[stage.prod]\ntool.bytecode = false", "stage.prod.tool.bytecode", "cannot differ"),
        ("[secrets.A]\n[stage.prod]\nsecrets.A.as = 'file'", "stage.prod.secrets.A.as", "cannot differ"),
        ("[stage.prod.secrets.B]\nfrom = 'env:X'", "stage.prod.secrets.B", "only in a stage"),
        ("[stage.prod.target.local]\nbase = 'alpine'", "stage.prod.target.local.base", "cannot differ"),
        ("[stage.prod.stage.inner]\nenv.A = 'x'", "stage.prod.stage", "unknown key"),
        ("[stage.prod]\nserv.timeout = 1", "stage.prod.serv", "unknown key"),
        ("[stage.prod]\nserve.timeout = 'x'", "stage.prod.serve.timeout", "duration"),
        ("[stage.prod]\nscale.max = 1\n[scale]\nmin = 2", "stage.prod.scale", "max below min"),
        ("[stage.prod.services.db]\ncommand = ['x']", "stage.prod.services.db", "neither image nor external"),
        ("[stage.prod.serve]\nauth = { mode = 'bearer' }", "stage.prod.serve.auth.keys", "missing"),
        ("[stage.default]\nenv.A = 'x'", "stage.default", "without an overlay"),
        ("[stage.Prod]\nenv.A = 'x'", "stage.Prod", "cannot be a name"),
        ("[stage]\nprod = 1", "stage.prod", "wrong value"),
        ("stage = 1", "tool.stage", "unknown key"),
        ("[stage.prod]\nserve = 1", "stage.prod.serve", "wrong value"),
        ("[stage.prod]\ntarget.moon = {}", "stage.prod.target.moon", "no target"),
    ],
)
def test_what_a_stage_may_not_hold(project: Project, text: str, key: str, what: str) -> None:
    (problem,) = project.problems(SMALLEST + text + "\n")
    assert (problem.where.key, what in problem.what) == (key, True), str(problem)
    assert problem.where.line is not None


def test_every_stage_is_judged_whichever_is_asked_for(project: Project) -> None:
    text = SMALLEST + "[stage.a]\nserve.timeout = 'x'\n[stage.b]\nserve.path = 'x'\n"
    for stage in ("default", "a", "b"):
        assert [problem.where.key for problem in project.problems(text, stage)] == [
            "stage.a.serve.timeout",
            "stage.b.serve.path",
        ]


def test_a_problem_of_the_base_is_told_once(project: Project) -> None:
    text = SMALLEST + "[serve]\ntimeout = 'x'\n[stage.a]\nenv.A = '1'\n[stage.b]\nenv.A = '2'\n"
    assert [problem.where.key for problem in project.problems(text)] == ["serve.timeout"]


def test_a_stage_may_mend_nothing_of_the_base(project: Project) -> None:
    text = SMALLEST + "[serve]\ntimeout = 'x'\n[stage.a]\nserve.timeout = 5\n"
    assert [problem.where.key for problem in project.problems(text, "a")] == ["serve.timeout"]


def test_pins_differ_by_stage(project: Project) -> None:
    text = SMALLEST + "[stage.prod.pin]\naws_account = '123456789012'\n[stage.dev]\n"
    assert project.load(text, "prod").pin.aws_account == "123456789012"
    assert project.load(text, "dev").pin.aws_account is None
