"""Calling tools from an author's own tests: in the same process, through everything a client's call goes through.

    from mcp_tool.testing import call

    def test_counts_words() -> None:
        assert call(word_count, text="a b") == 2

`Tools` is for the rest: settings, fakes for provided values, answers to what a tool asks.

    tools = Tools(env={"API_KEY": "x"}, answers={confirm: Sure(yes=True)}, provide={Database: FakeDatabase()})
    assert tools.call(delete, count=3) == "gone"

Each call starts everything it needs and takes it down again; `with Tools(...) as tools:` does so once for the block.
"""

import asyncio
import base64
import dataclasses
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from mcp_tool import plans, registry
from mcp_tool.app import App
from mcp_tool.asking import Cancelled, Declined, Root, Sampled
from mcp_tool.errors import RpcError, ToolError
from mcp_tool.plans import Call, Plans
from mcp_tool.principal import Principal
from mcp_tool.registry import (
    Declaration,
    PromptDeclaration,
    ProviderDeclaration,
    ResourceDeclaration,
    ToolDeclaration,
)
from mcp_tool.settings import Values
from mcp_tool.wire import InProcess, Wire

T = TypeVar("T")
ToolLike: TypeAlias = str | Callable[..., Any]
_Ask: TypeAlias = Callable[[App, Wire], Awaitable[dict[str, Any]]]

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


@dataclass
class _Kept:
    """What a `with` block keeps: the app that was started, its event loop, and what crashed in the last call."""

    app: App | None = None
    runner: asyncio.Runner | None = None
    crashes: list[BaseException] = field(default_factory=list)


