"""`python -m mcp_tool serve` and `python -m mcp_tool contract`: the two things an artifact can be asked for."""

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None, *, bundle: Path | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments; those of the process where None.
        bundle: The bundle a generated entry point belongs to. Then `serve` may be left out, and stdio is the
            default transport, so that `uvx --from FILE NAME` is all a client needs to say.

    Returns:
        The exit code of `contract`; `serve` ends the process itself.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if (
        bundle is not None
        and (not arguments or arguments[0].startswith("-"))
        and arguments[:1]
        not in (
            ["-h"],
            ["--help"],
        )
    ):
        arguments.insert(0, "serve")
    parser = _parser(bundle)
    options = parser.parse_args(arguments)
    if options.bundle is None:
        parser.error("name the bundle with --bundle, or in MCP_TOOL_BUNDLE")
    if options.command == "serve":
        from mcp_tool.serve import start

        start.serve(
            start.Request(
                options.transport, options.bundle, options.config, options.host, options.port, tuple(options.fd)
            )
        )
    from mcp_tool.contract import write

    return write(options.bundle, options.output)


def _parser(bundle: Path | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mcp_tool", description="Serve a packaged MCP tool.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    named = os.environ.get("MCP_TOOL_BUNDLE")
    common.add_argument(
        "--bundle",
        type=Path,
        default=bundle or (Path(named) if named else None),
        help="the bundle's folder (default: MCP_TOOL_BUNDLE)",
    )

    serve = commands.add_parser("serve", parents=[common], help="serve the tool to MCP clients")
    serve.add_argument(
        "--transport", choices=("stdio", "http"), default="stdio", help="how clients connect (default: stdio)"
    )
    config = os.environ.get("MCP_TOOL_CONFIG")
    serve.add_argument(
        "--config",
        type=Path,
        default=Path(config) if config else None,
        help="config.json of the place it runs (default: MCP_TOOL_CONFIG, else built-in defaults)",
    )
    serve.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1", help="address for http (HOST)")
    serve.add_argument(
        "--port", type=_port, default=os.environ.get("PORT") or "8000", help="port for http, 0 for any (PORT)"
    )

    serve.add_argument(
        "--fd", type=int, action="append", default=[], help="an open socket to listen on, instead of host and port"
    )

    contract = commands.add_parser("contract", parents=[common], help="write what the server shows its clients")
    contract.add_argument("--output", type=Path, required=True, help="the file to write the JSON document to")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is no port number")
    return port


if __name__ == "__main__":
    gc.disable()  # imports leave hardly any cycles, and looking for them takes its share of both; `serve` enables it
    code = main()
    # What is left is to take down all that was imported, for nobody: it takes as long as importing a third of it.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # the author's code may have closed it
            stream.flush()
    os._exit(code)
