"""What is made once per process: settings from the environment and secrets, and `@provide` functions."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, SecretStr, ValidationError, field_validator

from mcp_tool import Provided, Settings, ToolError, plans, provide, tool
from mcp_tool.app import App
from mcp_tool.config import Config
from mcp_tool.errors import ContractProblem, EntrypointError, SettingsError
from mcp_tool.registry import Registry
from mcp_tool.serve import environment
from mcp_tool.settings import Values, build
from mcp_tool.wire import InProcess
from tests.runtime.conftest import MakeApp

Problems = Callable[[], tuple[ContractProblem, ...]]


class Limits(Settings):
    api_key: SecretStr
    page_size: int = 20
    mode: Literal["fast", "slow"] = "fast"
    hosts: tuple[str, ...] = ()
    region: str = Field("eu", validation_alias="AWS_REGION")


class Files(Settings):
    token: str
    key_file: Path


def filled(env: Mapping[str, str], secrets: Mapping[str, Mapping[str, str]] | None = None) -> Values:
    return Values(env, secrets or {}, frozenset({"API_KEY", "TOKEN"}))


class TestSettings:
    def test_from_the_environment(self) -> None:
        env = {"API_KEY": "k", "PAGE_SIZE": "5", "HOSTS": '["a", "b"]', "AWS_REGION": "us", "MODE": "slow"}
        made = build(Limits, filled(env))
        assert made.api_key.get_secret_value() == "k"
        assert (made.page_size, made.hosts, made.region, made.mode) == (5, ("a", "b"), "us", "slow")
        with pytest.raises(ValidationError):
            made.page_size = 3  # type: ignore[misc]  # frozen, which is the point

    def test_secrets_under_other_names_and_from_files(self, tmp_path: Path) -> None:
        secret = tmp_path / "token"
        secret.write_text("t0ken\n", encoding="utf-8")
        references = {"API_KEY": {"env": "OTHER"}, "TOKEN": {"file": str(secret)}, "KEY_FILE": {"file": str(secret)}}
        values = filled({"OTHER": "k", "TOKEN": "not this"}, references)
        assert build(Limits, values).api_key.get_secret_value() == "k"
        made = build(Files, values)
        assert (made.token, made.key_file) == ("t0ken", secret)
        assert build(Limits, filled({"API_KEY_FILE": str(secret)})).api_key.get_secret_value() == "t0ken"
        assert set(values.secret_texts()) == {"k", "t0ken"}

    def test_a_secret_handed_over_as_a_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The author's variable holds the file's path; settings hold what they ask for."""
        monkeypatch.setenv("TOKEN", "t0ken")
        monkeypatch.setenv("KEY_FILE", "k3y")
        declared = {name: {"as": "file"} for name in ("TOKEN", "KEY_FILE")}
        references = environment.enter(Config.model_validate({"schema": 1}), {"secrets": declared})
        made = build(Files, Values(os.environ, references))
        assert made.token == Path(os.environ["TOKEN"]).read_text(encoding="utf-8") == "t0ken"
        assert made.key_file == Path(os.environ["KEY_FILE"])

    def test_what_is_missing_is_named_all_at_once(self) -> None:
        class Two(Settings):
            api_key: str
            database: str

        with pytest.raises(SettingsError) as raised:
            build(Two, filled({}))
        assert str(raised.value) == (
            "the settings are not complete\n"
            "  API_KEY: missing; set the environment variable API_KEY, "
            "or name another source in [secrets.API_KEY] of mcp-tool.toml\n"
            "  DATABASE: missing; set DATABASE in [env] of mcp-tool.toml, or declare [secrets.DATABASE]"
        )

    def test_a_file_that_is_not_there_is_a_missing_value(self) -> None:
        with pytest.raises(SettingsError, match="API_KEY: missing"):
            build(Limits, filled({}, {"API_KEY": {"file": "/nowhere/at/all"}}))

    def test_no_content_is_shown(self) -> None:
        class Picky(Settings):
            api_key: str
            count: int
            mode: Literal["a"]

            @field_validator("api_key")
            @classmethod
            def refuse(cls, value: str) -> str:
                msg = f"what is {value}?"
                raise ValueError(msg)

        with pytest.raises(SettingsError) as raised:
            build(Picky, filled({"API_KEY": "s3cret", "COUNT": "s3cret", "MODE": "s3cret"}))
        assert set(raised.value.missing) == {"API_KEY", "COUNT", "MODE"}
        assert "s3cret" not in str(raised.value)
        assert raised.value.__cause__ is None


class Client:
    def __init__(self, name: str) -> None:
        self.name = name


class Pool:
    def __init__(self, client: Client) -> None:
        self.client = client


@pytest.fixture
def life() -> list[str]:
    return []


def declare(life: list[str]) -> None:
    @provide
    async def pool(client: Client, limits: Limits) -> AsyncIterator[Pool]:
        life.append("pool up")
        yield Pool(client)
        life.append("pool down")

    @provide
    def client(limits: Limits) -> Iterator[Client]:
        life.append("client up")
        yield Client(limits.api_key.get_secret_value())
        life.append("client down")

    @provide
    def number() -> int:
        life.append("number")
        return 7

    def extra() -> str:
        return "extra"

    @tool
    async def use(text: str, pool: Pool, limits: Limits, more: Annotated[str, Provided(extra)]) -> str:
        """Use it."""
        return f"{text} {pool.client.name} {limits.page_size} {more}"


