"""A cluster as a world: everything of one deployment in one namespace, by its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final

from mcp_packager.target import (
    PROBE,
    Action,
    Change,
    Endpoint,
    Key,
    Kind,
    Observed,
    Outcome,
    Phase,
    Plan,
    Release,
    Resource,
    Scope,
    Status,
    Step,
    Value,
    WorldInput,
)
from mcp_packager.target.values import resolve
from mcp_targets._kube import kept
from mcp_targets._kube.applying import Applying, is_managed
from mcp_targets._kube.beside import Beside
from mcp_targets._kube.canary import Canaries, is_canary
from mcp_targets._kube.changing import Changing
from mcp_targets._kube.client import Access, Api
from mcp_targets._kube.doors import look
from mcp_targets._kube.images import Images
from mcp_targets._kube.kept import Kept
from mcp_targets._kube.kinds import BY_NAME, CANARY, CANDIDATE, CLAIM, IMAGE, KINDS, SECRETS, SORTS, Sort, sort_of
from mcp_targets._kube.leading import Leading, judged
from mcp_targets._kube.logs import followed, last_lines
from mcp_targets._kube.looking import ADDRESS, endpoint, serving, status
from mcp_targets._kube.names import Names
from mcp_targets._kube.objects import Looking, Objects
from mcp_targets._kube.projection import FOREIGN, OBJECT, observed_fields
from mcp_targets._kube.reaching import opened
from mcp_targets._kube.reasons import is_ready, set_up, unfinished
from mcp_targets._kube.records import LeaseLock, SecretRecords, releases
from mcp_targets._kube.rollout import Rollout

OPTIONAL: Final = frozenset({"servicemonitor"})
"""Kinds that are left out where the cluster does not know them."""
_AT_ONCE: Final = 12
_LATER: Final = "known-after-apply"


class KubeWorld:
    """One deployment in one namespace of a cluster; ``beside`` is what it has in the cloud around it."""

    def __init__(self, request: WorldInput, access: Access, *, beside: Beside | None = None) -> None:
        self._request = request
        self._names = Names(request.identity)
        self._beside = beside
        note = request.progress.note
        namespace: str = request.options.namespace
        api = Api(access) if request.glance is None else request.glance.once((Api, access.name), lambda: Api(access))
        self._objects = Objects(api, namespace, request.identity.labels(), request.glance)
        project = request.manifest.project if request.manifest else None
        elsewhere = beside.secret if beside else None
        self._kept = Kept(self._objects, self._names, request.environ, project, elsewhere)
        self._images = Images(request.output, request.environ)
        self._applying = Applying(self._objects, self._released, note)
        self._rollout = Rollout(self._objects, note)
        leading = Leading(self._objects, self._applying, self._rollout, self._names, note)
        self._canaries = Canaries(self._objects, self._applying, self._rollout, leading, self._deployed, note)
        self._changing = Changing(self._objects, self._applying, self._rollout, note)
        self.kinds: tuple[Kind, ...] = (*(beside.kinds if beside else ()), *KINDS)
        self._allowing = {kind.name for kind in self.kinds if kind.derived}
        self.records = SecretRecords(self._objects, self._names)
        self.lock = LeaseLock(self._objects, self._names)

    def observe(self) -> Mapping[Key, Observed]:
        """Everything of this deployment that is there; one listing per kind, several at once."""
        self._rollout.hurry(now=False)
        looks: list[Callable[[], list[Observed]]] = [
            *(lambda sort=sort: self._listed(sort) for sort in SORTS if sort.name not in {"namespace", CANARY}),
            self._namespace,
            self._secrets,
            lambda: list(self._beside.observe().values()) if self._beside else [],
        ]
        self._objects.installed(BY_NAME["servicemonitor"])  # one look at what the cluster knows, before many ask
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [thing for answer in pool.map(lambda look: look(), looks) for thing in answer]
        return {thing.key: thing for thing in found}

    def _listed(self, sort: Sort) -> list[Observed]:
        if not self._objects.installed(sort):
            return []
        things = self._objects.listing(sort)
        if sort.name == CANDIDATE:
            things = [pod for pod in things if not pod["metadata"].get("ownerReferences")]
        return [_seen(sort, thing) for thing in things]

    def _namespace(self) -> list[Observed]:
        sort = BY_NAME["namespace"]
        there = self._objects.read(sort, self._objects.namespace)
        return [] if there is None else [_seen(sort, there)]

    def _secrets(self) -> list[Observed]:
        """Secrets and keys; and what the last release says of what nothing in the cluster lists."""
        there = self._objects.listing(SECRETS)
        found = list(kept.observed(there))
        last = _current(releases(there))
        wanted = last.intent.resources if last else ()
        for resource in wanted:
            if resource.kind == IMAGE and self._images.held(resource.fields):
                found.append(Observed(IMAGE, resource.name, resource.fields, Scope.SHARED))
            if resource.kind in OPTIONAL and not self._objects.installed(sort_of(resource.kind)):
                found.append(Observed(resource.kind, resource.name, {FOREIGN: True}))
        return found

    def rehearse(self, plan: Plan) -> tuple[str, ...]:
        """Ask the server whether it would take every change, before the first is made."""
        said = self._beside.rehearse(plan, Looking(self._objects)) if self._beside else ()
        doors = tuple(look(str(self._request.identity), plan, self._objects, ingresses=self._beside is None))
        changed = [
            change
            for change in plan.changes
            if change.resource is not None and change.resource.kind in BY_NAME and change.action is not Action.DELETE
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            lines = list(pool.map(self._rehearsed, changed))
        return (*said, *doors, *judged(plan, self._objects), *(line for line in lines if line is not None))

    def notes(self) -> tuple[str, ...]:
        """What a deploy leaves for people to do."""
        return self._beside.notes(Looking(self._objects)) if self._beside else ()

    def _rehearsed(self, change: Change) -> str | None:
        resource = change.resource
        if resource is None:
            return None
        sort = sort_of(resource.kind)
        if not self._objects.installed(sort):
            return None if sort.name in OPTIONAL else self._changing.missing(sort, resource.name)
        wanted = resolve(resource.fields[OBJECT], lambda _: _LATER)
        return self._applying.rehearse(sort, wanted, is_new=change.observed is None)

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make one change. What the Pods may do goes when the last that may need it is gone."""
        if step.action is Action.DELETE and step.key.kind in self._allowing:
            self._rollout.until_ended({**self._names.selector(), **self._names.servers()})
        if self._beside is not None and step.key.kind in {kind.name for kind in self._beside.kinds}:
            return self._beside.apply(step)
        if step.resource is None or step.action is Action.DELETE:
            self._delete(step.key)
            return {}
        match step.key.kind:
            case "image":
                return self._images.push(step.resource)
            case "secret":
                return self._kept.secret(step.resource)
            case "key":
                return self._kept.key(step.resource)
            case "canary":
                return self._canaries.make(step.resource)
            case kind:
                return self._made(sort_of(kind), step.resource, step.observed)

    def hurry(self) -> None:
        """Wait no more for Pods, until the next observe."""
        self._rollout.hurry()

    def _made(self, sort: Sort, resource: Resource, there: Observed | None) -> Mapping[str, Value]:
        if not self._objects.installed(sort):
            if sort.name not in OPTIONAL:
                self._changing.missing(sort, resource.name)
            return {**resource.fields, FOREIGN: True}
        made = self._changing.make(sort, resource.fields[OBJECT], is_new=there is None)
        return dict(_seen(sort, made).fields)

    def _delete(self, key: Key) -> None:
        match key.kind:
            case "image" | "namespace":
                pass  # shared
            case "secret" | "key":
                self._kept.delete(key)
            case "canary":
                self._canaries.remove(key.name)
            case kind:
                sort = sort_of(kind)
                if self._objects.installed(sort):
                    self._changing.remove(sort, key.name)

    def _deployed(self) -> tuple[Release, ...]:
        return self.records.listing()

    def _released(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """What the last release wanted of an object."""
        last = _current(self.records.listing())
        for resource in () if last is None else last.intent.resources:
            if (resource.kind, resource.name) == (kind, name):
                found: Mapping[str, Any] = resource.fields[OBJECT]
                return found
        return None

    def endpoint(self, phase: Phase, observed: Mapping[Key, Observed]) -> Endpoint | None:
        """The candidate's address in the cluster, or what clients use."""
        match phase:
            case Phase.CANDIDATE:
                return endpoint(observed, CANDIDATE)
            case Phase.SWITCH:
                return endpoint(observed, "deployment")
            case Phase.PREPARE | Phase.RETIRE:
                return None

    def inside(self, endpoint: Endpoint) -> AbstractContextManager[Endpoint] | None:
        """Through the API server, to the candidate or to the Pods that serve."""
        return opened(self._objects, self._names, endpoint)

    def status(self) -> Status:
        """How the deployment is now."""
        return status(self._objects, self._names)

    def logs(self, *, lines: int, follow: bool) -> Iterator[str]:
        """The logs of all Pods that serve or are to, each line behind its Pod's name."""
        read = followed if follow else last_lines
        return read(self._objects, lambda: serving(self._objects, self._names), lines)

    def probe_key(self) -> bytes | None:
        """What the deploy's probe tokens are signed with; ``None`` where it is not made yet."""
        text = self._kept.value(PROBE)
        try:
            return None if text is None else bytes.fromhex(text.decode("ascii"))
        except ValueError:
            return None


def _current(recorded: Sequence[Release]) -> Release | None:
    """The release that clients should be getting."""
    return next((release for release in reversed(recorded) if release.outcome is Outcome.DEPLOYED), None)


def _seen(sort: Sort, thing: Mapping[str, Any]) -> Observed:
    """A live object as observed: its scope, and what keeps it from being done."""
    name = thing["metadata"]["name"]
    match sort.name:
        case "namespace" if not is_managed(thing):
            return Observed(sort.name, name, {**observed_fields(thing), FOREIGN: True}, Scope.SHARED)
        case "namespace" | "ingressclass" | "ingressclassparams":
            return Observed(sort.name, name, observed_fields(thing), Scope.SHARED)
        case kind if kind == CLAIM:
            return Observed(sort.name, name, observed_fields(thing), Scope.DATA)
        case "deployment" if is_canary(thing):
            # What is left of a run that ended is tried from the beginning.
            return Observed(CANARY, name, observed_fields(thing, "not tried to the end"))
        case "deployment":
            return Observed(sort.name, name, observed_fields(thing, unfinished(thing)))
        case "statefulset":
            return Observed(sort.name, name, observed_fields(thing, set_up(thing)))
        case kind if kind == CANDIDATE:
            fields = observed_fields(thing, None if is_ready(thing) else "not ready")
            return Observed(sort.name, name, {**fields, ADDRESS: (thing.get("status") or {}).get("podIP")})
        case _:
            return Observed(sort.name, name, observed_fields(thing))
