"""Where the values of secrets come from that this machine holds: its environment and its files. Read only in apply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import Place, Problem, UserError, WorldError

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_HERE: Final = frozenset({"env", "file"})


@dataclass(frozen=True, slots=True)
class Sources:
    """What a deploy can read secrets from.

    ``project`` is the folder that the paths of ``file:`` begin at. ``elsewhere`` answers for all other schemes, with
    scheme and rest; without one they are refused.
    """

    environ: Mapping[str, str]
    project: Path
    elsewhere: Callable[[str, str], bytes | None] | None = None

    def read(self, source: str) -> bytes:
        """What a source such as ``env:NAME`` or ``file:PATH`` holds; nothing where it is not there.

        Raises:
            PackError: nobody here reads such a source, or whoever does refuses.
        """
        scheme, _, rest = source.partition(":")
        match scheme:
            case "env":
                return self.environ.get(rest, "").encode()
            case "file":
                try:
                    return (self.project / Path(rest).expanduser()).read_bytes()
                except OSError:
                    return b""
            case _ if self.elsewhere is not None:
                return self.elsewhere(scheme, rest) or b""
            case _:
                raise WorldError(Problem(f"a secret cannot be read from {source} here", "use env: or file:"))


def unread_secrets(manifest: Manifest, target: str) -> Iterator[Problem]:
    """What is wrong with secrets that are elsewhere, for a target that has what this machine holds and nothing else."""
    for name, secret in manifest.secrets.items():
        scheme, _ = secret.source(name)
        if scheme not in _HERE:
            yield Problem(
                f"the target {target} cannot read the secret {name} from {scheme}",
                'use from = "env:NAME" or "file:PATH" in the stage that is deployed here',
                Place(str(manifest.path), key=f"secrets.{name}.from"),
            )


def without_value(name: str, source: str) -> UserError:
    """The error for a required secret whose source holds nothing."""
    scheme, _, rest = source.partition(":")
    match scheme:
        case "env":
            what, fix = f"environment variable {rest}", f"export {rest}=…"
        case "file":
            what, fix = f"file {rest}", f"create the file {rest}"
        case _:
            what, fix = source, f"put a value into {source}, in the account and region that is deployed to"
    return UserError(
        Problem(f"the secret {name} has no value: {what} is not there, or is empty", fix, Place(key=f"secrets.{name}"))
    )


def as_shown(value: bytes) -> str:
    """How a value would look in a log: what is to be kept out of one."""
    return value.decode("utf-8", "replace").strip()
