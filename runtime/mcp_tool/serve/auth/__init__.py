"""Who may call: static keys, tokens of an issuer, the platform's word, and the deploy's own probe."""

from collections.abc import Callable, Mapping

from mcp_tool.config import Config, NoAuth
from mcp_tool.serve.http.gates import Authenticator

Making = Callable[[Mapping[str, frozenset[str]]], Authenticator]
"""What asks every caller who it is, made once the tools are known: by tool, the scopes that its caller must have."""


def prepare(config: Config) -> Making | None:
    """Read the keys that `serve.auth` and `serve.probe` name; None where nobody is asked.

    To be done before the author's code is loaded, which then finds no key in the environment.

    Raises:
        StartProblem: A key is missing, or a setting cannot work.
    """
    asked = config.serve.auth
    if asked is None or isinstance(asked, NoAuth):
        return None
    from mcp_tool.serve.auth import door

    return door.prepare(config, asked)
