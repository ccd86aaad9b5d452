"""The objects of a tool in a cluster: from a manifest alone, with no cluster asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcp_packager.target import Key, Lifetime, Phase, Ref, Scope
from tests.targets.kube import golden
from tests.targets.kube.samples import EVERYTHING, GATEWAY, SAMPLES, SMALLEST, made


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_made_is_what_was_looked_at(tmp_path: Path, name: str) -> None:
    """Where a change is meant, ``python -m tests.targets.kube.golden`` writes it down: look at the difference."""
    assert golden.text(name, tmp_path) == (golden.FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_manifest_wants_the_same(tmp_path: Path, name: str) -> None:
    assert made(tmp_path / "a", SAMPLES[name]).resources == made(tmp_path / "b", SAMPLES[name]).resources


def test_the_smallest_manifest_yields_a_service_that_an_update_does_not_stop(tmp_path: Path) -> None:
    found = made(tmp_path, SMALLEST)
    running = found.of("Deployment")["spec"]
    assert running["replicas"] == 2
    assert running["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert found.of("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert found.server["image"] == f"registry.example.com/team/shop@sha256:{'a' * 64}"
    (port,) = found.of("Service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert not [item for item in found.objects if item["kind"] in {"Ingress", "Role", "HorizontalPodAutoscaler"}]


def test_an_orderly_end_is_never_cut_off(tmp_path: Path) -> None:
    found = made(tmp_path, EVERYTHING)
    config = json.loads(found.of("ConfigMap")["data"]["config.json"])["serve"]
    pause = found.server["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause == 20
    assert config["drain"] == config["timeout"] == 90
    whole = found.pod["spec"]["terminationGracePeriodSeconds"]
    assert whole >= pause + config["drain_delay"] + config["drain"] + 5


def test_only_readiness_looks_at_what_the_tool_depends_on(tmp_path: Path) -> None:
    server = made(tmp_path, SMALLEST).server
    paths = {probe: server[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert server["startupProbe"]["failureThreshold"] == 60


def test_the_token_is_mounted_where_rights_are_asked_for(tmp_path: Path) -> None:
    assert made(tmp_path / "a", SMALLEST).pod["spec"]["automountServiceAccountToken"] is False
    found = made(tmp_path / "b", EVERYTHING)
    assert found.pod["spec"]["automountServiceAccountToken"] is True
    assert found.of("ServiceAccount")["automountServiceAccountToken"] is False
    assert found.of("Role")["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"], "resourceNames": ["prices"]}
    ]
    (subject,) = found.of("RoleBinding")["subjects"]
    assert subject["name"] == found.of("ServiceAccount")["metadata"]["name"] == found.pod["spec"]["serviceAccountName"]


def test_the_number_of_copies_has_one_owner(tmp_path: Path) -> None:
    found = made(tmp_path, EVERYTHING)
    assert "replicas" not in found.of("Deployment")["spec"]
    scaled = found.of("HorizontalPodAutoscaler")["spec"]
    assert (scaled["minReplicas"], scaled["maxReplicas"]) == (3, 9)
    assert scaled["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


@pytest.mark.parametrize(
    ("scale", "copies"), [("min = 1", 1), ("max = 1", 1), ("min = 4\nmax = 4", 4), ("cpu = 50", 2)]
)
def test_without_room_to_scale_the_deployment_says_how_many(tmp_path: Path, scale: str, copies: int) -> None:
    found = made(tmp_path, f"{SMALLEST}\n[scale]\n{scale}\n")
    assert found.of("Deployment")["spec"]["replicas"] == copies
    assert not [item for item in found.objects if item["kind"] == "HorizontalPodAutoscaler"]


def test_another_config_is_another_object_and_the_old_one_stays(tmp_path: Path) -> None:
    one = made(tmp_path / "a", SMALLEST)
    other = made(tmp_path / "b", f'{SMALLEST}\n[env]\nGREETING = "hello"\n')
    names = [found.of("ConfigMap")["metadata"]["name"] for found in (one, other)]
    assert names[0] != names[1]
    assert one.of("ConfigMap")["immutable"] is True
    (held,) = [item for item in one.resources if item.kind == "configmap"]
    assert held.lifetime is Lifetime.RELEASE
    volumes = [
        next(volume["configMap"]["name"] for volume in found.pod["spec"]["volumes"] if "configMap" in volume)
        for found in (one, other)
    ]
    assert volumes == names


def test_secrets_come_from_where_the_manifest_says(tmp_path: Path) -> None:
    found = made(tmp_path, EVERYTHING)
    deployment = next(item for item in found.resources if item.kind == "deployment").fields["object"]
    (sources,) = (
        volume["projected"]["sources"]
        for volume in deployment["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "secrets"
    )
    by_path = {source["secret"]["items"][0]["path"]: source["secret"] for source in sources}
    assert by_path["API_KEY/value"]["name"] == Ref(Key("secret", "API_KEY"), "object")
    assert by_path["OPTIONAL/value"]["optional"] is True
    assert by_path["SHARED/value"] == {"name": "shared", "items": [{"key": "token", "path": "SHARED/value"}]}
    fetched = found.of("ExternalSecret")["spec"]
    assert by_path["FETCHED/value"]["name"] == fetched["target"]["name"]
    assert fetched["data"] == [
        {"secretKey": "value", "remoteRef": {"key": "team/shop", "property": "password"}},
    ]
    assert {item.name for item in found.resources if item.kind == "secret"} == {"API_KEY", "OPTIONAL"}
    config = json.loads(found.of("ConfigMap")["data"]["config.json"])
    assert config["secrets"]["SHARED"] == {"file": "/run/mcp-tool/secrets/SHARED/value"}


def test_a_service_is_up_before_the_tool_and_its_data_stays(tmp_path: Path) -> None:
    found = made(tmp_path, EVERYTHING)
    by_key = {item.key: item for item in found.resources}
    (store,) = (key for key in by_key if key.kind == "statefulset" and "store" in key.name)
    (candidate,) = (item for item in found.resources if item.kind == "candidate")
    assert store in candidate.needs
    assert by_key[Key("persistentvolumeclaim", store.name)].scope is Scope.DATA
    container = by_key[store].fields["object"]["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [
        {
            "name": "PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": Ref(Key("secret", "API_KEY"), "object"), "key": "value"}},
        }
    ]
    assert container["readinessProbe"]["exec"] == {"command": ["redis-cli", "ping"]}
    config = json.loads(found.of("ConfigMap")["data"]["config.json"])
    assert config["env"]["STORE"] == f"redis://{store.name}:6379/0"
    assert config["dependencies"]["mail"] == "192.0.2.25:587"


def test_no_service_selects_the_candidate(tmp_path: Path) -> None:
    found = made(tmp_path, EVERYTHING)
    (item,) = (item for item in found.resources if item.kind == "candidate")
    labels = item.fields["object"]["metadata"]["labels"]
    assert (item.phase, item.lifetime) == (Phase.CANDIDATE, Lifetime.TRANSIENT)
    for selecting in found.objects:
        match selecting:
            case {"kind": "Service", "spec": {"selector": selector}}:
                assert not selector.items() <= labels.items()
            case {"kind": "Deployment" | "PodDisruptionBudget", "spec": {"selector": {"matchLabels": selector}}}:
                assert not selector.items() <= labels.items()
            case _:
                pass
    pod = item.fields["object"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["priorityClassName"] == "important", "a patch of the Deployment is a patch of its candidate"
    (running,) = (one for one in found.resources if one.kind == "deployment")
    assert pod["containers"] == running.fields["object"]["spec"]["template"]["spec"]["containers"]


def test_clients_get_in_and_find_out_whom_to_ask(tmp_path: Path) -> None:
    found = made(tmp_path, EVERYTHING)
    ingress = found.of("Ingress")
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "shop.example.com"
    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [
        ("/mcp", "Prefix"),
        ("/.well-known/oauth-protected-resource/mcp", "Exact"),
        ("/.well-known/oauth-protected-resource", "Exact"),
    ]
    assert ingress["metadata"]["annotations"]["cert-manager.io/issuer"] == "internal"
    assert ingress["spec"]["tls"] == [{"hosts": ["shop.example.com"], "secretName": "shop.example.com-tls"}]
    serve = json.loads(found.of("ConfigMap")["data"]["config.json"])["serve"]
    assert serve["public_url"] == "https://shop.example.com"
    backend = rule["http"]["paths"][0]["backend"]["service"]["name"]
    assert f"{backend}.mcp-tools.svc.cluster.local" in serve["allowed_hosts"]


def test_on_a_shared_host_a_tool_has_a_path_of_its_own(tmp_path: Path) -> None:
    found = made(tmp_path, GATEWAY)
    route = found.of("HTTPRoute")["spec"]
    assert route["parentRefs"][0] | {"group": "", "kind": ""} == {
        "group": "",
        "kind": "",
        "namespace": "infra",
        "name": "shared",
        "sectionName": "https",
    }
    paths = [match["path"]["value"] for match in route["rules"][0]["matches"]]
    assert paths == ["/shop/mcp", "/.well-known/oauth-protected-resource/shop/mcp"]
    serve = json.loads(found.of("ConfigMap")["data"]["config.json"])["serve"]
    assert (serve["path"], serve["root_metadata"]) == ("/shop/mcp", False)
    assert found.server["image"].startswith("localhost/mcp-pack/shop:1.2.0-")
    assert found.server["imagePullPolicy"] == "Never"


def test_tools_and_stages_share_a_namespace_and_nothing_else(tmp_path: Path) -> None:
    stage = "\n[stage.second.env]\nGREETING = 'good evening'\n"
    one = made(tmp_path / "a", SMALLEST + stage)
    second = made(tmp_path / "a", SMALLEST + stage, stage="second")
    other = made(tmp_path / "b", SMALLEST.replace('"shop"', '"shelf"'))
    spaces = [found.of("Namespace") for found in (one, second, other)]
    assert spaces[0] == spaces[1] == spaces[2]
    taken: set[Key] = set()
    for found in (one, second, other):
        keys = {item.key for item in found.resources if item.scope is not Scope.SHARED and item.kind != "key"}
        assert not keys & taken
        taken |= keys
    for found in (one, second, other):
        labels = found.pod["metadata"]["labels"]
        services = [item for made_ in (one, second, other) for item in made_.objects if item["kind"] == "Service"]
        selecting = [item for item in services if item["spec"]["selector"].items() <= labels.items()]
        assert selecting == [found.of("Service")]
    (space,) = (item for item in one.resources if item.kind == "namespace")
    assert space.scope is Scope.SHARED


def test_names_fit_whatever_the_tool_is_called(tmp_path: Path) -> None:
    long = EVERYTHING.replace('name = "shop"', f'name = "{"s" * 40}"').replace(
        "[services.store]", f"[services.{'d' * 40}]"
    )
    found = made(tmp_path, long.replace('name = "store"', f'name = "{"d" * 40}"'))
    for item in found.objects:
        assert len(item["metadata"]["name"]) <= (47 if item["kind"] not in {"ConfigMap", "ExternalSecret"} else 63)
        for value in item["metadata"].get("labels", {}).values():
            assert len(value) <= 63
