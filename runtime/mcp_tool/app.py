"""An author's tools, resources and prompts, ready to be called. Knows nothing of transports."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcp_tool.wire import Wire


class App:
    """What an entrypoint holds. Load it, read its `contract`, `start` it, call it, `stop` it."""

    @classmethod
    def load(
        cls,
        document: Mapping[str, Any],
        *,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> "App":
        """Import the entrypoint of a `tool.json` document and check everything it declares.

        Args:
            document: `tool.json`, schema 1.
            secrets: By name: `{"env": NAME}` or `{"file": path}`, as in `config.json`; default the environment.
            env: Default the process's environment.

        Raises:
            EntrypointError: The module cannot be imported or does not hold what is named.
            ContractError: Everything wrong with what it declares, at once.
        """
        raise NotImplementedError

    def contract(self) -> dict[str, Any]:
        """The contract document, schema 1."""
        raise NotImplementedError

    async def start(self) -> None:
        """Build settings and provided values.

        Raises:
            SettingsError: Settings are missing, by name.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Take provided values down, the last one first."""
        raise NotImplementedError

    async def call_tool(self, name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        """Answer `tools/call`. Raises RpcError for what is answered with a JSON-RPC error."""
        raise NotImplementedError

    async def read_resource(self, uri: str, wire: Wire) -> dict[str, Any]:
        """Answer `resources/read`. Raises RpcError."""
        raise NotImplementedError

    async def get_prompt(self, name: str, arguments: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
        """Answer `prompts/get`. Raises RpcError."""
        raise NotImplementedError

    async def complete(
        self, ref: Mapping[str, Any], argument: Mapping[str, Any], context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer `completion/complete`. Raises RpcError."""
        raise NotImplementedError

    def scopes(self, tool: str) -> Sequence[str]:
        """The OAuth scopes a tool asks of its caller; none for an unknown tool."""
        raise NotImplementedError
