"""What the names of images meant when the lock was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from mcp_packager.errors import Place, Problem, UserError
from mcp_packager.lock.document import FILE_NAME, Lock


def with_images(
    lock: Lock, names: Iterable[str], digest_of: Callable[[str], str], *, locked: bool = False, upgrade: bool = False
) -> Lock:
    """A lock that holds a digest for each name; the file is written when that changes it.

    Args:
        lock: what there is.
        names: images, as the manifest or a target names them. One with a digest of its own needs none here.
        digest_of: asks the registry what a name means now.
        locked: change nothing; a lock that would have to change is an error.
        upgrade: ask again for those that are known.

    Raises:
        UserError: there is no such image, or ``locked`` forbids the change.
        WorldError: its registry cannot be reached.
    """
    wanted = sorted({name for name in names if "@" not in name and (upgrade or name not in lock.images)})
    if not wanted:
        return lock
    if locked:
        raise UserError(
            Problem(
                what=f"{FILE_NAME} holds no digest of {', '.join(wanted)}, and --locked forbids adding it",
                fix="Run mcp-pack lock, and commit the file",
                where=Place(file=str(lock.path), key="images"),
            )
        )
    made = replace(lock, images={**lock.images, **{name: digest_of(name) for name in wanted}})
    if made.dump() != lock.dump():
        made.write()
    return made
