"""What should be in a cluster, as resources. Pure: from data to data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mcp_packager.target import (
    DesiredInput,
    Key,
    Lifetime,
    Phase,
    Resource,
    Scope,
    digest,
    key_resources,
)
from mcp_targets._kube import services as beside
from mcp_targets._kube.canary import canary, said, tried
from mcp_targets._kube.kinds import ALLOWING, CANARY
from mcp_targets._kube.loading import CLUSTER, LOAD
from mcp_targets._kube.mounts import external_secrets, secrets_of_world
from mcp_targets._kube.names import Names
from mcp_targets._kube.network import server_policy, service_policy
from mcp_targets._kube.patches import patched
from mcp_targets._kube.routes import routes
from mcp_targets._kube.settings import config_document
from mcp_targets._kube.shares import doors
from mcp_targets._kube.site import Object, Sharing, Site, Steps
from mcp_targets._kube.workload import (
    autoscaler,
    candidate,
    config_map,
    deployment,
    disruption_budget,
    namespace,
    rights,
    scales,
    service,
    service_account,
    service_monitor,
)

OBJECT: Final = "object"
"""The field of a resource that holds a whole Kubernetes object; its name and kind are the resource's."""

_SWITCHED: Final = frozenset(
    {"deployment", "ingress", "httproute", "horizontalpodautoscaler", "poddisruptionbudget", "servicemonitor"}
)
"""Kinds that move clients, or follow those that do."""


def resources(request: DesiredInput, site: Site) -> tuple[Resource, ...]:
    """Everything one deployment is made of: the image, secrets and keys, and each Kubernetes object.

    An object is ``Resource(kind=<its kind in lower case>, name=<its name>, fields={"object": <the whole object>})``.
    Refs inside are to ``secret`` and ``key`` resources, whose field ``object`` is the name of a Secret object.

    Raises:
        UserError: a patch does not fit.
    """
    made = list(_by_content(Names(request.identity), objects(request, site)))
    (image,) = _image(site)
    space = tuple(key_of(item) for item in made if item["kind"] == "Namespace")
    held = (
        *secrets_of_world(request.manifest, site, space),
        *key_resources(config_document(request, site), space),
    )
    (running,) = (item for item in made if item["kind"] == "Deployment")
    needs = _prepared(made, image, held)
    tries = () if site.canary is None else (_canary(request, made, running, site.canary, needs),)
    if tries:
        needs = {**needs, "deployment": (*needs["pod"], tries[0].key)}
    return (
        image,
        *held,
        *(_resource(item, needs) for item in made),
        _tried(candidate(request, running), needs),
        *tries,
    )


def objects(request: DesiredInput, site: Site) -> tuple[Object, ...]:
    """The Kubernetes objects alone, in the order in which they are applied.

    Raises:
        UserError: a patch does not fit.
    """
    made = _objects(request, site)
    return patched(made, site.patches, Names(request.identity), str(request.manifest.path))


