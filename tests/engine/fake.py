"""A small cloud with faults: what a target's world looks like to the engine, and all that can go wrong with it."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_packager import engine
from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import (
    Action,
    Artifact,
    Endpoint,
    Generated,
    Holder,
    Identity,
    Intent,
    Key,
    Kind,
    Lifetime,
    Observed,
    Phase,
    RecordTakenError,
    Ref,
    Release,
    Resource,
    Scope,
    State,
    Status,
    Step,
    TransientError,
    Value,
    Verification,
)

KINDS = (
    Kind("network"),
    Kind("volume"),
    Kind("image", stable=frozenset({"address"})),
    Kind("key"),
    Kind("role", stable=frozenset({"arn"}), replace_on=frozenset({"path"})),
    Kind("server"),
    Kind("service", effect="moves clients"),
)
IDENTITY = Identity("shop", "till")
SERVICE = Key("service", "till")


class Kill(BaseException):
    """The process dies here. Nothing of it runs any more."""


@dataclass
class Cloud:
    """What stays when a process dies."""

    things: dict[Key, Observed] = field(default_factory=dict)
    records: dict[int, str] = field(default_factory=dict)
    holder: Holder | None = None
    verified: set[str] = field(default_factory=set)
    now: float = 1_000_000.0
    serial: int = 0
    served: list[str] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """What counts when two clouds are compared: everything but random values."""
        things = {
            str(key): {name: value for name, value in thing.fields.items() if name not in {"secret", "arn"}}
            for key, thing in sorted(self.things.items())
        }
        outcomes = {number: json.loads(text)["outcome"] for number, text in sorted(self.records.items())}
        return {"things": things, "outcomes": outcomes}

    def copied(self) -> Cloud:
        return copy.deepcopy(self)

    def serving(self) -> str | None:
        """The image that clients get."""
        service = self.things.get(SERVICE)
        return None if service is None else service.fields["image"]


Fault = Callable[[int, str, Callable[[], Any]], Any]
"""``(number of the write, what it is, the write itself) -> the write's answer``, or an exception."""


def plain(_: int, __: str, write: Callable[[], Any]) -> Any:
    return write()


class FakeWorld:
    """One process's view of the cloud. Each write passes through ``fault``."""

    def __init__(self, cloud: Cloud, fault: Fault = plain) -> None:
        self.cloud = cloud
        self.kinds = KINDS
        self.records = self
        self.lock = FakeLock(self)
        self.writes: list[str] = []
        self._fault = fault
        self._dead = False
        self._mutex = threading.RLock()

    def write(self, what: str, act: Callable[[], Any]) -> Any:
        with self._mutex:
            if self._dead:
                raise Kill
            self.writes.append(what)
            try:
                return self._fault(len(self.writes) - 1, what, act)
            except Kill:
                self._dead = True
                raise

    def observe(self) -> Mapping[Key, Observed]:
        if self._dead:
            raise Kill
        return dict(self.cloud.things)

    def apply(self, step: Step) -> Mapping[str, Value]:
        answer: Mapping[str, Value] = self.write(f"{step.action.value} {step.key}", lambda: self._apply(step))
        return answer

    def _apply(self, step: Step) -> Mapping[str, Value]:
        if step.resource is None or step.action is Action.DELETE:
            self.cloud.things.pop(step.key, None)
            return {}
        there = self.cloud.things.get(step.key)
        fields = {} if there is None or step.action is Action.REPLACE else dict(there.fields)
        for name, value in step.resource.fields.items():
            assert not isinstance(value, Ref), f"{step.key}.{name} is not resolved"
            if isinstance(value, Generated):
                before = None if step.observed is None else step.observed.fields.get(name)
                # What was made by this very step, whose answer was lost, is kept.
                if fields.get(name) in {None, before}:
                    self.cloud.serial += 1
                    fields[name] = f"made-{self.cloud.serial}"
            else:
                fields[name] = value
        fields |= _known_only_here(step.key, fields)
        if step.key == SERVICE:
            assert fields["image"] in self.cloud.verified, "unverified code behind the switch"
            self.cloud.served.append(fields["image"])
        self.cloud.things[step.key] = Observed(step.key.kind, step.key.name, fields, step.resource.scope)
        return fields

    def endpoint(self, phase: Phase, observed: Mapping[Key, Observed]) -> Endpoint | None:
        key = Key("server", "candidate") if phase is Phase.CANDIDATE else SERVICE
        return Endpoint(url=f"fake://{observed[key].fields['image']}") if key in observed else None

    def status(self) -> Status:
        return Status(State.RUNNING if SERVICE in self.cloud.things else State.ABSENT)

    def logs(self, *, lines: int, follow: bool) -> Iterator[str]:
        return iter(())

    def listing(self) -> tuple[Release, ...]:
        if self._dead:
            raise Kill
        return tuple(Release.from_json(json.loads(self.cloud.records[number])) for number in sorted(self.cloud.records))

    def add(self, release: Release) -> None:
        def act() -> None:
            if release.number in self.cloud.records:
                raise RecordTakenError(Problem("taken", "take the next"))
            self.cloud.records[release.number] = json.dumps(release.as_json())

        self.write(f"record {release.number}", act)

    def remove(self, number: int) -> None:
        self.write(f"forget {number}", lambda: self.cloud.records.pop(number, None))


