"""The tools that this server offers."""

from mcp_tool import Settings, tool


class GreetingSettings(Settings):
    """Filled from `[env]` and `[secrets]` of mcp-tool.toml."""

    greeting: str = "Hello"


@tool(read_only=True)
def greet(name: str, settings: GreetingSettings) -> str:
    """Greet somebody by name.

    Args:
        name: Whom to greet.
    """
    return f"{settings.greeting}, {name}!"
