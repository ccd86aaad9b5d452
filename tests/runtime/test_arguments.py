"""Arguments as clients send them: taken, converted, or refused without repeating them."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field

from mcp_tool import Context, tool
from mcp_tool.app import App
from mcp_tool.calling import Scrub
from mcp_tool.schema import inputs, signature
from mcp_tool.wire import InProcess
from tests.runtime.conftest import MakeApp


class Point(BaseModel):
    x: int
    y: int = 0


def _strict(a: int, b: list[str], c: Point, d: dict[str, int] | None) -> None: ...


def _inputs() -> inputs.Inputs:
    found = inputs.build("strict", signature.read(_strict)[0].parameters, {})
    assert isinstance(found, inputs.Inputs)
    return found


STRICT = _inputs()


def called(app: App, name: str, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(app.call_tool(name, arguments, InProcess()))


def text(answer: Mapping[str, Any]) -> str:
    (block,) = answer["content"]
    return str(block["text"])


def value(answer: Mapping[str, Any]) -> Any:
    assert not answer["isError"], answer
    return answer["structuredContent"]


class TestArguments:
    def test_bad_ones_are_named_and_never_repeated(self, make_app: MakeApp) -> None:
        @tool
        def strict(number: int, point: Point, choice: Annotated[str, Field(pattern="^a")], rest: list[int]) -> str:
            """Be strict."""
            return ""

        answer = called(make_app(), "strict", number="s3cret", point={"x": "s3cret"}, choice="s3cret", rest="s3cret")
        assert answer["isError"]
        assert text(answer) == (
            "Error executing tool strict: 4 arguments do not fit\n"
            "- number: Input should be a valid integer, unable to parse string as an integer\n"
            "- point.x: Input should be a valid integer, unable to parse string as an integer\n"
            "- choice: String should match pattern '^a'\n"
            "- rest: Input should be a valid list"
        )
        assert text(called(make_app(), "strict")).count("Field required") == 4

    def test_a_validator_that_quotes_a_secret_is_blotted_out(self, make_app: MakeApp) -> None:
        def refuse(given: str) -> str:
            msg = f"not {given}"
            raise ValueError(msg)

        @tool
        def picky(a: Annotated[str, AfterValidator(refuse)]) -> str:
            """Refuse."""
            return a

        app = make_app()
        app._scrub = Scrub(("s3cret",))
        assert text(called(app, "picky", a="s3cret")).endswith("- a: Value error, not ***")

    def test_json_in_strings(self, make_app: MakeApp) -> None:
        @tool
        def loose(numbers: list[int], point: Point | None, note: str, either: str | list[int], flag: bool) -> str:
            """Take what clients send."""
            return repr((numbers, point, note, either, flag))

        answer = called(
            make_app(), "loose", numbers="[1, 2]", point='{"x": 3}', note='{"x": 3}', either="[1]", flag="true"
        )
        assert value(answer)["result"] == repr(([1, 2], Point(x=3), '{"x": 3}', "[1]", True))

    def test_names_that_pydantic_keeps_for_itself(self, make_app: MakeApp) -> None:
        @tool
        def odd(json: str, model_dump: int, model_config: str, copy: int = 4, größe: int = 1) -> str:  # noqa: PLC2401 - names beyond ASCII are the point
            """Use every name."""
            return f"{json} {model_dump} {model_config} {copy} {größe}"

        app = make_app()
        assert value(called(app, "odd", json="a", model_dump=2, model_config="c", größe=3)) == {"result": "a 2 c 4 3"}
        assert list(app.plans.tools["odd"].definition["inputSchema"]["properties"])[2] == "model_config"

    def test_what_is_not_a_parameter_is_ignored(self, make_app: MakeApp) -> None:
        @tool
        def simple(ctx: Context, a: int = 1) -> str:
            """Take one."""
            return f"{a} {type(ctx).__name__}"

        assert value(called(make_app(), "simple", b=3, ctx="x")) == {"result": "1 Context"}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        )
    )
    def test_anything_is_taken_or_refused(self, given_: Any) -> None:
        sent = {"a": given_, "b": given_, "c": given_, "d": given_}
        with contextlib.suppress(inputs.ArgumentsError):
            assert set(STRICT.values(sent)) == set(sent)

    @given(st.text(alphabet="0123456789abcdef", min_size=12).map("secret-{}".format))
    def test_no_text_that_was_sent_comes_back(self, secret: str) -> None:
        with pytest.raises(inputs.ArgumentsError) as raised:
            STRICT.values({"a": secret, "b": secret, "c": {"x": secret}, "d": {secret[:0] or "k": secret}})
        assert secret not in str(raised.value)
