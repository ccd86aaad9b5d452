"""Asking the client: in rounds from 2026-07-28 on, inline before, with a default where nobody can be asked."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from mcp_tool import (
    Accepted,
    Ask,
    Cancelled,
    Context,
    Declined,
    InputRequired,
    ListRoots,
    Outcome,
    Resolve,
    Root,
    RpcError,
    Sample,
    Sampled,
    prompt,
    tool,
)
from mcp_tool.app import App
from mcp_tool.errors import ContractProblem
from mcp_tool.wire import InProcess
from tests.runtime.conftest import MakeApp

Problems = Callable[[], tuple[ContractProblem, ...]]
ABLE: Mapping[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}


class Sure(BaseModel):
    yes: bool


class Name(BaseModel):
    name: str


class Legacy(InProcess):
    """A client of an older protocol version over a connection that stays open; answers by method."""

    def __init__(self, replies: Mapping[str, Any], **given: Any) -> None:
        super().__init__(protocol_version="2025-11-25", can_ask=True, **{"client_capabilities": ABLE, **given})
        self.replies = replies

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self.sent.append(("ask", {"method": method, **params}))
        return dict(self.replies[method])


def called(app: App, name: str, wire: InProcess, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(app.call_tool(name, arguments, wire))


def fresh(**given: Any) -> InProcess:
    return InProcess(**{"client_capabilities": ABLE, **given})


def again(wire: InProcess, asked: Mapping[str, Any], **responses: Any) -> InProcess:
    return dataclasses.replace(wire, input_responses=responses, request_state=asked.get("requestState"))


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


def text(answer: Mapping[str, Any]) -> str:
    return str(answer["content"][0]["text"])


def confirm(count: int) -> Ask[Sure] | Sure:
    return Ask(f"Delete {count}?", Sure) if count > 1 else Sure(yes=True)


def declare_delete() -> None:
    @tool
    def delete(count: int, sure: Annotated[Sure, Resolve(confirm)]) -> str:
        """Delete things."""
        return f"deleted {count}: {sure.yes}"

    @tool
    def careful(count: int, sure: Annotated[Outcome[Sure], Resolve(confirm)]) -> str:
        """Delete things, or not."""
        match sure:
            case Accepted(data=data):
                return f"accepted {data.yes}"
            case Declined():
                return "declined"
            case Cancelled():
                return "cancelled"


KEY = f"{__name__}:confirm"


class TestInRounds:
    def test_ask_and_go_on(self, make_app: MakeApp) -> None:
        declare_delete()
        app = make_app()
        assert [plan.asks for plan in app.plans.tools.values()] == [True, True]
        assert list(app.plans.tools["delete"].definition["inputSchema"]["properties"]) == ["count"]
        asked = called(app, "delete", fresh(), count=3)
        assert asked["resultType"] == "input_required"
        assert asked["inputRequests"] == {
            KEY: {
                "method": "elicitation/create",
                "params": {
                    "mode": "form",
                    "message": "Delete 3?",
                    "requestedSchema": {
                        "properties": {"yes": {"title": "Yes", "type": "boolean"}},
                        "required": ["yes"],
                        "title": "Sure",
                        "type": "object",
                    },
                },
            }
        }
        done = called(app, "delete", again(fresh(), asked, **{KEY: accept(yes=False)}), count=3)
        assert text(done) == "deleted 3: False"

    def test_nothing_is_asked_where_the_resolver_knows(self, make_app: MakeApp) -> None:
        declare_delete()
        assert text(called(make_app(), "delete", fresh(client_capabilities={}), count=1)) == "deleted 1: True"

    @pytest.mark.parametrize(("action", "outcome"), [("decline", "declined"), ("cancel", "cancelled")])
    def test_no(self, make_app: MakeApp, action: str, outcome: str) -> None:
        declare_delete()
        app = make_app()
        asked = called(app, "delete", fresh(), count=3)
        answered = again(fresh(), asked, **{KEY: {"action": action}})
        refused = called(app, "delete", answered, count=3)
        assert refused["isError"]
        assert "'sure'" in text(refused)
        assert text(called(app, "careful", answered, count=3)) == outcome

    def test_an_answer_counts_only_for_the_question_that_was_shown(self, make_app: MakeApp) -> None:
        declare_delete()
        app = make_app()
        asked = called(app, "delete", fresh(), count=3)
        other = called(app, "delete", again(fresh(), asked, **{KEY: accept(yes=True)}), count=4)
        assert other["inputRequests"][KEY]["params"]["message"] == "Delete 4?"

    def test_an_answer_without_a_question_does_not_count(self, make_app: MakeApp) -> None:
        declare_delete()
        wire = fresh(input_responses={KEY: accept(yes=True)})
        assert called(make_app(), "delete", wire, count=3)["resultType"] == "input_required"

    @pytest.mark.parametrize("state", ["", "no json", "[]", '{"v":99}', '{"v":1,"answers":3,"asked":null}'])
    def test_a_state_of_another_release_starts_over(self, make_app: MakeApp, state: str) -> None:
        declare_delete()
        wire = fresh(input_responses={KEY: accept(yes=True)}, request_state=state)
        assert called(make_app(), "delete", wire, count=3)["resultType"] == "input_required"

    @pytest.mark.parametrize("wrong", [3, {}, {"action": "maybe"}, {"action": "accept"}, accept(yes="perhaps")])
    def test_an_answer_that_is_none(self, make_app: MakeApp, wrong: Any) -> None:
        declare_delete()
        app = make_app()
        asked = called(app, "delete", fresh(), count=3)
        with pytest.raises(RpcError) as raised:
            called(app, "delete", again(fresh(), asked, **{KEY: wrong}), count=3)
        assert raised.value.code == -32602
        assert "perhaps" not in raised.value.message

    def test_independent_questions_go_out_together_and_dependent_ones_after(self, make_app: MakeApp) -> None:
        runs: list[str] = []

        def first() -> Ask[Name]:
            runs.append("first")
            return Ask("First?", Name)

        def second() -> Sample:
            return Sample("Say a word", 10)

        def third(
            one: Annotated[Name, Resolve(first, key="one")], two: Annotated[Sampled, Resolve(second)]
        ) -> Ask[Name]:
            return Ask(f"{one.name} and {two.text}?", Name)

        @tool
        def chain(
            last: Annotated[Name, Resolve(third, key="three")],
            one: Annotated[Name, Resolve(first, key="one")],
            roots: Annotated[tuple[Root, ...], Resolve(ListRoots)],
        ) -> str:
            """Ask thrice."""
            return f"{one.name} {last.name} {roots[0].uri}"

        app = make_app()
        round_one = called(app, "chain", fresh())
        keys = sorted(round_one["inputRequests"])
        assert runs == ["first"]
        methods = sorted(asked["method"] for asked in round_one["inputRequests"].values())
        assert methods == ["elicitation/create", "roots/list", "sampling/createMessage"]
        said = {"role": "assistant", "content": {"type": "text", "text": "word"}, "model": "m"}
        replies = {"elicitation/create": accept(name="Ann"), "roots/list": {"roots": [{"uri": "file:///a"}]}}
        given = {key: replies.get(round_one["inputRequests"][key]["method"], said) for key in keys}
        # Answered only in part: what is answered is kept, the rest is asked again.
        partly = called(app, "chain", again(fresh(), round_one, one=given["one"]))
        assert "one" not in partly["inputRequests"]
        rest = {key: given[key] for key in partly["inputRequests"]}
        round_two = called(app, "chain", again(fresh(), partly, **rest))
        assert list(round_two["inputRequests"]) == ["three"]
        assert round_two["inputRequests"]["three"]["params"]["message"] == "Ann and word?"
        done = called(app, "chain", again(fresh(), round_two, three=accept(name="Bob")))
        assert text(done) == "Ann Bob file:///a"

    def test_kept_answers_that_no_longer_fit_are_asked_again(self, make_app: MakeApp) -> None:
        declare_delete()
        app = make_app()
        asked = called(app, "delete", fresh(), count=3)
        state = json.loads(asked["requestState"])
        state["answers"] = {KEY: {"q": state["asked"][KEY], "result": {"action": "accept", "content": {"no": 1}}}}
        wire = fresh(request_state=json.dumps(state))
        assert called(app, "delete", wire, count=3)["resultType"] == "input_required"

    @pytest.mark.parametrize(
        ("question", "required"),
        [
            (Ask("?", Sure), {"elicitation": {"form": {}}}),
            (Sample("?", 1), {"sampling": {}}),
            (Sample("?", 1, options={"tools": []}), {"sampling": {"tools": {}}}),
            (ListRoots(), {"roots": {}}),
        ],
    )
    def test_a_client_that_cannot(self, make_app: MakeApp, question: Any, required: dict[str, Any]) -> None:
        def ask() -> Any:
            return question

        @tool
        def asks(answer: Annotated[Any, Resolve(ask)]) -> str:
            """Ask."""
            return ""

        declared: dict[str, Any] = {"elicitation": {"url": {}}} | (
            {"sampling": {}} if "tools" in required.get("sampling", {}) else {}
        )
        with pytest.raises(RpcError) as raised:
            called(make_app(), "asks", fresh(client_capabilities=declared))
        assert (raised.value.code, raised.value.data) == (-32021, {"requiredCapabilities": required})

    def test_a_default_where_the_client_cannot(self, make_app: MakeApp) -> None:
        def ask() -> Ask[Sure]:
            return Ask("?", Sure, default=Sure(yes=False))

        @tool
        def asks(answer: Annotated[Sure, Resolve(ask)]) -> str:
            """Ask."""
            return repr(answer)

        assert text(called(make_app(), "asks", fresh(client_capabilities={}))) == "Sure(yes=False)"


class TestBefore:
    def test_inline(self, make_app: MakeApp) -> None:
        declare_delete()
        app = make_app()
        wire = Legacy({"elicitation/create": accept(yes=True)})
        assert text(called(app, "delete", wire, count=3)) == "deleted 3: True"
        assert [entry["message"] for _, entry in wire.sent] == ["Delete 3?"]
        assert (
            text(called(app, "careful", Legacy({"elicitation/create": {"action": "decline"}}), count=3)) == "declined"
        )

    def test_a_wrong_answer(self, make_app: MakeApp) -> None:
        declare_delete()
        answer = called(make_app(), "delete", Legacy({"elicitation/create": accept(yes="what")}), count=3)
        assert answer["isError"]
        assert "does not fit" in text(answer)

    def test_nobody_there(self, make_app: MakeApp) -> None:
        def ask() -> Ask[Sure]:
            return Ask("?", Sure, default=Sure(yes=False))

        @tool
        def lenient(answer: Annotated[Sure, Resolve(ask)]) -> str:
            """Ask."""
            return repr(answer)

        declare_delete()
        app, wire = make_app(), fresh(protocol_version="2025-11-25")
        assert text(called(app, "lenient", wire)) == "Sure(yes=False)"
        refused = called(app, "delete", wire, count=3)
        assert refused["isError"]
        assert "has to ask" in text(refused)

    def test_questions_by_hand_are_put_inline(self, make_app: MakeApp) -> None:
        @tool
        async def by_hand(ctx: Context) -> str | InputRequired:
            """Ask twice."""
            if ctx.state is None:
                return InputRequired({"name": Ask("Who?", Name)}, state="one")
            if ctx.state == "one":
                name = ctx.answers["name"]["content"]["name"]
                return InputRequired({"roots": ListRoots()}, state=f"two {name}")
            await ctx.progress(1)
            return f"{ctx.state} {ctx.answers['roots']['roots']}"

        replies = {"elicitation/create": accept(name="Ann"), "roots/list": {"roots": []}}
        assert text(called(make_app(), "by_hand", Legacy(replies))) == "two Ann []"
        refused = called(make_app(), "by_hand", fresh(protocol_version="2025-11-25"))
        assert refused["isError"]


def test_questions_by_hand(make_app: MakeApp) -> None:
    @tool
    def by_hand(ctx: Context) -> str | InputRequired:
        """Ask."""
        if not ctx.answers:
            return InputRequired(
                {"name": Ask("Who?", Name), "raw": {"method": "roots/list", "params": {}}}, state="opaque"
            )
        return f"{ctx.state} {ctx.answers['name']['content']['name']}"

    @prompt
    def greeting(ctx: Context) -> str | InputRequired:
        """Greet."""
        return "hi " + ctx.answers["n"]["content"]["name"] if ctx.answers else InputRequired({"n": Ask("Who?", Name)})

    app = make_app()
    plan = app.plans.tools["by_hand"]
    assert plan.asks
    assert plan.definition["outputSchema"]["properties"] == {"result": {"title": "Result", "type": "string"}}
    asked = called(app, "by_hand", fresh())
    assert asked["requestState"] == "opaque"
    assert asked["inputRequests"]["raw"] == {"method": "roots/list", "params": {}}
    assert text(called(app, "by_hand", again(fresh(), asked, name=accept(name="Ann")))) == "opaque Ann"
    first = asyncio.run(app.get_prompt("greeting", {}, fresh()))
    assert list(first["inputRequests"]) == ["n"]
    assert "requestState" not in first
    second = asyncio.run(app.get_prompt("greeting", {}, again(fresh(), first, n=accept(name="Ann"))))
    assert second["messages"] == [{"role": "user", "content": {"type": "text", "text": "hi Ann"}}]
