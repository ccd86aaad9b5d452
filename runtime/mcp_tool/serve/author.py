"""The object that an entrypoint `module:object` names."""

import importlib
import sys
import traceback
from pathlib import Path

from mcp_tool.errors import EntrypointError


def load_object(entrypoint: str, root: Path) -> object:
    """Import the module and find the object.

    Args:
        entrypoint: "package.module:object", the object dotted where it is an attribute of one.
        root: The author's folder; a traceback is cut down to the frames in it.

    Raises:
        EntrypointError: The import failed, or there is no such object.
    """
    module_name, _, path = entrypoint.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        raise EntrypointError(
            f"importing {module_name} failed: {type(error).__name__}: {error}",
            "mend the author's code where the traceback points",
            _trimmed(error, root),
        ) from None
    except SystemExit as error:
        raise EntrypointError(
            f"importing {module_name} ended the process (sys.exit({error.code!r}))",
            'start servers and exits under `if __name__ == "__main__":`',
            _trimmed(error, root),
        ) from None
    for name in path.split("."):
        try:
            found = vars(found)[name] if isinstance(found, type(sys)) else getattr(found, name)
        except (AttributeError, KeyError):
            raise EntrypointError(f"{module_name} has no {path!r}", "name the server object after the colon") from None
    return found


def _trimmed(error: BaseException, root: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).is_relative_to(root.resolve())] or []
    theirs = theirs or [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    return "".join([*traceback.format_list(theirs), *traceback.format_exception_only(error)])
