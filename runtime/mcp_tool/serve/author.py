"""The object that an entrypoint `module:object` names."""

import sys
from operator import attrgetter

from mcp_tool import loading
from mcp_tool.errors import EntrypointError


def load_object(entrypoint: str) -> object:
    """Import the module and find the object.

    Args:
        entrypoint: "package.module:object", the object dotted where it is an attribute of one.

    Raises:
        EntrypointError: The import failed, or there is no such object.
    """
    module, _, path = entrypoint.partition(":")
    loading.import_module(module)
    try:
        found: object = attrgetter(path)(sys.modules[module])
    except AttributeError:
        raise EntrypointError(f"{module!r} has no {path!r}", "name the server object after the colon") from None
    return found
