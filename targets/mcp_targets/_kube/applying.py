"""Server-side apply: what is wanted of an object, in our name; whose it is else, said by name.

https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mcp_packager.errors import PackError, Problem, UserError, WorldError
from mcp_packager.target import TransientError
from mcp_targets._kube.client import ApiError
from mcp_targets._kube.conflicts import conflicts, holds
from mcp_targets._kube.handover import leave_number, take_number, was_scaled
from mcp_targets._kube.kinds import CANDIDATE, Sort, at
from mcp_targets._kube.names import MANAGER
from mcp_targets._kube.objects import Objects

MADE_ANEW: Final = frozenset({"configmap", "statefulset", CANDIDATE})
"""Kinds that go and come back where a field of theirs cannot change: data of a StatefulSet is in a claim of its own."""
_MANAGED: Final = "app.kubernetes.io/managed-by"


class Applying:
    """Applies the objects of one deployment.

    ``released`` answers what the last release wanted of a kind and a name: a field that stood there was ours, and is
    taken back from whoever has it now.
    """

    def __init__(
        self,
        objects: Objects,
        released: Callable[[str, str], Mapping[str, Any] | None],
        note: Callable[[str], None],
    ) -> None:
        self._objects = objects
        self._released = released
        self._note = note

    def apply(self, sort: Sort, wanted: Mapping[str, Any]) -> Any:
        """Make or change an object by what is wanted of it, and answer what it is now.

        Raises:
            UserError: somebody else's object has that name, or somebody else holds a field that was never ours.
        """
        name = wanted["metadata"]["name"]
        path = at(sort, wanted).path(self._objects.namespace, name)
        query = {"fieldManager": MANAGER, "force": "false"}
        leave_number(self._objects, sort, wanted)
        if sort.name == "deployment":
            take_number(self._objects, sort, wanted, self._released(sort.name, name))
        try:
            return self._objects.api.patch(path, wanted, query)
        except ApiError as error:
            if error.status != 409:
                raise
            return self._settle(sort, path, wanted, error)

    def _settle(self, sort: Sort, path: str, wanted: Mapping[str, Any], error: ApiError) -> Any:
        """Take back what was ours."""
        name = wanted["metadata"]["name"]
        for field, owner in self._taken(sort, name, error):
            self._note(f"{sort.name} {name}: took back {field.lstrip('.')} from {owner}")
        return self._objects.api.patch(path, wanted, {"fieldManager": MANAGER, "force": "true"})

    def _taken(self, sort: Sort, name: str, error: ApiError) -> list[tuple[str, str]]:
        """The fields that somebody took from us, and who; what never was ours is refused by name."""
        found = conflicts(error.said)
        before = self._released(sort.name, name)
        strangers = [
            (field, owner)
            for field, owner in found
            if before is None or not (holds(before, field) or was_scaled(sort, before, field))
        ]
        if not found or strangers:
            raise _held_by(sort, name, strangers) from error
        return found

    def claim(self, sort: Sort, name: str) -> Any | None:
        """What is there under a name that we are about to take; waits for one that is on its way out.

        Raises:
            UserError: it is somebody else's.
        """
        there = self._objects.read(sort, name)
        if there is not None and there["metadata"].get("deletionTimestamp"):
            self._objects.wait_gone(sort, name)
            there = None
        self._refuse_foreign(sort, there)
        return there

    def _refuse_foreign(self, sort: Sort, there: Mapping[str, Any] | None) -> None:
        if there is None or self._is_ours(there):
            return
        if not sort.namespaced and (is_managed(there) or sort.name == "namespace"):
            return
        name = there["metadata"]["name"]
        raise UserError(
            Problem(
                f"there is a {sort.kind} {name} that mcp-pack did not make for this tool and stage",
                f"remove or rename it, or deploy to another namespace than {self._objects.namespace}",
            )
        )

    def rehearse(self, sort: Sort, wanted: Mapping[str, Any], *, is_new: bool) -> str | None:
        """Ask the server whether it would take the object; a line says why that cannot be known yet.

        Raises:
            PackError: it would not.
        """
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        if is_new:
            self._refuse_foreign(sort, self._objects.read(sort, name))
            if sort.name == "namespace":
                return None  # one that is there and not ours stays as it is
        query = {"fieldManager": MANAGER, "force": "false", "dryRun": "All"}
        try:
            self._objects.api.patiently(
                lambda: self._objects.api.patch(at(sort, wanted).path(self._objects.namespace, name), wanted, query)
            )
        except ApiError as error:
            if error.status == 409:
                self._taken(sort, name, error)
                return None
            if error.status == 404 or (error.status == 403 and "not found" in error.message):
                # A candidate waits for its service account; the Deployment, of the same Pod, was tried.
                told = f"{kind} {name} could not be tried before it is made: {error.message}"
                return None if sort.name == CANDIDATE else told
            if sort.name in MADE_ANEW and cannot_change(error):
                return None
            raise _named(error, f"{kind} {name}") from error
        return None

    def _is_ours(self, thing: Mapping[str, Any]) -> bool:
        """Whether the labels say that it belongs to this deployment."""
        labels = thing["metadata"].get("labels") or {}
        return all(labels.get(name) == value for name, value in self._objects.labels.items())


def cannot_change(error: ApiError) -> bool:
    """Whether the server refused because something of the object stays as it was when it was made."""
    told = error.message
    return error.status == 422 and any(word in told for word in ("immutable", "updates to", "may not change fields"))


def is_managed(thing: Mapping[str, Any]) -> bool:
    """Whether mcp-pack made it, for whichever tool."""
    return (thing["metadata"].get("labels") or {}).get(_MANAGED) == MANAGER


def _named(error: ApiError, what: str) -> PackError:
    problems = [
        Problem(f"{what}: {problem.what}", problem.fix, problem.where, problem.expected, problem.found)
        for problem in error.problems
    ]
    return WorldError(problems)


def _held_by(sort: Sort, name: str, strangers: list[tuple[str, str]]) -> PackError:
    if not strangers:
        return TransientError(
            Problem(f"{sort.kind} {name} was changed by somebody else at the same time", "run the same command again")
        )
    return UserError(
        [
            Problem(
                f"{sort.kind} {name}: {field.lstrip('.')} belongs to {owner}, and was never set by mcp-pack",
                f"take it away with {owner}, or leave it out of the manifest's patches and settings",
            )
            for field, owner in strangers
        ]
    )
