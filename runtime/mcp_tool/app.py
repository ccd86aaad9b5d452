"""An author's tools, resources and prompts, ready to be called. Knows nothing of transports."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mcp_tool import completing, loading, plans, registry, results
from mcp_tool.asking import InputRequired
from mcp_tool.calling import Caller, Scrub, crash, logger
from mcp_tool.errors import EntrypointError, ResourceNotFoundError, RpcError, SettingsError, ToolError
from mcp_tool.plans import Plans, ResourcePlan
from mcp_tool.providers import Lifespan
from mcp_tool.running import THREADS, Runner, TimeLimitError
from mcp_tool.schema.inputs import ArgumentsError
from mcp_tool.settings import Values
from mcp_tool.wire import MODERN, Wire

INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class App:
    """What an entrypoint holds. Load it, read its `contract`, `start` it, call it, `stop` it."""

    def __init__(
        self,
        document: Mapping[str, Any],
        offered: Plans,
        values: Values,
        *,
        crashed: Callable[[BaseException], object] = lambda _: None,
        timeout: float = math.inf,
        threads: int = THREADS,
    ) -> None:
        self._document = document
        self._plans = offered
        self._scrub = Scrub()
        self._unset: Mapping[str, Sequence[str]] = {}
        self._values = values
        self._crashed = crashed
        self._run = Runner(threads, timeout)
        self._starting = Runner(threads=1)  # without a limit: what loads a model may take its time
        self._lifespan = Lifespan(offered.providers, values, self._starting)
        self._call = Caller(self._run, self._lifespan.made)

    @classmethod
    def load(
        cls,
        document: Mapping[str, Any],
        *,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = math.inf,
        threads: int = THREADS,
    ) -> "App":
        """Import the entrypoint of a `tool.json` document and check everything it declares.

        Args:
            document: `tool.json`, schema 1.
            secrets: By name: `{"env": NAME}` or `{"file": path}`, as in `config.json`; default the environment.
            env: Default the process's environment.
            timeout: Seconds that any of the author's functions may take at most where it is deployed, those that run at
                the start apart; a tool's own `timeout` may say less.
            threads: Plain functions that run at the same time.

        Raises:
            EntrypointError: The module cannot be imported or declares nothing.
            ContractError: Everything wrong with what it declares, at once.
        """
        loading.import_module(document["entrypoint"])
        recorded = registry.current()
        if not recorded.declarations and not recorded.problems:
            what = f"{document['entrypoint']!r} declares no tool, resource or prompt"
            raise EntrypointError(what, "decorate a function with @tool, or name module:object for an MCP server")
        declared = frozenset(document.get("secrets", {}))
        offered = plans.build(recorded.declarations, recorded.problems, declared)
        values = Values(os.environ if env is None else env, secrets or {}, declared)
        return cls(document, offered, values, timeout=timeout, threads=threads)

    @property
    def plans(self) -> Plans:
        """Everything the app offers."""
        return self._plans

    @property
    def runner(self) -> Runner:
        """Where its functions run; it knows which threads are lost."""
        return self._run

    def contract(self) -> dict[str, Any]:
        """The contract document, schema 1."""
        from mcp_tool import contract

        return contract.document(self._document, self._plans)

    def scopes(self, tool: str) -> Sequence[str]:
        """The OAuth scopes a tool asks of its caller; none for an unknown tool."""
        plan = self._plans.tools.get(tool)
        return () if plan is None else plan.declaration.scopes

    def preset(self, made: Mapping[Any, Any]) -> None:
        """Use these values instead of making them, by source: a `@provide` function or a settings model."""
        self._lifespan.made.update(made)

    async def start(self) -> None:
        """Build settings and provided values.

        Raises:
            SettingsError: Settings are missing, by name.
            EntrypointError: A `@provide` function failed.
        """
        self._scrub = Scrub(self._values.secret_texts())
        self._unset = {name: self._values.missing(plan.declaration.secrets) for name, plan in self._plans.tools.items()}
        try:
            await self._lifespan.start()
        except (SettingsError, EntrypointError):
            raise
        except Exception as error:  # noqa: BLE001 - the author's code may raise anything
            what = self._scrub(f"starting failed: {type(error).__name__}: {error}")
            fix = "mend the @provide function that the traceback names, or what it needs"
            raise EntrypointError(what, fix, self._scrub(loading.trimmed(error))) from None
        finally:
            self._starting.close()

    async def stop(self) -> None:
        """Take provided values down, the last one first."""
        await self._lifespan.stop()
        self._run.close()

    async def call_tool(self, name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        """Answer `tools/call`.

        Raises:
            RpcError: The call is answered with a JSON-RPC error.
        """
        plan = self._plans.tools.get(name)
        if plan is None:
            return _noted(wire, "unknown_tool", results.error(f"Unknown tool: {name}"))
        failed = f"Error executing tool {name}"
        unset = self._unset.get(name)
        if unset:
            text = f"{failed}: it needs secrets that are not set on this server: {', '.join(unset)}"
            return _noted(wire, "secrets", results.error(text))
        try:
            returned = await self._call(plan.call, arguments, wire, plan.declaration.timeout or math.inf)
            if isinstance(returned, InputRequired):
                return results.input_required(returned)
            return results.tool_result(returned, plan.outputs)
        except RpcError:
            raise
        except (ToolError, ArgumentsError) as error:
            logger.info("tool %r failed: %s", name, self._scrub(repr(str(error))))
            return _noted(wire, _kind(error), results.error(self._scrub(f"{failed}: {error}")))
        except Exception as error:  # noqa: BLE001 - a crash of the author's code is an answer too
            self._crash(f"tool {name!r}", error)
            return _noted(wire, "crash", results.error(failed))

    async def read_resource(self, uri: str, wire: Wire) -> dict[str, Any]:
        """Answer `resources/read`.

        Raises:
            RpcError: There is no such resource (-32602), or reading it failed (-32603).
        """
        plan, values = self._find(uri)
        try:
            returned = await self._call(plan.call, values, wire)
            if isinstance(returned, InputRequired):
                return results.input_required(returned)
            answer = results.resource_result(returned, uri, plan.mime_type, plan.declaration.common.meta)
        except RpcError:
            raise
        except (ResourceNotFoundError, ArgumentsError) as error:
            text = self._scrub(str(error)) if isinstance(error, ResourceNotFoundError) and str(error) else ""
            raise RpcError(INVALID_PARAMS, text or f"Unknown resource: {uri}", {"uri": uri}) from None
        except ToolError as error:
            raise RpcError(INTERNAL_ERROR, self._scrub(str(error)), {"uri": uri}) from None
        except Exception as error:  # noqa: BLE001 - a crash of the author's code is an answer too
            self._crash(f"resource {uri!r}", error)
            raise RpcError(INTERNAL_ERROR, f"Error reading resource {uri}", {"uri": uri}) from None
        return {**answer, "ttlMs": 0, "cacheScope": "private"} if wire.protocol_version >= MODERN else answer

    async def get_prompt(self, name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        """Answer `prompts/get`.

        Raises:
            RpcError: There is no such prompt or its arguments do not fit (-32602), or rendering it failed (-32603).
        """
        plan = self._plans.prompts.get(name)
        if plan is None:
            raise RpcError(INVALID_PARAMS, f"Unknown prompt: {name}")
        try:
            returned = await self._call(plan.call, arguments, wire)
            if isinstance(returned, InputRequired):
                return results.input_required(returned)
            return results.prompt_result(returned, plan.declaration.common.description)
        except RpcError:
            raise
        except ArgumentsError as error:
            raise RpcError(INVALID_PARAMS, self._scrub(f"Error rendering prompt {name}: {error}")) from None
        except ToolError as error:
            raise RpcError(INTERNAL_ERROR, self._scrub(str(error))) from None
        except Exception as error:  # noqa: BLE001 - a crash of the author's code is an answer too
            self._crash(f"prompt {name!r}", error)
            raise RpcError(INTERNAL_ERROR, f"Error rendering prompt {name}") from None

    async def complete(
        self, ref: Mapping[str, Any], argument: Mapping[str, Any], context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer `completion/complete`; what nobody completes has no suggestions.

        Raises:
            RpcError: There is no such prompt or template (-32602), or completing failed (-32603).
        """
        source = completing.source(self._plans, ref, argument)
        name = argument.get("name", "")
        try:
            return await completing.suggest(source, argument, context or {}, self._run)
        except RpcError:
            raise
        except ToolError as error:
            raise RpcError(INTERNAL_ERROR, self._scrub(str(error))) from None
        except Exception as error:  # noqa: BLE001 - a crash of the author's code is an answer too
            self._crash(f"completing argument {name!r}", error)
            raise RpcError(INTERNAL_ERROR, f"Error completing argument {name}") from None

    def _crash(self, what: str, error: BaseException) -> None:
        self._crashed(error)
        crash(what, error, self._scrub)

    def _find(self, address: str) -> tuple[ResourcePlan, dict[str, Any]]:
        found = self._plans.resource(address)
        if found is None:
            raise RpcError(INVALID_PARAMS, f"Unknown resource: {address}", {"uri": address})
        return found


def _noted(wire: Wire, error_type: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as it is; why it is an error goes to whoever counts and logs, since the wire has no word for it."""
    if wire.record is not None:
        wire.record.error_type = error_type
    return answer


def _kind(error: ToolError | ArgumentsError) -> str:
    match error:
        case ArgumentsError():
            return "arguments"
        case TimeLimitError():
            return "timeout"
        case _:
            return "tool_error"
