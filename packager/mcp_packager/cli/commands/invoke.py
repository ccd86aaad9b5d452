"""``mcp-pack invoke``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mcp_packager.cli import arguments as given
from mcp_packager.cli import output
from mcp_packager.cli.options import Common, common_options
from mcp_packager.cli.progress import Shown
from mcp_packager.errors import Problem, UsageError

if TYPE_CHECKING:
    from mcp_packager.verify import ClientCredentials

TOOL_ERROR = 1


@click.command()
@click.argument("tool")
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--input", "source", metavar="FILE", help="Read the arguments as a JSON object from FILE, or - for standard input."
)
@click.option("--url", metavar="URL", help="Call this server instead of the deployed one.")
@click.option(
    "--token-env",
    metavar="VARIABLE",
    help="The environment variable that holds the bearer token.  [default, for the deployed server: MCP_PACK_TOKEN]",
)
@click.option("--client-id", metavar="ID", help="Get a token by the client-credentials grant.")
@click.option(
    "--client-secret-env", metavar="VARIABLE", help="The environment variable that holds the client's secret."
)
@click.option("--token-url", metavar="URL", help="Where to get that token.  [default: what the server names]")
@click.option(
    "--scope", "scopes", multiple=True, metavar="SCOPE", help="A scope to ask for; may be given several times."
)
@common_options(targets=True)
def invoke(
    common: Common,
    *,
    tool: str,
    pairs: tuple[str, ...],
    source: str | None,
    url: str | None,
    token_env: str | None,
    client_id: str | None,
    client_secret_env: str | None,
    token_url: str | None,
    scopes: tuple[str, ...],
) -> None:
    """Call a tool of the deployed server, or of the one at --url.

    \b
    mcp-pack invoke word_count text="to be or not"
    mcp-pack invoke search query=tea limit:=5
    echo '{"text": "to be"}' | mcp-pack invoke word_count --input -

    NAME=VALUE is text, turned into what the tool's schema asks for; NAME:=VALUE is JSON as it stands. Exits with 1
    where the tool itself answers with an error.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    if source is not None and pairs:
        raise UsageError(Problem("arguments are given twice, by name and by --input", "use one of the two"))
    passed = given.from_input(source) if source is not None else given.from_pairs(pairs)
    headers = {} if token_env is None else {"Authorization": f"Bearer {_secret(token_env, '--token-env')}"}
    credentials = _credentials(client_id, client_secret_env, token_url, scopes)
    if headers and credentials is not None:
        raise UsageError(Problem("both a token and client credentials are given", "use one of the two"))
    from mcp_packager.pipeline.invoke import TOKEN_VARIABLE
    from mcp_packager.pipeline.invoke import invoke as call

    with Shown(quiet=common.quiet) as progress:
        report = call(
            common.request(progress),
            tool=tool,
            arguments=passed,
            url=url,
            headers=headers,
            credentials=credentials,
            token=os.environ.get(TOKEN_VARIABLE) or None,
        )
    if common.as_json:
        output.document("invoke", invoke=report)
    else:
        output.data(readable_result(report.result))
    if report.is_error:
        raise click.exceptions.Exit(TOOL_ERROR)


def readable_result(result: Mapping[str, Any]) -> str:
    """A tool's answer for people: the structured content where there is one, else the text."""
    structured = result.get("structuredContent")
    if structured is not None and not result.get("isError"):
        # A tool that returns a plain value has it wrapped in {"result": …}, since structured content is an object.
        value = (
            structured["result"] if isinstance(structured, Mapping) and set(structured) == {"result"} else structured
        )
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return "\n".join(_block(block) for block in result.get("content") or ())


def _block(block: Mapping[str, Any]) -> str:
    match block.get("type"):
        case "text":
            return str(block.get("text", ""))
        case "image" | "audio" as kind:
            return f"[{kind} {block.get('mimeType', '')}, {len(str(block.get('data', ''))) * 3 // 4} bytes]"
        case "resource_link":
            return f"[{block.get('name', 'resource')}: {block.get('uri', '')}]"
        case _:
            return json.dumps(block, ensure_ascii=False)


def _secret(variable: str, option: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise UsageError(
            Problem(f"the environment variable {variable} of {option} is not set", f"set it: `export {variable}=…`")
        )
    return value


def _credentials(
    client_id: str | None, secret_env: str | None, token_url: str | None, scopes: tuple[str, ...]
) -> ClientCredentials | None:
    if client_id is None and secret_env is None:
        if scopes or token_url:
            raise UsageError(
                Problem("--scope and --token-url go with --client-id", "add --client-id and --client-secret-env")
            )
        return None
    if client_id is None or secret_env is None:
        raise UsageError(Problem("client credentials are incomplete", "give both --client-id and --client-secret-env"))
    from mcp_packager.verify import ClientCredentials

    secret = _secret(secret_env, "--client-secret-env")
    return ClientCredentials(client_id=client_id, client_secret=secret, token_url=token_url, scopes=scopes)
