"""Objects at a cluster: listed by the labels that prove whose they are, applied on the server's side, deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, TypeVar

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Glance
from mcp_targets._kube.client import Api, ApiError
from mcp_targets._kube.kinds import CANARY, Sort, sort_for
from mcp_targets._kube.names import MANAGER

T = TypeVar("T")

GONE_SECONDS: Final = 180.0
"""Longest wait for an object that is told to go: its Pods answer what they had first."""
_LOOK: Final = 0.2
_PAGE: Final = "500"
_WAITED: Final = frozenset({"deployment", CANARY, "statefulset", "persistentvolumeclaim"})
_MANAGED: Final = "app.kubernetes.io/managed-by"


class Objects:
    """The objects of one namespace that carry one deployment's labels."""

    def __init__(self, api: Api, namespace: str, labels: Mapping[str, str], glance: Glance | None = None) -> None:
        self.api = api
        self.namespace = namespace
        self.labels = labels
        self._glance = glance
        self._groups: frozenset[str] | None = None

    @property
    def selector(self) -> str:
        """What a listing asks for, so that it holds what is ours alone."""
        return ",".join(f"{name}={value}" for name, value in self.labels.items())

    def installed(self, sort: Sort) -> bool:
        """Whether the cluster knows the kind's group and version."""
        if not sort.custom:
            return True
        if self._groups is None:
            self._groups = self._once("groups", self._known)
        return sort.api_version in self._groups

    def _known(self) -> frozenset[str]:
        found = self.api.get("/apis").get("groups", [])
        return frozenset(version["groupVersion"] for group in found for version in group.get("versions", ()))

    def _once(self, what: Hashable, look: Callable[[], T]) -> T:
        """Look, or take what was seen by another deployment of this run, where all of them only look."""
        return look() if self._glance is None else self._glance.once((self.api.name, what), look)

    def listing(self, sort: Sort, *, selector: str | None = None, namespace: str | None = "") -> list[Any]:
        """Every object of a kind that is ours, those that are on their way out left away.

        ``selector`` and ``namespace`` (``None``: all of them) name others. A kind that is not there has none, and of
        what is in no namespace nobody sees those who may not look.
        """
        where = self.namespace if namespace == "" else namespace
        asked = self.selector if selector is None else selector
        wanted = dict(each.partition("=")[::2] for each in asked.split(","))
        if self._glance is None or not self.labels.items() <= wanted.items():
            return self._paged(sort, where, asked)
        # Everybody's of this run at once: whoever else is asked about finds theirs among them.
        every = self._once((sort.name, where), lambda: self._paged(sort, where, ",".join(self.labels)))
        return [item for item in every if wanted.items() <= (item["metadata"].get("labels") or {}).items()]

    def _paged(self, sort: Sort, where: str | None, selector: str) -> list[Any]:
        query = {"labelSelector": selector, "limit": _PAGE}
        found: list[Any] = []
        while True:
            try:
                page = self.api.get(sort.path(where), query)
            except ApiError as error:
                if error.status == 404 or (error.status == 403 and not sort.namespaced):
                    return found
                raise
            found.extend({"apiVersion": sort.api_version, "kind": sort.kind, **item} for item in page.get("items", ()))
            more = page.get("metadata", {}).get("continue")
            if not more:
                return [item for item in found if not item["metadata"].get("deletionTimestamp")]
            query = {**query, "continue": more}

    def read(self, sort: Sort, name: str) -> Any | None:
        """One object, whoever it belongs to; ``None`` where there is none."""
        path = sort.path(self.namespace, name)
        return self._once(path, lambda: self.api.find(path))

    def create(self, sort: Sort, thing: Mapping[str, Any]) -> bool:
        """Make an object under a name that can be taken once; whether it was free.

        An answer that was lost is asked for again: of our own object, the caller finds its own content there.
        """
        try:
            self.api.patiently(
                lambda: self.api.send("POST", sort.path(self.namespace), query={"fieldManager": MANAGER}, body=thing)
            )
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return False
            raise
        return True

    def delete(self, sort: Sort, name: str, *, wait: bool | None = None, grace: int | None = None) -> None:
        """Remove an object, what it made included; one that is gone is fine.

        ``wait``: until it is gone, which is so for what holds Pods or data; ``grace`` seconds for a Pod's end.
        """
        body: dict[str, Any] = {"propagationPolicy": "Foreground" if sort.name in _WAITED else "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            self.api.patiently(lambda: self.api.send("DELETE", sort.path(self.namespace, name), body=body))
        except ApiError as error:
            if error.status == 404:
                return
            raise
        if sort.name in _WAITED if wait is None else wait:
            self.wait_gone(sort, name)

    def wait_gone(self, sort: Sort, name: str) -> None:
        """Wait until an object is gone.

        Raises:
            TransientError: it is still there.
        """
        give_up = time.monotonic() + GONE_SECONDS
        while (there := self.read(sort, name)) is not None and there["metadata"].get("deletionTimestamp"):
            if time.monotonic() > give_up:
                held = ", ".join(there["metadata"].get("finalizers", ())) or "its Pods"
                raise WorldError(
                    Problem(
                        f"{sort.kind} {name} is told to go and after {GONE_SECONDS:g} s still there, kept by {held}",
                        "look at it with kubectl describe, then run the same command again",
                    )
                )
            time.sleep(_LOOK)


class Looking:
    """A cluster as those see it who check more of it than one deployment owns."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def listing(self, api_version: str, kind: str, *, namespace: str | None = None, selector: str = "") -> list[Any]:
        """Every object of a kind in the namespace, or in all of them."""
        sort = sort_for(api_version, kind)
        if sort is None or not self._objects.installed(sort):
            return []
        return self._objects.listing(sort, selector=selector, namespace=namespace)