@dataclass(frozen=True)
class Tools:
    """How a test calls tools, reads resources and gets prompts.

    On its own, each call starts what it needs and nothing else. As a context manager (`with`, or `async with` for the
    methods with an `a` in front) it starts once, as a server does, everything that is declared, and keeps it.

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
    principal: Principal | None = None
    _kept: _Kept = field(default_factory=_Kept, init=False, repr=False, compare=False)

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            ContractError: What is wrong with anything declared.
            SettingsError, EntrypointError: See `App.start`.
        """
        runner = asyncio.Runner()
        try:
            runner.run(self.__aenter__())
        except BaseException:
            runner.close()
            raise
        self._kept.runner = runner
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take everything down, the last one first."""
        runner, self._kept.runner = self._kept.runner, None
        if runner is not None:
            with runner:
                runner.run(self.__aexit__(kind, error, trace))

    async def __aenter__(self) -> Self:
        """See `__enter__`."""
        recorded = registry.current()
        app = self._app(plans.build(recorded.declarations, recorded.problems))
        await app.start()
        self._kept.app = app
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `__exit__`."""
        app, self._kept.app = self._kept.app, None
        if app is not None:
            await app.stop()

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
        return self._wait(self.acall(tool, **arguments))

    async def acall(self, tool: ToolLike, /, **arguments: Any) -> Any:
        """Call a tool from an async test; see `call`."""
        chosen = _tools(tool)
        answer = await self.result(tool, **arguments)
        if answer["isError"]:
            text = "".join(block.get("text", "") for block in answer["content"])
            raise ToolError(text) from next(iter(self._kept.crashes), None)
        if "structuredContent" in answer:
            outputs = plans.build([*_providers(), *chosen]).tools[chosen[0].common.name].outputs
            structured = answer["structuredContent"]
            return structured["result"] if outputs is not None and outputs.wrapped else structured
        content: list[dict[str, Any]] = answer["content"]
        return content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content

    async def result(self, tool: ToolLike, /, **arguments: Any) -> dict[str, Any]:
        """The whole answer to `tools/call` in wire form, errors included."""
        chosen = _tools(tool)
        name = chosen[0].common.name
        return await self._answer(
            chosen, lambda offered: offered.tools[name].call, lambda app, wire: app.call_tool(name, arguments, wire)
        )

    def read(self, uri: str) -> Any:
        """Read a resource and wait.

        Returns:
            Its text or its bytes; the contents in wire form where there are several.

        Raises:
            RpcError: There is no such resource, or reading it failed; a crash is the `__cause__`.
        """
        return self._wait(self.aread(uri))

    async def aread(self, uri: str) -> Any:
        """Read a resource from an async test; see `read`."""
        declared = [found for found in registry.current().declarations if isinstance(found, ResourceDeclaration)]

        def found(offered: Plans) -> Call | None:
            known = offered.resource(uri)
            return None if known is None else known[0].call

        answer = await self._answer(declared, found, lambda app, wire: app.read_resource(uri, wire))
        match answer["contents"]:
            case [{"text": str(text)}]:
                return text
            case [{"blob": str(blob)}]:
                return base64.b64decode(blob)
            case contents:
                return contents

    def prompt(self, prompt: ToolLike, /, **arguments: str) -> Any:
        """Get a prompt, by function or by published name, and wait.

        Returns:
            Its text where it is one message of text, else the messages in wire form.

        Raises:
            RpcError: Its arguments do not fit, or rendering it failed; a crash is the `__cause__`.
        """
        return self._wait(self.aprompt(prompt, **arguments))

    async def aprompt(self, prompt: ToolLike, /, **arguments: str) -> Any:
        """Get a prompt from an async test; see `prompt`."""
        declared = [found for found in registry.current().declarations if isinstance(found, PromptDeclaration)]
        chosen = [found for found in declared if prompt in (found.common.name, found.common.function)]
        if not chosen:
            raise _unknown("prompt", prompt, [found.common.name for found in declared])
        name = chosen[0].common.name
        answer = await self._answer(
            chosen, lambda offered: offered.prompts[name].call, lambda app, wire: app.get_prompt(name, arguments, wire)
        )
        match answer["messages"]:
            case [{"content": {"type": "text", "text": str(text)}}]:
                return text
            case messages:
                return messages

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work) if self._kept.runner is None else self._kept.runner.run(work)

    def _app(self, offered: Plans) -> App:
        values = Values(os.environ if self.env is None else self.env, {})
        app = App({"name": "test"}, offered, values, crashed=self._kept.crashes.append)
        app.preset(_sources(offered, self.provide))
        return app

    async def _answer(
        self, chosen: Sequence[Declaration], find: Callable[[Plans], Call | None], ask: _Ask
    ) -> dict[str, Any]:
        """Ask the kept app, or one that is started for this alone with what the chosen declarations need.

        Args:
            chosen: What may be asked; what is wrong with anything else does not matter.
            find: The one that is asked.
            ask: One round.
        """
        self._kept.crashes.clear()
        if self._kept.app is not None:
            return await self._rounds(self._kept.app, find(self._kept.app.plans), ask)
        offered = plans.build([*_providers(), *chosen])
        call = find(offered)
        given = _sources(offered, self.provide)
        needed = offered.providers.below(() if call is None else call.sources, given)
        app = self._app(dataclasses.replace(offered, providers=needed))
        await app.start()
        try:
            return await self._rounds(app, call, ask)
        finally:
            await app.stop()

    async def _rounds(self, app: App, call: Call | None, ask: _Ask) -> dict[str, Any]:
        wire = InProcess(client_capabilities=self.capabilities, principal=self.principal)
        for _ in range(_ROUNDS):
            try:
                answer = await ask(app, wire)
            except RpcError as error:
                raise error from next(iter(self._kept.crashes), None)
            if answer.get("resultType") != "input_required":
                return answer
            given = {key: self._reply(key, asked, call) for key, asked in answer.get("inputRequests", {}).items()}
            state = answer.get("requestState")
            wire = dataclasses.replace(wire, input_responses=given, request_state=state)
        msg = f"it still asks after {_ROUNDS} rounds"
        raise UnansweredError(msg)

    def _reply(self, key: str, asked: Mapping[str, Any], call: Call | None) -> dict[str, Any]:
        names: list[Any] = [key]
        for resolver in () if call is None else call.resolvers.by_identity.values():
            if resolver.key == key:
                names += [resolver.function, getattr(resolver.function, "__name__", key)]
        for name in names:
            if name in self.answers:
                return _wire_answer(asked["method"], self.answers[name])
        message = asked.get("params", {}).get("message", asked["method"])
        msg = f"the tool asks {message!r}, and answers has nothing for {names[-1]!r}"
        raise UnansweredError(msg)


def _tools(tool: ToolLike) -> list[ToolDeclaration]:
    """The tool; more than one where several were given its name."""
    declared = [found for found in registry.current().declarations if isinstance(found, ToolDeclaration)]
    chosen = [found for found in declared if tool in (found.common.name, found.common.function)]
    if not chosen:
        raise _unknown("tool", tool, [found.common.name for found in declared])
    return chosen


def _unknown(kind: str, wanted: ToolLike, names: Sequence[str]) -> LookupError:
    known = ", ".join(sorted(names)) or f"none; import the {kind}'s module first"
    return LookupError(f"there is no {kind} {wanted!r}; known: {known}")


def _providers() -> list[Declaration]:
    return [found for found in registry.current().declarations if isinstance(found, ProviderDeclaration)]


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
