"""The stand-in for the load balancers does what they do, in front of Pods that are not ours."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.alb import annotated
from tests.cluster.alb.model import Balancer, Refused, Snapshot
from tests.cluster.cluster import Cluster
from tests.cluster.ingress import Ingresses
from tests.cluster.keys import Authority
from tests.cluster.plain_pods import deployment, ingress

pytestmark = pytest.mark.real("own-cluster", "base-image", "balancers")

P = "alb.ingress.kubernetes.io/"
IP = {f"{P}target-type": "ip", f"{P}healthcheck-path": "/readyz"}
HTTPS = {f"{P}listen-ports": '[{"HTTP":80},{"HTTPS":443}]', f"{P}certificate-arn": "arn:aws:acm:eu-central-1:1:c/1"}
NAMESPACE, GATED = "balancers", "balancers-gated"
ONE, TWO = f"{NAMESPACE}/one", f"{NAMESPACE}/two"


@pytest.fixture(scope="module", autouse=True)
def _pods(cluster: Cluster, ingresses: Ingresses) -> Iterator[None]:
    """Two Pods of ``one`` and one of ``two``."""
    for name, labels in ((NAMESPACE, {}), (GATED, {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"})):
        metadata = {"name": name, "labels": labels}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    cluster.apply(*deployment(cluster, NAMESPACE, "one", 2), *deployment(cluster, NAMESPACE, "two", 1))
    cluster.kubectl("rollout", "status", "-n", NAMESPACE, "deployment/one", "deployment/two", "--timeout=90s")
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, GATED, "--wait=false")


@pytest.fixture(autouse=True)
def _no_ingresses(cluster: Cluster) -> Iterator[None]:
    """Each test has load balancers of its own."""
    yield
    cluster.kubectl("delete", "ingress", "--all", "-n", NAMESPACE)


def ask(
    ingresses: Ingresses,
    host: str,
    path: str,
    *,
    secure: bool = False,
    body: bytes | None = None,
    authority: Path | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any, dict[str, str]]:
    """Status, body (as data where it is JSON) and headers of one answer."""
    connection: http.client.HTTPConnection
    if secure:
        trusting = ssl.create_default_context(cafile=str(authority or ingresses.authority))
        connection = http.client.HTTPSConnection(host, context=trusting, timeout=60)
    else:
        connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("POST" if body else "GET", path, body, dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read()
        told = json.loads(text) if text.startswith(b"{") else text
        return answer.status, told, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def serve(cluster: Cluster, ingresses: Ingresses, ingress: dict[str, Any], *services: tuple[str, int]) -> str:
    """Apply an Ingress, and wait until its Services have so many healthy targets each; its host."""
    cluster.apply(ingress)
    host: str = ingress["spec"]["rules"][0]["host"]
    ingresses.address(host)
    for service, count in services:
        ingresses.until_healthy(service, count)
    return host


def test_hosts_and_paths_lead_to_services_and_nothing_is_rewritten(cluster: Cluster, ingresses: Ingresses) -> None:
    asked = ingress(NAMESPACE, "paths", "paths.example.test", {"/web": "two", "/web/mcp": "one"}, IP)
    host = serve(cluster, ingresses, asked, (ONE, 2), (TWO, 1))
    status, told, _ = ask(ingresses, host, "/web/mcp/x%2Fy?y=1")
    assert (status, told["path"], told["pod"][:3]) == (200, "/web/mcp/x%2Fy?y=1", "one")
    assert ask(ingresses, host, "/web/mcpx")[1]["pod"].startswith("two")
    assert ask(ingresses, host, "/other")[0] == 404
    assert ask(ingresses, host, "/web", headers={"Host": "stranger.example.test"})[0] == 404
    assert {ask(ingresses, host, "/web/mcp")[1]["pod"] for _ in range(4)} == names(cluster, "one")


def test_targets_are_told_who_asks_and_checked_by_their_own_address(cluster: Cluster, ingresses: Ingresses) -> None:
    asked = ingress(NAMESPACE, "told", "told.example.test", {"/": "one"}, IP)
    host = serve(cluster, ingresses, asked, (ONE, 2))
    told = ask(ingresses, host, "/", headers={"X-Forwarded-For": "192.0.2.7"})[1]
    seen = {name.lower(): value for name, value in told["headers"].items()}
    assert seen["host"] == host
    assert seen["x-forwarded-for"] == "192.0.2.7, 127.0.0.1"
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("http", "80")
    places = set(ingresses.targets(ONE))
    # The kubelet asks beside it, by the same address.
    check = told["checked"]["ELB-HealthChecker"]
    assert check["User-Agent"] == "ELB-HealthChecker/2.0"
    assert check["Host"] in places


def test_https_with_a_redirect_from_http(cluster: Cluster, ingresses: Ingresses) -> None:
    asked = ingress(NAMESPACE, "secure", "secure.example.test", {"/": "one"}, IP | HTTPS | {f"{P}ssl-redirect": "443"})
    host = serve(cluster, ingresses, asked, (ONE, 2))
    status, _, headers = ask(ingresses, host, "/x?y")
    assert (status, headers["location"]) == (301, f"https://{host}/x?y")
    status, told, _ = ask(ingresses, host, "/x", secure=True)
    assert (status, told["headers"]["X-Forwarded-Proto"]) == (200, "https")


def test_a_sick_target_gets_nothing_and_a_broken_one_is_a_502(cluster: Cluster, ingresses: Ingresses) -> None:
    host = serve(cluster, ingresses, ingress(NAMESPACE, "sick", "sick.example.test", {"/": "one"}, IP), (ONE, 2))
    assert ask(ingresses, host, "/break")[0] == 502
    sick = ask(ingresses, host, "/sick")[1]["pod"]
    ingresses.until_healthy(ONE, 1)
    # The kubelet's own probe takes it out as well; that is what deregisters it.
    ingresses.until(lambda: "unhealthy" not in ingresses.targets(ONE).values(), "the sick one is registered")
    assert {ask(ingresses, host, "/")[1]["pod"] for _ in range(6)} == names(cluster, "one") - {sick}
    cluster.kubectl("delete", "pod", "-n", NAMESPACE, sick)
    ingresses.until_healthy(ONE, 2)


def test_nobody_there_is_a_503(cluster: Cluster, ingresses: Ingresses) -> None:
    nobody = deployment(cluster, NAMESPACE, "nobody", 0)
    cluster.apply(*nobody)
    host = serve(cluster, ingresses, ingress(NAMESPACE, "nobody", "nobody.example.test", {"/": "nobody"}, IP))
    assert ask(ingresses, host, "/")[0] == 503


def test_a_silent_connection_is_cut(cluster: Cluster, ingresses: Ingresses) -> None:
    idle = {f"{P}load-balancer-attributes": "idle_timeout.timeout_seconds=2"}
    asked = ingress(NAMESPACE, "idle", "idle.example.test", {"/": "one"}, IP | idle)
    host = serve(cluster, ingresses, asked, (ONE, 2))
    assert ask(ingresses, host, "/slow?1")[0] == 200
    assert ask(ingresses, host, "/slow?30")[0] == 504
    with socket.create_connection((ingresses.address(host), 80), 60) as waiting:
        waiting.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        while answer := waiting.recv(1 << 16):
            assert b"HTTP/1.1 200" in answer or b"{" in answer
    # The end was the balancer's: the client had not closed.


@pytest.mark.parametrize(("delay", "status"), [(60, 200), (1, 502)])
def test_a_target_that_leaves_ends_what_it_has_within_the_delay(
    cluster: Cluster, ingresses: Ingresses, delay: int, status: int
) -> None:
    name = f"leaving-{delay}"
    cluster.apply(*deployment(cluster, NAMESPACE, name, 1, linger=15))
    attributes = {f"{P}target-group-attributes": f"deregistration_delay.timeout_seconds={delay}"}
    asked = ingress(NAMESPACE, name, f"{name}.example.test", {"/": name}, IP | attributes)
    host = serve(cluster, ingresses, asked, (f"{NAMESPACE}/{name}", 1))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, ingresses, host, "/slow?10")
        ingresses.until(lambda: in_flight(ingresses, host), "the request is not on its way")
        cluster.kubectl("scale", "-n", NAMESPACE, f"deployment/{name}", "--replicas=0")
        ingresses.until(lambda: "healthy" not in ingresses.targets(f"{NAMESPACE}/{name}").values(), "it is there")
        assert waiting.result()[0] == status
    assert ask(ingresses, host, "/")[0] == 503
    cluster.kubectl("delete", "-n", NAMESPACE, f"deployment/{name}", f"service/{name}", "--wait=false")


def in_flight(ingresses: Ingresses, host: str) -> bool:
    """Whether a connection to a target of this test is open: nginx logs a request only when it is over."""
    address = ingresses.address(host)
    connections = Path("/proc/net/tcp").read_text()
    return f"{socket.inet_aton(address)[::-1].hex().upper()}:0050" in connections


def test_the_load_is_shared_by_weight(cluster: Cluster, ingresses: Ingresses) -> None:
    def weighted(one: int, two: int) -> dict[str, str]:
        groups = [
            {"serviceName": "one", "servicePort": "http", "weight": one},
            {"serviceName": "two", "servicePort": 80, "weight": two},
        ]
        return {f"{P}actions.both": json.dumps({"type": "forward", "forwardConfig": {"targetGroups": groups}})}

    def shares() -> set[str]:
        return {ask(ingresses, host, "/")[1]["pod"][:3] for _ in range(40)}

    asked = ingress(NAMESPACE, "weights", "weights.example.test", {"/": "both"}, IP | weighted(1, 1))
    asked["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"] = {"name": "use-annotation"}
    host = serve(cluster, ingresses, asked, (ONE, 2), (TWO, 1))
    assert shares() == {"one", "two"}
    asked["metadata"]["annotations"] |= weighted(0, 1)
    cluster.apply(asked)
    ingresses.until(lambda: shares() == {"two"}, "the old weights are used")


def test_a_binding_stands_for_each_target_group_and_goes_with_it(cluster: Cluster, ingresses: Ingresses) -> None:
    def bound() -> set[str]:
        found = cluster.get("targetgroupbindings", "-n", NAMESPACE)["items"]
        return {each["spec"]["serviceRef"]["name"] for each in found}

    asked = ingress(NAMESPACE, "bound", "bound.example.test", {"/one": "one", "/two": "two"}, IP)
    serve(cluster, ingresses, asked, (ONE, 2), (TWO, 1))
    ingresses.until(lambda: bound() == {"one", "two"}, "a target group has no binding")
    del asked["spec"]["rules"][0]["http"]["paths"][1]
    cluster.apply(asked)
    ingresses.until(lambda: bound() == {"one"}, "a binding is left")


def test_a_second_ingress_gets_its_weight_of_a_plain_one(cluster: Cluster, ingresses: Ingresses) -> None:
    """As ingress-nginx does: nothing where the Pods are missing, and all else as the first Ingress says."""
    host = "second.example.test"
    nginx = "nginx.ingress.kubernetes.io/"

    def second(service: str, weight: int) -> None:
        annotations = {f"{nginx}canary": "true", f"{nginx}canary-weight": str(weight)}
        cluster.apply(ingress(NAMESPACE, "second", host, {"/": service}, annotations, "nginx"))

    def shares() -> set[str]:
        return {ask(ingresses, host, "/")[1]["pod"][:3] for _ in range(40)}

    cluster.apply(*deployment(cluster, NAMESPACE, "nobody", 0))
    second("nobody", 100)
    serve(cluster, ingresses, ingress(NAMESPACE, "first", host, {"/": "one"}, {}, "nginx"), (ONE, 2))
    assert shares() == {"one"}
    second("two", 50)
    ingresses.until(lambda: shares() == {"one", "two"}, "the second gets nothing")
    second("two", 0)
    ingresses.until(lambda: shares() == {"one"}, "the second gets something")


def test_what_belongs_to_the_load_balancer_must_be_said_once(cluster: Cluster, ingresses: Ingresses) -> None:
    """Two Ingresses of a group that differ in it: nothing of the group is changed any more, its targets go on."""

    def member(name: str, path: str, idle: int) -> dict[str, Any]:
        attributes = {
            f"{P}group.name": "team",
            f"{P}load-balancer-attributes": f"idle_timeout.timeout_seconds={idle}",
        }
        return ingress(NAMESPACE, name, "team.example.test", {path: name}, IP | attributes)

    host = serve(cluster, ingresses, member("one", "/one", 300), (ONE, 2))
    cluster.apply(member("two", "/two", 900))
    ingresses.until(lambda: "team" in ingresses.state()["refused"], "the group is not refused")
    refused = ingresses.state()["refused"]["team"]
    assert refused["message"] == "conflicting load balancer attributes idle_timeout.timeout_seconds: 300 | 900"
    ingresses.until(lambda: len(events(cluster, "FailedBuildModel")) == 2, "no event on each of the two")
    assert ask(ingresses, host, "/two")[0] == 404
    assert ask(ingresses, host, "/one")[0] == 200
    cluster.kubectl("delete", "pod", "-n", NAMESPACE, min(names(cluster, "one")), "--wait=false")
    ingresses.until_healthy(ONE, 2)
    cluster.apply(member("two", "/two", 300))
    ingresses.until(lambda: ask(ingresses, host, "/two")[0] == 200, "the group is still refused")


def test_the_second_of_two_with_one_host_and_path_is_shadowed(cluster: Cluster, ingresses: Ingresses) -> None:
    for name, order in (("two", "2"), ("one", "1")):
        grouped = {f"{P}group.name": "shadow", f"{P}group.order": order}
        cluster.apply(ingress(NAMESPACE, name, "shadow.example.test", {"/": name}, IP | grouped))
    host = "shadow.example.test"
    ingresses.address(host)
    ingresses.until_healthy(ONE, 2)
    ingresses.until_healthy(TWO, 1)
    assert {ask(ingresses, host, "/")[1]["pod"][:3] for _ in range(20)} == {"one"}
    assert "shadow" not in ingresses.state()["refused"]


def test_the_parameters_of_a_class_speak_for_its_ingresses(cluster: Cluster, ingresses: Ingresses) -> None:
    attributes = [{"key": "idle_timeout.timeout_seconds", "value": "123"}]
    reference = {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "shared"}
    cluster.apply(
        {
            "apiVersion": "elbv2.k8s.aws/v1beta1",
            "kind": "IngressClassParams",
            "metadata": {"name": "shared"},
            "spec": {"group": {"name": "shared"}, "scheme": "internal", "loadBalancerAttributes": attributes},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": "shared"},
            "spec": {"controller": "ingress.k8s.aws/alb", "parameters": reference},
        },
    )
    for name in ("one", "two"):
        cluster.apply(ingress(NAMESPACE, name, f"{name}-shared.example.test", {"/": name}, IP, "shared"))
    assert ingresses.address("one-shared.example.test") == ingresses.address("two-shared.example.test")
    assert ingresses.state()["balancers"]["shared"]["idle"] == 123
    cluster.kubectl("delete", "ingress", "--all", "-n", NAMESPACE)
    cluster.kubectl("delete", "ingressclass/shared", "ingressclassparams/shared")


def test_instances_are_reached_by_the_port_of_the_node(cluster: Cluster, ingresses: Ingresses) -> None:
    instance = {f"{P}target-type": "instance", f"{P}healthcheck-path": "/readyz"}
    cluster.apply(ingress(NAMESPACE, "node", "node.example.test", {"/": "two"}, instance))
    key = f"{NAMESPACE}/node"
    ingresses.until(lambda: key in ingresses.state()["refused"], "a ClusterIP Service is taken")
    assert "service type must be either 'NodePort'" in ingresses.state()["refused"][key]["message"]
    cluster.kubectl("patch", "service/two", "-n", NAMESPACE, "-p", '{"spec":{"type":"NodePort"}}')
    ingresses.address("node.example.test")
    ingresses.until_healthy(TWO, 1)
    assert ask(ingresses, "node.example.test", "/")[1]["pod"].startswith("two")
    cluster.kubectl("patch", "service/two", "-n", NAMESPACE, "-p", '{"spec":{"type":"ClusterIP"}}')


def test_new_pods_are_ready_once_they_are_healthy_targets(cluster: Cluster, ingresses: Ingresses) -> None:
    workload, service = deployment(cluster, GATED, "gated", 1)
    cluster.apply(service, ingress(GATED, "gated", "gated.example.test", {"/": "gated"}, IP))
    ingresses.address("gated.example.test")
    cluster.apply(workload)
    cluster.kubectl("rollout", "status", "-n", GATED, "deployment/gated", "--timeout=60s")
    (pod,) = cluster.get("pods", "-n", GATED)["items"]
    gate = f"target-health.elbv2.k8s.aws/{ingresses.group(f'{GATED}/gated')}"
    assert pod["spec"]["readinessGates"] == [{"conditionType": gate}]
    when = {
        each["type"]: each["lastTransitionTime"] for each in pod["status"]["conditions"] if each["status"] == "True"
    }
    assert when["ContainersReady"] <= when["Ready"]
    assert gate in when
    cluster.kubectl("delete", "ingress", "--all", "-n", GATED)


def test_the_plain_class_terminates_tls_with_the_secret_and_limits_bodies(
    cluster: Cluster, ingresses: Ingresses, tmp_path: Path
) -> None:
    host = "plain.example.test"
    asked = ingress(NAMESPACE, "plain", host, {"/web": "two", "/web/mcp": "one"}, {}, "nginx")
    asked["spec"]["tls"] = [{"hosts": [host], "secretName": "plain-tls"}]
    authority = Authority(tmp_path, "somebody")
    pair = authority.pair("plain", host, host)
    data = {"tls.crt": pair.certificate, "tls.key": pair.key}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "plain-tls", "namespace": NAMESPACE},
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(file.read_bytes()).decode() for key, file in data.items()},
        }
    )
    serve(cluster, ingresses, asked, (ONE, 2), (TWO, 1))
    assert ask(ingresses, host, "/web")[0] == 308
    told = ask(ingresses, host, "/web/mcp", secure=True, authority=authority.certificate)[1]
    assert (told["pod"][:3], told["path"]) == ("one", "/web/mcp")
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(ingresses, host, "/web", secure=True)
    large = b"x" * (1 << 20) + b"x"
    assert ask(ingresses, host, "/web", secure=True, authority=authority.certificate, body=large)[0] == 413
    asked["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/proxy-body-size": "8m"}
    cluster.apply(asked)

    def taken() -> bool:
        return ask(ingresses, host, "/web", secure=True, authority=authority.certificate, body=large)[0] == 200

    ingresses.until(taken, "the larger body is refused")


def names(cluster: Cluster, app: str) -> set[str]:
    """Names of the Pods of an app that are not leaving."""
    pods = cluster.get("pods", "-n", NAMESPACE, "-l", f"app={app}")["items"]
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def events(cluster: Cluster, reason: str) -> set[str]:
    """The Ingresses on which there is an event with this reason."""
    found = cluster.get("events", "-n", NAMESPACE, "--field-selector", f"reason={reason}")["items"]
    return {event["involvedObject"]["name"] for event in found if "conflicting" in event["message"]}


def test_a_load_balancer_has_room_for_a_hundred_target_groups() -> None:
    def snapshot(count: int) -> Snapshot:
        named = [f"tool-{number}" for number in range(count)]
        grouped = {f"{P}group.name": "many"}
        spec = {"ports": [{"port": 80}]}
        return Snapshot(
            classes=[{"metadata": {"name": "alb"}, "spec": {"controller": annotated.CONTROLLER}}],
            params=[],
            ingresses=[ingress("n", name, "many.example.test", {f"/{name}": name}, IP | grouped) for name in named],
            services=[{"metadata": {"name": name, "namespace": "n"}, "spec": spec} for name in named],
            slices=[],
            pods=[],
            nodes=[],
        )

    (full,) = annotated.balancers(snapshot(100))
    assert isinstance(full, Balancer)
    (over,) = annotated.balancers(snapshot(101))
    assert isinstance(over, Refused)
    assert (over.reason, over.message) == ("FailedDeployModel", "TooManyTargetGroups: 101 of at most 100")
