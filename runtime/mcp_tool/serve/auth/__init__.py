"""Who may call: static keys, tokens of an issuer, the platform's word, and the deploy's own probe."""

from collections.abc import Mapping

from mcp_tool.config import Config
from mcp_tool.serve.gates import Authenticator
from mcp_tool.serve.problem import StartProblem


def authenticator(config: Config, scopes: Mapping[str, frozenset[str]]) -> Authenticator | None:  # noqa: ARG001 - what metadata will name
    """What asks every caller who it is; None where nobody is asked.

    Args:
        config: Where the server runs; its `serve.auth` and `serve.probe` count.
        scopes: By tool, the scopes that its caller must have.

    Raises:
        StartProblem: A key is missing, or a setting cannot work.
    """
    auth = config.serve.auth
    if auth is None or auth.mode == "none":
        return None
    raise StartProblem(
        f"this runtime cannot ask for {auth.mode} yet and will not serve without", "leave serve.auth away"
    )
