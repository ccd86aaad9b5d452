"""The loop: what the cluster's objects ask for is made so, and what came of it is written back into the cluster."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from tests.cluster.alb import annotated, plain
from tests.cluster.alb.front import ADDRESSES, Front
from tests.cluster.alb.model import Balancer, Object, Refused, Snapshot, TargetGroup, digest, name_of
from tests.cluster.alb.targets import State, Targets
from tests.cluster.api import Api, ApiError

_TURN = 0.3
"""Seconds between two looks at the cluster."""
_NETWORKING = "/apis/networking.k8s.io/v1"


_States: TypeAlias = Mapping[str, Mapping[str, State]]
"""By group and ``address:port``."""


class Controller:
    """The load balancers of one cluster.

    ``place`` gets ``state.json``, which tells what is served where, and ``hosts``, which says who is behind each host
    name: what DNS would.
    """

    def __init__(self, api: Api, front: Front, place: Path) -> None:
        self._api, self._front, self._place = api, front, place
        self._targets = Targets()
        self._serving: dict[str, Balancer] = {}
        self._addresses: dict[str, str] = {}
        self._refused: dict[str, Refused] = {}
        self._told: set[object] = set()
        self._bound: dict[tuple[str, str], TargetGroup] = {}
        self._snapshot = Snapshot((), (), (), (), (), (), ())

    def turn(self) -> None:
        """Look once, and do what is to be done.

        Raises:
            ApiError: the API server refused something.
            OSError: it, or nginx, cannot be reached.
        """
        self._snapshot = self._look()
        self._model()
        groups = {name: group for balancer in self._serving.values() for name, group in balancer.groups.items()}
        self._targets.take(groups)
        # Before those who are given requests: nobody is called healthy who does not get any yet.
        states = {name: self._targets.states(name) for name in groups}
        by_address = {self._addresses[key]: balancer for key, balancer in self._serving.items()}
        self._front.write(by_address, {name: self._targets.able(name) for name in groups})
        self._write_state(states)
        self._bind([group for group in groups.values() if group.check is not None])
        self._tell(groups, states)

    def run(self) -> None:
        """Look again and again, for as long as the process lives."""
        while True:
            # The server may be busy, and what is written to may be gone: the next turn sees it anew.
            with contextlib.suppress(ApiError, OSError):
                self.turn()
            time.sleep(_TURN)

    def gates(self, namespace: str, labels: Mapping[str, str]) -> Sequence[str]:
        """Names of the target groups of Pods that have these labels: :data:`tests.cluster.alb.gates.Gates`."""
        selectors = {name_of(each): each["spec"].get("selector", {}) for each in self._snapshot.services}
        found = []
        for balancer in list(self._serving.values()):
            for group in balancer.groups.values():
                selector = selectors.get(group.service)
                mine = group.check is not None and group.kind == "ip" and group.service[0] == namespace
                if mine and selector and selector.items() <= labels.items():
                    found.append(group.name)
        return sorted(found)

    def _look(self) -> Snapshot:
        api = self._api
        ingresses = api.items(f"{_NETWORKING}/ingresses")
        return Snapshot(
            classes=api.items(f"{_NETWORKING}/ingressclasses"),
            params=api.items("/apis/elbv2.k8s.aws/v1beta1/ingressclassparams"),
            ingresses=ingresses,
            services=api.items("/api/v1/services"),
            slices=api.items("/apis/discovery.k8s.io/v1/endpointslices"),
            pods=api.items("/api/v1/pods"),
            nodes=api.items("/api/v1/nodes"),
            secrets=dict(self._secrets(ingresses)),
        )

    def _secrets(self, ingresses: Sequence[Object]) -> Iterator[tuple[tuple[str, str], Object]]:
        for ingress in ingresses:
            for entry in ingress["spec"].get("tls", []):
                namespace, name = ingress["metadata"]["namespace"], entry.get("secretName")
                if name:
                    with contextlib.suppress(ApiError):
                        yield (namespace, name), self._api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")

    def _model(self) -> None:
        found = [*annotated.balancers(self._snapshot), *plain.balancers(self._snapshot)]
        self._refused = {each.key: each for each in found if isinstance(each, Refused)}
        served = {each.key: each for each in found if isinstance(each, Balancer)}
        for key, balancer in self._serving.items():
            if key in self._refused:
                groups = {name: annotated.refreshed(self._snapshot, each) for name, each in balancer.groups.items()}
                served[key] = replace(balancer, groups=groups)
        self._addresses = {key: address for key, address in self._addresses.items() if key in served}
        for key in served:
            free = [address for address in ADDRESSES[1:] if address not in self._addresses.values()]
            assert free or key in self._addresses or key == plain.KEY, "more load balancers than there are addresses"
            self._addresses.setdefault(key, ADDRESSES[0] if key == plain.KEY else free[0])
        self._serving = served

    def _write_state(self, states: _States) -> None:
        balancers = {
            key: {
                "address": self._addresses[key],
                "owners": ["/".join(owner) for owner in balancer.owners],
                "idle": balancer.idle,
                "groups": {
                    name: {"service": "/".join(group.service), "targets": states[name]}
                    for name, group in balancer.groups.items()
                },
            }
            for key, balancer in self._serving.items()
        }
        refused = {key: {"reason": each.reason, "message": each.message} for key, each in self._refused.items()}
        _replace(self._place / "state.json", json.dumps({"balancers": balancers, "refused": refused}))
        hosts = {
            host: self._addresses[key]
            for key, balancer in self._serving.items()
            for listener in balancer.listeners.values()
            for rule in listener.rules
            for host in rule.hosts
        }
        names = {_hostname(key): address for key, address in self._addresses.items()}
        lines = [
            f"{address} {host}\n" for host, address in sorted({"localhost": "127.0.0.1", **hosts, **names}.items())
        ]
        _replace(self._place / "hosts", "".join(lines))

    def _tell(self, groups: Mapping[str, TargetGroup], states: _States) -> None:
        for each in self._refused.values():
            for owner in each.owners:
                if self._is_news("event", owner, each.message):
                    self._event(owner, each)
        for key, balancer in self._serving.items():
            if key not in self._refused:
                for owner in balancer.owners:
                    self._address_of(owner, key)
        for group in groups.values():
            for place, state in states[group.name].items():
                pods = [target.pod for target in group.targets if target.place == place and target.pod]
                for pod in pods:
                    self._gate(pod, group.name, state)

    def _bind(self, groups: Sequence[TargetGroup]) -> None:
        """A TargetGroupBinding stands for each target group: after the webhook knows of it, as with the real one."""
        wanted = {(group.service[0], group.name): group for group in groups}
        for (namespace, name), group in wanted.items():
            if (namespace, name) in self._bound:
                continue
            reference = {"name": group.service[1], "port": group.port}
            made = {
                "apiVersion": "elbv2.k8s.aws/v1beta1",
                "kind": "TargetGroupBinding",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"serviceRef": reference, "targetGroupName": name, "targetType": group.kind},
            }
            # A namespace that is on its way out takes nothing, and a user's cluster may not know the kind.
            with contextlib.suppress(ApiError):
                self._api.post(f"/apis/elbv2.k8s.aws/v1beta1/namespaces/{namespace}/targetgroupbindings", made)
            self._bound[namespace, name] = group
        for namespace, name in [key for key in self._bound if key not in wanted]:
            with contextlib.suppress(ApiError):
                self._api.delete(f"/apis/elbv2.k8s.aws/v1beta1/namespaces/{namespace}/targetgroupbindings/{name}")
            del self._bound[namespace, name]

    def _address_of(self, owner: tuple[str, str], key: str) -> None:
        entry = {"ip": ADDRESSES[0]} if key == plain.KEY else {"hostname": _hostname(key)}
        ingress = next(each for each in self._snapshot.ingresses if name_of(each) == owner)
        if ingress.get("status", {}).get("loadBalancer", {}).get("ingress") != [entry]:
            namespace, name = owner
            path = f"{_NETWORKING}/namespaces/{namespace}/ingresses/{name}/status"
            self._api.merge(path, {"status": {"loadBalancer": {"ingress": [entry]}}})

    def _gate(self, name: tuple[str, str], group: str, state: State) -> None:
        wanted = annotated.GATE + group
        pod = next((each for each in self._snapshot.pods if name_of(each) == name), None)
        if pod is None or {"conditionType": wanted} not in pod["spec"].get("readinessGates", []):
            return
        well = "True" if state is State.HEALTHY else "False"
        conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
        if conditions.get(wanted) != well:
            condition = {"type": wanted, "status": well, "reason": f"Target.{state.capitalize()}"}
            path = f"/api/v1/namespaces/{name[0]}/pods/{name[1]}/status"
            self._api.merge(path, {"status": {"conditions": [condition]}}, "strategic-merge-patch")

    def _event(self, owner: tuple[str, str], refused: Refused) -> None:
        namespace, name = owner
        now = dt.datetime.now(dt.UTC)
        body = {
            "metadata": {"name": f"{name}.{digest(refused.message, str(now))}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "namespace": namespace,
                "name": name,
            },
            "type": "Warning",
            "reason": refused.reason,
            "message": f"Failed build model due to {refused.message}",
            "source": {"component": "ingress"},
            "firstTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lastTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "count": 1,
        }
        self._api.post(f"/api/v1/namespaces/{namespace}/events", body)

    def _is_news(self, *what: Any) -> bool:
        if what in self._told:
            return False
        self._told.add(what)
        return True


def _hostname(key: str) -> str:
    """The name that the cloud gives a load balancer."""
    plainly = "".join(letter for letter in key.lower() if letter.isalnum())[:16]
    return f"internal-k8s-{plainly}-{digest(key)}.us-west-2.elb.amazonaws.com"


def _replace(file: Path, text: str) -> None:
    if not file.exists() or file.read_text() != text:
        fresh = file.with_name(f".{file.name}")
        fresh.write_text(text)
        fresh.rename(file)
