"""Calling tools from an author's own tests: in the same process, through everything a client's call goes through.

    from mcp_tool.testing import call

    def test_counts_words() -> None:
        assert call(word_count, text="a b") == 2

`Tools` is for the rest: settings, fakes for provided values, answers to what a tool asks.

    tools = Tools(env={"API_KEY": "x"}, answers={confirm: Sure(yes=True)}, provide={Database: FakeDatabase()})
    assert tools.call(delete, count=3) == "gone"
"""

import asyncio
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mcp_tool import plans, registry
from mcp_tool.app import App
from mcp_tool.asking import Cancelled, Declined, Root, Sampled
from mcp_tool.errors import ToolError
from mcp_tool.plans import Plans, ToolPlan
from mcp_tool.registry import ProviderDeclaration, ToolDeclaration
from mcp_tool.settings import Values
from mcp_tool.wire import InProcess

ToolLike: TypeAlias = str | Callable[..., Any]

_ROUNDS = 20
_CAPABILITIES: Mapping[str, Any] = {"elicitation": {"form": {}}, "sampling": {"tools": {}}, "roots": {}}


class UnansweredError(AssertionError):
    """A tool asked something that the test has no answer for."""


def call(tool: ToolLike, /, **arguments: Any) -> Any:
    """Call a tool, by function or by published name. See `Tools.call`."""
    return Tools().call(tool, **arguments)


async def acall(tool: ToolLike, /, **arguments: Any) -> Any:
    """Call a tool from an async test. See `Tools.acall`."""
    return await Tools().acall(tool, **arguments)


@dataclass(frozen=True)
class Tools:
    """How a test calls tools.

    Attributes:
        env: Where settings come from; the process's environment where None.
        answers: To what tools ask, by resolver function, its name, or its key: a model or its fields for a form,
            `Declined()`, `Cancelled()`, `Sampled` or text for a model's answer, a list of URIs for roots.
        provide: Values in place of what `@provide` functions make and of settings, by function or by type.
        capabilities: What the client declares; everything by default.
        principal: Who calls.
    """

    env: Mapping[str, str] | None = None
    answers: Mapping[Any, Any] = field(default_factory=dict)
    provide: Mapping[Any, Any] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=lambda: _CAPABILITIES)
    principal: Any = None

    def call(self, tool: ToolLike, /, **arguments: Any) -> Any:
        """Call a tool and wait.

        Returns:
            The structured result as JSON values, without the wrapping of plain values; where the tool promises no
            structure, its text, or the content blocks in wire form where there is more than one text.

        Raises:
            ToolError: The tool failed; the message is what a client reads, and a crash is the `__cause__`.
            RpcError: The call is answered with a JSON-RPC error.
            UnansweredError: The tool asked something without an answer here.
        """
        return asyncio.run(self.acall(tool, **arguments))

    async def acall(self, tool: ToolLike, /, **arguments: Any) -> Any:
        """Call a tool from an async test; see `call`."""
        offered, plan = self._find(tool)
        crashes: list[BaseException] = []
        answer = await self._answer(offered, plan, arguments, crashes)
        if answer["isError"]:
            text = "".join(block.get("text", "") for block in answer["content"])
            raise ToolError(text) from next(iter(crashes), None)
        if "structuredContent" in answer:
            structured = answer["structuredContent"]
            return structured["result"] if plan.outputs is not None and plan.outputs.wrapped else structured
        content: list[dict[str, Any]] = answer["content"]
        return content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content

    async def result(self, tool: ToolLike, /, **arguments: Any) -> dict[str, Any]:
        """The whole answer to `tools/call` in wire form, errors included."""
        offered, plan = self._find(tool)
        return await self._answer(offered, plan, arguments, [])

    def _find(self, tool: ToolLike) -> tuple[Plans, ToolPlan]:
        """The one tool, made ready; what is wrong with others does not matter here."""
        recorded = registry.current()
        declared = [found for found in recorded.declarations if isinstance(found, ToolDeclaration)]
        chosen = [found for found in declared if tool in (found.common.name, found.common.function)]
        if not chosen:
            known = ", ".join(sorted(found.common.name for found in declared)) or "none; import the tool's module first"
            msg = f"there is no tool {tool!r}; known: {known}"
            raise LookupError(msg)
        providers = [found for found in recorded.declarations if isinstance(found, ProviderDeclaration)]
        offered = plans.build([*providers, *chosen])
        plan = offered.tools[chosen[0].common.name]
        needed = offered.providers.below(plan.call.sources, _sources(offered, self.provide))
        return dataclasses.replace(offered, providers=needed), plan

    async def _answer(
        self, offered: Plans, plan: ToolPlan, arguments: Mapping[str, Any], crashes: list[BaseException]
    ) -> dict[str, Any]:
        values = Values(os.environ if self.env is None else self.env, {})
        app = App({"name": "test"}, offered, values, crashed=crashes.append)
        app.preset(_sources(offered, self.provide))
        await app.start()
        try:
            return await self._rounds(app, plan, arguments)
        finally:
            await app.stop()

    async def _rounds(self, app: App, plan: ToolPlan, arguments: Mapping[str, Any]) -> dict[str, Any]:
        wire = InProcess(client_capabilities=self.capabilities, principal=self.principal)
        for _ in range(_ROUNDS):
            answer = await app.call_tool(plan.declaration.common.name, arguments, wire)
            if answer.get("resultType") != "input_required":
                return answer
            given = {key: self._reply(key, asked, plan) for key, asked in answer.get("inputRequests", {}).items()}
            state = answer.get("requestState")
            wire = dataclasses.replace(wire, input_responses=given, request_state=state)
        msg = f"{plan.declaration.common.name} still asks after {_ROUNDS} rounds"
        raise UnansweredError(msg)

    def _reply(self, key: str, asked: Mapping[str, Any], plan: ToolPlan) -> dict[str, Any]:
        names: list[Any] = [key]
        for resolver in plan.call.resolvers.by_identity.values():
            if resolver.key == key:
                names += [resolver.function, getattr(resolver.function, "__name__", key)]
        for name in names:
            if name in self.answers:
                return _wire_answer(asked["method"], self.answers[name])
        message = asked.get("params", {}).get("message", asked["method"])
        msg = f"the tool asks {message!r}, and answers has nothing for {names[-1]!r}"
        raise UnansweredError(msg)


def _wire_answer(method: str, given: Any) -> dict[str, Any]:
    match given:
        case Declined():
            return {"action": "decline"}
        case Cancelled():
            return {"action": "cancel"}
        case _ if method == "elicitation/create":
            content = dict(given) if isinstance(given, Mapping) else given.model_dump(mode="json", by_alias=True)
            return {"action": "accept", "content": content}
        case _ if method == "roots/list":
            return {"roots": _roots(given)}
        case Sampled(role=role, content=content, model=model):
            return {"role": role, "content": [dict(block) for block in content], "model": model}
        case _:
            return {"role": "assistant", "content": {"type": "text", "text": str(given)}, "model": "fake"}


def _roots(given: Sequence[str | Root]) -> list[dict[str, Any]]:
    roots = [Root(root) if isinstance(root, str) else root for root in given]
    return [{"uri": root.uri} | ({} if root.name is None else {"name": root.name}) for root in roots]


def _sources(offered: Plans, given: Mapping[Any, Any]) -> dict[Any, Any]:
    """What a test provides, by source: a type stands for the function that makes it."""
    return {offered.sources.by_type.get(key, key): value for key, value in given.items()}