class FakeLock:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def read(self) -> Holder | None:
        return self._world.cloud.holder

    def swap(self, old: Holder | None, new: Holder | None) -> bool:
        def act() -> bool:
            there = self._world.cloud.holder
            if (there and (there.token, there.expires)) != (old and (old.token, old.expires)):
                return False
            self._world.cloud.holder = new
            return True

        swapped: bool = self._world.write("lock", act)
        return swapped


def _known_only_here(key: Key, fields: Mapping[str, Value]) -> dict[str, Value]:
    match key.kind:
        case "image":
            return {"address": f"registry/{key.name}"}
        case "role":
            return {"arn": f"arn:{key.name}:{fields['path']}"}
        case "key":
            return {"version": f"v-{fields['secret']}"}
        case _:
            return {}


def verify(cloud: Cloud, *, bad: frozenset[str] = frozenset(), bad_outside: frozenset[str] = frozenset()) -> Any:
    """Looks at what an endpoint serves; remembers what was found good, so that the switch can be held to it."""

    def look(endpoint: Endpoint, intent: Intent) -> Verification:
        image = (endpoint.url or "").removeprefix("fake://")
        outside = cloud.serving() == image
        if image in bad or (outside and image in bad_outside):
            raise WorldError(Problem(f"{image} does not answer", "mend it"))
        cloud.verified.add(image)
        return Verification((f"{image} answers",))

    return look


def intent(version: str, *, path: str = "/", keep: int = 2, size: int = 1) -> Intent:
    """A deployment of one version: every sort of resource there is."""
    image = Resource(
        "image", f"till-{version}", {"digest": version}, (Key("network", "shared"),), lifetime=Lifetime.RELEASE
    )
    role = Resource("role", "till", {"path": path})
    key = Resource("key", "till", {"secret": Generated("key")})
    server = {
        "image": Ref(image.key, "address"),
        "role": Ref(role.key, "arn"),
        "key": Ref(key.key, "version"),
        "nested": {"deep": [Ref(image.key, "digest")]},
        "size": size,
    }
    return Intent(
        identity=IDENTITY,
        target="fake",
        artifact=Artifact("fake", "image", "till", version, f"sha256:{version}", 1, f"c-{version}"),
        config={"schema": 1},
        contract={"hash": f"c-{version}"},
        resources=(
            Resource("service", "till", server, phase=Phase.SWITCH),
            Resource("server", "candidate", server, phase=Phase.CANDIDATE, lifetime=Lifetime.TRANSIENT),
            Resource("network", "shared", {"cidr": "10/8"}, scope=Scope.SHARED),
            Resource("volume", "till", {"gigabytes": 1}, scope=Scope.DATA),
            image,
            role,
            key,
        ),
        keep=keep,
    )


def run(cloud: Cloud, **settings: Any) -> engine.Run:
    """A run whose time is the cloud's: sleeping passes it."""

    def sleep(seconds: float) -> None:
        cloud.now += seconds

    return engine.Run(
        who="ann@here", clock=engine.Clock(now=lambda: cloud.now, sleep=sleep), **({"workers": 1} | settings)
    )


def deploy(cloud: Cloud, wanted: Intent, *, fault: Fault = plain, look: Any = None, **settings: Any) -> engine.Deployed:
    return engine.deploy(wanted, FakeWorld(cloud, fault), verify=look or verify(cloud), run=run(cloud, **settings))


def lost(write: Callable[[], Any]) -> Any:
    """The change is made, and the answer never comes."""
    write()
    raise TransientError(Problem("no answer", "try again"))


def throttled() -> Any:
    raise TransientError(Problem("too many requests", "try again"))