def test_made_once_in_order_and_taken_down_in_reverse(make_app: MakeApp, life: list[str]) -> None:
    declare(life)
    app = make_app({"API_KEY": "k3y-k3y"})
    assert list(app.plans.tools["use"].definition["inputSchema"]["properties"]) == ["text"]
    assert life == []

    async def run() -> list[Any]:
        await app.start()
        answers = [await app.call_tool("use", {"text": text}, InProcess()) for text in ("a", "b")]
        await app.stop()
        return answers

    answers = asyncio.run(run())
    assert [answer["structuredContent"]["result"] for answer in answers] == ["a k3y-k3y 20 extra", "b k3y-k3y 20 extra"]
    assert life == ["client up", "pool up", "number", "pool down", "client down"]


def test_the_contract_makes_nothing(make_app: MakeApp, life: list[str]) -> None:
    declare(life)
    assert len(make_app().contract()["tools"]) == 1
    assert life == []


def test_a_missing_setting_stops_the_start(make_app: MakeApp, life: list[str]) -> None:
    declare(life)
    with pytest.raises(SettingsError, match="API_KEY"):
        asyncio.run(make_app({}).start())
    assert life == []


def test_a_provider_that_fails(make_app: MakeApp, recorded: Registry, life: list[str]) -> None:
    @provide
    def first() -> Iterator[Client]:
        life.append("up")
        yield Client("")
        life.append("down")

    @provide
    async def second(client: Client) -> Pool:
        msg = "cannot reach k3y-k3y"
        raise ConnectionError(msg)

    offered = plans.build(recorded.declarations)
    app = App({"name": "x"}, offered, Values({"API_KEY": "k3y-k3y"}, {}, frozenset({"API_KEY"})))
    with pytest.raises(EntrypointError) as raised:
        asyncio.run(app.start())
    assert raised.value.what == "starting failed: ConnectionError: cannot reach ***"
    assert "in second" in raised.value.trace
    assert "mcp_tool" not in raised.value.trace
    assert "k3y-k3y" not in raised.value.trace
    assert life == ["up", "down"]


def test_secrets_do_not_leave_in_errors(recorded: Registry, caplog: pytest.LogCaptureFixture) -> None:
    @tool
    def leak(crash: bool) -> str:
        """Leak."""
        msg = "the key is k3y-k3y"
        raise ValueError(msg) if crash else ToolError(msg)

    app = App(
        {"name": "x"},
        plans.build(recorded.declarations),
        Values({"API_KEY": "k3y-k3y"}, {}, frozenset({"API_KEY"})),
    )

    async def run() -> list[Any]:
        await app.start()
        return [await app.call_tool("leak", {"crash": crash}, InProcess()) for crash in (True, False)]

    crashed, announced = asyncio.run(run())
    assert crashed["content"][0]["text"] == "Error executing tool leak"
    assert announced["content"][0]["text"] == "Error executing tool leak: the key is ***"
    assert "the key is ***" in vars(caplog.records[0])["fields"]["traceback"]
    assert all("k3y-k3y" not in str(vars(record)) for record in caplog.records)


def test_everything_wrong_with_providers(problems: Problems) -> None:
    @provide
    def unsaid():  # type: ignore[no-untyped-def]  # the point
        return 1

    @provide
    def one() -> Client:
        return Client("")

    @provide
    def two() -> Client:
        return Client("")

    @provide
    def needs(text: str, fine: int = 3) -> Pool:
        return Pool(Client(text))

    @provide
    def circle(a: Annotated[int, Provided(lambda: 1)], b: "Annotated[float, Provided(circle_of_two)]") -> float:
        return b

    whats = [problem.what for problem in problems()]
    assert whats[0] == "nothing says what unsaid() provides"
    assert whats[1].startswith("two() provides <class 'tests.runtime.test_providing.Client'>, and so does ") or (
        "two() provides" in whats[1]
    )
    assert whats[2] == "nothing fills parameter 'text' of needs(), which runs before any call"
    assert whats[3] == "circle_of_two() needs itself, in a circle"
    assert len(whats) == 4


def circle_of_two(b: "Annotated[float, Provided(circle_of_two)]") -> float:
    return b


def test_secrets_that_the_manifest_does_not_declare(recorded: Registry) -> None:
    @tool(secrets=["API_KEY", "OTHER"])
    def needs() -> str:
        """Need."""
        return ""

    with pytest.raises(Exception, match=r"needs the secret OTHER, which mcp-tool\.toml does not declare") as raised:
        plans.build(recorded.declarations, (), frozenset({"API_KEY"}))
    assert "API_KEY" not in str(raised.value)


def test_a_tool_whose_secrets_are_not_set(recorded: Registry) -> None:
    @tool(secrets=["API_KEY"])
    def needs() -> str:
        """Need."""
        return "done"

    offered = plans.build(recorded.declarations)

    async def text(env: Mapping[str, str]) -> str:
        app = App({"name": "x"}, offered, Values(env, {}, frozenset({"API_KEY"})))
        await app.start()
        return str((await app.call_tool("needs", {}, InProcess()))["content"][0]["text"])

    assert asyncio.run(text({"API_KEY": "k"})) == "done"
    assert asyncio.run(text({})) == (
        "Error executing tool needs: it needs secrets that are not set on this server: API_KEY"
    )
