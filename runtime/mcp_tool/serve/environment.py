"""What the author's code finds around it: import paths, environment variables, secrets."""

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_tool.serve import private
from mcp_tool.serve.problem import StartProblem

if TYPE_CHECKING:
    from mcp_tool.config import Config


def open_paths(bundle: Path) -> None:
    """Make `lib/` and `app/` importable, in front, unless the command that started us did so already.

    `.pth` files of `lib/` count as they do in a site-packages folder: artifacts start with `-S`, which skips them.
    """
    library, application = bundle / "lib", bundle / "app"
    for folder in (library, application):  # app last, so that it ends up first
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    if library.is_dir() and any(library.glob("*.pth")):
        site.addsitedir(str(library))


def enter(config: "Config", tool: Mapping[str, Any], *, defaults: bool = False) -> Mapping[str, Mapping[str, str]]:
    """Set the environment for the author's code and read the declared secrets.

    A secret declared `as: "env"` is an environment variable of its name; one declared `as: "file"` has its path
    there. The values of variables come from the config, which wins over what the process was started with unless
    it holds only `defaults`.

    Returns:
        Where the value of each declared secret stands: `{"env": NAME}` or `{"file": path}`.

    Raises:
        StartProblem: Required secrets are missing; all of them are named, none is shown.
    """
    os.environ.update({name: value for name, value in config.env.items() if not defaults or name not in os.environ})
    found: dict[str, Mapping[str, str]] = {}
    missing: list[str] = []
    for name, declared in (tool.get("secrets") or {}).items():
        reference = config.secret(name)
        value = reference.read()
        if value is None:
            if declared.get("required", True):
                missing.append(f"{name} ({reference})")
            continue
        found[name] = {"file": str(reference.file)} if reference.file else {"env": reference.env or name}
        if declared.get("as", "env") == "env":
            os.environ[name] = value
        else:
            os.environ[name] = str(reference.file or private.write(name, value))
            found[name] = {"file": os.environ[name]}
    if missing:
        raise StartProblem(
            f"required secrets have no value: {', '.join(sorted(missing))}",
            "set them where the config says, or mark them required = false in the manifest",
        )
    return found