def _objects(request: DesiredInput, site: Site) -> Iterator[Object]:
    names, manifest = Names(request.identity), request.manifest
    config = config_document(request, site)
    settings = names.of("config", digest(config)[:12])
    if site.create_namespace:
        yield namespace(site)
    yield service_account(names, site)
    yield from rights(manifest, names, site)
    yield config_map(names, site, settings, json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    yield from external_secrets(manifest, names, site)
    yield server_policy(request, site, config["metrics"])
    for name in beside.run_here(manifest):
        yield service_policy(manifest, names, site, name)
        data = beside.claim(manifest, names, site, name)
        if data is not None:
            yield data
        yield beside.address(manifest, names, site, name)
        yield beside.stateful_set(manifest, names, site, name)
    yield service(names, site, config["metrics"])
    for item in site.extra:
        where = {"namespace": site.namespace} if "namespace" in item["metadata"] else {}
        yield {**item, "metadata": {**item["metadata"], **where}}
    yield from routes(names, site)
    yield deployment(request, site, config, settings)
    if scales(manifest):
        yield autoscaler(manifest, names, site)
    yield disruption_budget(names, site)
    if site.service_monitor and config["metrics"] is not None:
        yield service_monitor(names, site)


def key_of(item: Object) -> Key:
    """Which resource an object is."""
    return Key(item["kind"].lower(), item["metadata"]["name"])


def _by_content(names: Names, made: Iterable[Object]) -> Iterator[Object]:
    """The objects, those that say what the tool's Pods may do under names that hold their content.

    So a change makes the new beside the old before it switches, which only widens, and takes the old away when the
    new Pods serve: those before them keep what they need until they are gone.
    """
    roles: dict[str, str] = {}
    for item in made:
        part = ALLOWING.get(item["kind"].lower())
        if part is None or item["metadata"]["name"] != names.base:
            yield item
            continue
        wanted = _bound(item, roles)
        name = names.of(part, digest(wanted)[:12])
        if item["kind"] == "Role":
            roles[names.base] = name
        yield {**wanted, "metadata": {**wanted["metadata"], "name": name}}


def _bound(item: Object, roles: Mapping[str, str]) -> Object:
    """The object, bound to the role by the name that it has got."""
    role = item.get("roleRef", {})
    if role.get("kind") != "Role" or role.get("name") not in roles:
        return item
    return {**item, "roleRef": {**role, "name": roles[role["name"]]}}


def _image(site: Site) -> tuple[Resource]:
    reference = {"reference": f"{site.image.repository}@{site.image.digest}", "tag": site.image.tag}
    if site.image.load is not None:
        reference |= {LOAD: site.image.load, **({CLUSTER: site.image.cluster} if site.image.cluster else {})}
    name = site.image.digest.removeprefix("sha256:")[:16]
    return (Resource("image", name, reference, site.needs, scope=Scope.SHARED),)


def _prepared(made: Iterable[Object], image: Resource, held: Iterable[Resource]) -> dict[str, tuple[Key, ...]]:
    """What each sort of object waits for."""
    keys = [key_of(item) for item in made]
    space = tuple(key for key in keys if key.kind == "namespace")
    before = tuple(key for key in keys if key.kind in {"serviceaccount", "rolebinding", "configmap", "networkpolicy"})
    fetched = tuple(key for key in keys if key.kind == "externalsecret")
    started = tuple(key for key in keys if key.kind == "statefulset")
    pods = (*space, *before, *fetched, *(one.key for one in held), image.key)
    return {"": space, "statefulset": (*space, *fetched), "pod": (*pods, *started), "deployment": (*pods, *started)}


def _resource(item: Object, needs: dict[str, tuple[Key, ...]]) -> Resource:
    key = key_of(item)
    fields: dict[str, Any] = {OBJECT: item}
    match key.kind:
        case "namespace" | "ingressclass" | "ingressclassparams":
            return Resource(*key, fields, scope=Scope.SHARED)
        case "configmap" | "externalsecret":
            return Resource(*key, fields, needs[""], lifetime=Lifetime.RELEASE)
        case "persistentvolumeclaim":
            return Resource(*key, fields, needs[""], scope=Scope.DATA)
        case "statefulset":
            return Resource(*key, fields, needs["statefulset"])
        case "deployment":
            return Resource(*key, fields, needs["deployment"], phase=Phase.SWITCH)
        case kind if kind in _SWITCHED:
            return Resource(*key, fields, needs[""], phase=Phase.SWITCH)
        case _:
            return Resource(*key, fields, needs[""])


def _tried(item: Object, needs: dict[str, tuple[Key, ...]]) -> Resource:
    return Resource(
        "candidate",
        item["metadata"]["name"],
        {OBJECT: item},
        needs["pod"],
        phase=Phase.CANDIDATE,
        lifetime=Lifetime.TRANSIENT,
    )


def _canary(
    request: DesiredInput, made: list[Object], of: Object, steps: Steps, needs: dict[str, tuple[Key, ...]]
) -> Resource:
    item, service = canary(request, of, steps.by), Names(request.identity).base
    let_in = () if steps.by is Sharing.PODS else tuple(key_of(door) for door in doors(made, service))
    return Resource(
        CANARY,
        item["metadata"]["name"],
        {OBJECT: item, **tried(steps, made, item, service)},
        (*needs["pod"], *let_in),
        phase=Phase.SWITCH,
        lifetime=Lifetime.TRANSIENT,
        says=said(steps.by),
    )
