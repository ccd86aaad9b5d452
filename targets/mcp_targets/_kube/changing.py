"""Making, changing and removing one object, and waiting for what it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from mcp_packager.errors import Problem, UserError
from mcp_targets._kube.applying import MADE_ANEW, Applying, cannot_change, is_managed
from mcp_targets._kube.client import ApiError
from mcp_targets._kube.kinds import CANDIDATE, Sort
from mcp_targets._kube.objects import Objects
from mcp_targets._kube.projection import OBJECT, observed_fields, projected
from mcp_targets._kube.reasons import of_pod
from mcp_targets._kube.rollout import Rollout

_GRACE: Final = 1
"""Seconds for a candidate's end: no client is connected to it."""


class Changing:
    """Changes the objects of one deployment."""

    def __init__(self, objects: Objects, applying: Applying, rollout: Rollout, note: Callable[[str], None]) -> None:
        self._objects = objects
        self._applying = applying
        self._rollout = rollout
        self._note = note

    def make(self, sort: Sort, wanted: Mapping[str, Any], *, is_new: bool) -> Any:
        """Bring an object to what is wanted, wait until it does its work, and answer it.

        Raises:
            PackError: its name is somebody else's, a field is, the server refuses it, or what it starts does not run.
        """
        name = wanted["metadata"]["name"]
        if is_new:
            there = self._applying.claim(sort, name)
            if sort.name == "namespace" and there is not None and not is_managed(there):
                self._note(f"the namespace {name} is not mcp-pack's; it is used as it is")
                return there
        if sort.name == CANDIDATE:
            return self._candidate(sort, wanted)
        made = self._applied(sort, wanted)
        match sort.name:
            case "deployment":
                return self._rollout.deployment(name)
            case "statefulset":
                return self._rollout.stateful_set(name)
            case _:
                return made

    def _applied(self, sort: Sort, wanted: Mapping[str, Any]) -> Any:
        try:
            return self._applying.apply(sort, wanted)
        except ApiError as error:
            if sort.name not in MADE_ANEW or not cannot_change(error):
                raise
        self._note(f"{sort.kind} {wanted['metadata']['name']} cannot change in place; it is made anew")
        self._objects.delete(sort, wanted["metadata"]["name"], wait=True)
        return self._applying.apply(sort, wanted)

    def _candidate(self, sort: Sort, wanted: Mapping[str, Any]) -> Any:
        """One Pod: what is left of another try goes first, for a Pod does not change."""
        name = wanted["metadata"]["name"]
        there = self._objects.read(sort, name)
        if there is not None and not _as_wanted(there, wanted):
            self._objects.delete(sort, name, wait=True, grace=_GRACE)
        self._applying.apply(sort, wanted)
        return self._rollout.candidate(name)

    def remove(self, sort: Sort, name: str) -> None:
        """Remove an object and what it made; nobody waits for a candidate's end."""
        if sort.name == CANDIDATE:
            self._objects.delete(sort, name, grace=_GRACE)
        else:
            self._objects.delete(sort, name)

    def missing(self, sort: Sort, name: str) -> NoReturn:
        """Say that the cluster does not know a kind.

        Raises:
            UserError: always.
        """
        raise UserError(
            Problem(
                f"{sort.kind} {name} is wanted, and the cluster has no {sort.plural} of {sort.api_version}",
                "install what defines them, or leave the setting away that asks for it",
            )
        )


def _as_wanted(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a Pod that is there is the one that is wanted, and may yet become ready."""
    why = of_pod(there)
    if there["metadata"].get("deletionTimestamp") or (why is not None and (why.final or why.crashed)):
        return False
    return bool(projected(observed_fields(there), {OBJECT: wanted})[OBJECT] == wanted)
