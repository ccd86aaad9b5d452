"""What clients reach in the place of a URL: an HTTP API, a load balancer. Made, changed and removed on the fake."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mcp_packager import engine
from mcp_packager.errors import PackError
from mcp_packager.target import Endpoint, Intent, Key, Verification
from mcp_packager.testing.aws import ACCOUNT, REGION, Cloud
from mcp_targets._aws.rights import actions
from mcp_targets.aws_lambda.doors import ROUTE
from mcp_targets.aws_lambda.examine import needed_for
from tests.lambda_.deployer import Deployer, account
from tests.lambda_.doors import listener

pytestmark = pytest.mark.timeout(600)
HTTP_API = 'front = "http-api"\n'
BEARER = '[serve.auth]\nmode = "bearer"\nkeys = ["KEY"]\n[secrets.KEY]\n'


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with account(tmp_path, monkeypatch, KEY="k") as made:
        yield made


def balanced(arn: str, more: str = "") -> str:
    return f'front = "alb"\n[target.lambda.alb]\nlistener = "{arn}"\n{more}'


def public(host: str = "tools.example.com") -> str:
    return f'[serve]\npublic_url = "https://{host}"\n{BEARER}'


def asked(address: str, path: str, host: str | None = None) -> tuple[int, str]:
    """What a door answers a plain request."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request("GET", path, headers={} if host is None else {"host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def rules(cloud: Cloud, arn: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.client("elbv2").describe_rules(ListenerArn=arn)["Rules"]
    return [one for one in found if not one["IsDefault"]]


def settled(cloud: Cloud, deployer: Deployer, options: str, more: str) -> None:
    """Hold that the same again is nothing, and that nothing is left when it goes."""
    manifest = deployer.manifest(options, more)
    assert not engine.plan(deployer.intent(manifest, "one"), deployer.world(manifest)).due
    assert not engine.drift(deployer.world(manifest)).drifted


def test_an_http_api_is_made_is_nothing_again_and_is_gone_after_a_destroy(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest(HTTP_API)
    since = len(cloud.faults.asked)
    release = deployer.deploy(manifest).release
    made = [one.partition(" ")[2] for one in cloud.faults.writes(since)]
    order = [one for one in made if one in {"CreateAlias", "CreateApi", "AddPermission", "CreateStage"}]
    assert order == ["CreateAlias", "CreateApi", "AddPermission", "CreateStage"]
    assert "CreateFunctionUrlConfig" not in made
    (api,) = cloud.gateway.apis.values()
    assert release.endpoint.url == f"{api.said['apiEndpoint']}/mcp"
    assert release.endpoint.command[-4:] == ("--service", "execute-api", "--region", REGION)
    assert {one["routeKey"] for one in api.routes.values()} == {
        "ANY /mcp",
        "GET /healthz",
        "GET /.well-known/{proxy+}",
    }
    assert {one["authorizationType"] for one in api.routes.values()} == {"AWS_IAM"}
    settled(cloud, deployer, HTTP_API, "")
    engine.destroy(deployer.world(manifest))
    assert cloud.left() == []


def test_whoever_the_runtime_asks_comes_through_the_api_unasked(cloud: Cloud, deployer: Deployer) -> None:
    deployer.deploy(deployer.manifest(HTTP_API, BEARER), KEY="k")
    (api,) = cloud.gateway.apis.values()
    assert {one["authorizationType"] for one in api.routes.values()} == {"NONE"}
    (integration,) = api.integrations.values()
    assert integration["integrationUri"].endswith(":live")
    assert asked(api.said["apiEndpoint"], "/elsewhere")[0] == 404


def test_an_api_that_was_made_twice_by_a_lost_answer_is_one(cloud: Cloud, deployer: Deployer) -> None:
    cloud.faults.lost.update(["CreateApi", "CreateIntegration", "CreateRoute", "CreateStage", "AddPermission"])
    manifest = deployer.manifest(HTTP_API)
    deployer.deploy(manifest)
    assert len(cloud.gateway.apis) == 1
    (api,) = cloud.gateway.apis.values()
    assert (len(api.integrations), len(api.routes), len(api.stages)) == (1, 3, 1)
    settled(cloud, deployer, HTTP_API, "")
    cloud.faults.lost.update(["DeleteStage", "DeleteRoute", "DeleteIntegration", "DeleteApi"])
    engine.destroy(deployer.world(manifest))
    assert not +cloud.faults.lost
    assert cloud.left() == []


def test_what_is_changed_by_hand_at_the_api_is_drift_and_is_mended(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest(HTTP_API)
    deployer.deploy(manifest)
    ((one, api),) = cloud.gateway.apis.items()
    route = next(each for each in api.routes.values() if each["routeKey"] == "ANY /mcp")
    hands = cloud.client("apigatewayv2")
    hands.update_route(ApiId=one, RouteId=route["routeId"], AuthorizationType="NONE")
    hands.create_route(ApiId=one, RouteKey="$default", Target=route["target"])
    drifted = {change.key for change in engine.drift(deployer.world(manifest)).plan.changes}
    assert Key(ROUTE, "ANY /mcp") in drifted
    deployer.deploy(manifest)
    assert {each["routeKey"]: each["authorizationType"] for each in api.routes.values()} == {
        "ANY /mcp": "AWS_IAM",
        "GET /healthz": "AWS_IAM",
        "GET /.well-known/{proxy+}": "AWS_IAM",
    }
    settled(cloud, deployer, HTTP_API, "")


def test_another_front_is_another_door_and_a_rollback_opens_the_first_again(cloud: Cloud, deployer: Deployer) -> None:
    first = deployer.deploy(deployer.manifest("", BEARER), "one", KEY="k").release
    looked: list[str] = []

    def look(endpoint: Endpoint, intent: Intent) -> Verification:
        looked.append(str(endpoint.url))
        return Verification()

    deployer.verify = look
    second = deployer.deploy(deployer.manifest(HTTP_API, BEARER), "two", KEY="k").release
    (api,) = cloud.gateway.apis.values()
    assert looked[-1] == second.endpoint.url == f"{api.said['apiEndpoint']}/mcp"
    (function,) = cloud.account.functions.values()
    assert function.urls == {}
    assert list(function.policies["live"]) == ["mcp-pack-api"]
    world = deployer.world(deployer.manifest(HTTP_API, BEARER))
    back = engine.rollback(world, verify=deployer.verify).release
    assert back.endpoint.url == looked[-1]
    assert back.endpoint.url != second.endpoint.url
    assert cloud.gateway.apis == {}
    assert len(function.urls) == 1
    assert first.endpoint.command == back.endpoint.command == ()


def test_a_load_balancer_gets_a_group_and_a_rule_and_loses_both(cloud: Cloud, deployer: Deployer) -> None:
    arn = listener(cloud)
    since = len(cloud.faults.asked)
    manifest = deployer.manifest(balanced(arn), public())
    release = deployer.deploy(manifest, KEY="k").release
    order = [one.partition(" ")[2] for one in cloud.faults.writes(since)]
    steps = ["CreateAlias", "AddPermission", "RegisterTargets", "CreateRule"]
    assert [one for one in order if one in steps] == steps
    assert order.index("CreateTargetGroup") < order.index("RegisterTargets")
    assert (release.endpoint.url, release.endpoint.command) == ("https://tools.example.com/mcp", ())
    (rule,) = rules(cloud, arn)
    assert [one.get("HostHeaderConfig", one.get("PathPatternConfig"))["Values"] for one in rule["Conditions"]] == [
        ["tools.example.com"],
        ["/mcp", "/.well-known/oauth-protected-resource/mcp"],
    ]
    settled(cloud, deployer, balanced(arn), public())
    engine.destroy(deployer.world(manifest))
    assert cloud.left() == []
    assert rules(cloud, arn) == []


def test_a_rule_takes_the_first_place_that_is_free_and_leaves_those_of_others(cloud: Cloud, deployer: Deployer) -> None:
    arn = listener(cloud)
    theirs = {"Field": "host-header", "HostHeaderConfig": {"Values": ["other.example.com"]}}
    away = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "410"}}
    for place in (1, 3):
        cloud.client("elbv2").create_rule(ListenerArn=arn, Priority=place, Conditions=[theirs], Actions=[away])
    cloud.faults.lost.update(["CreateRule", "CreateTargetGroup", "RegisterTargets"])
    deployer.deploy(deployer.manifest(balanced(arn), public()), KEY="k")
    assert not +cloud.faults.lost
    ours = [one for one in rules(cloud, arn) if one["Actions"][0]["Type"] == "forward"]
    assert [one["Priority"] for one in ours] == ["2"]
    deployer.deploy(deployer.manifest(balanced(arn, "priority = 7\n"), public()), KEY="k")
    assert sorted(one["Priority"] for one in rules(cloud, arn)) == ["1", "3", "7"]
    cloud.faults.lost.update(["DeleteRule", "DeregisterTargets", "DeleteTargetGroup"])
    engine.destroy(deployer.world(deployer.manifest(balanced(arn), public())))
    assert sorted(one["Priority"] for one in rules(cloud, arn)) == ["1", "3"]
    assert cloud.left() == []


@pytest.mark.parametrize(
    ("theirs", "more", "what"),
    [
        ("tools.example.com", "", "a rule of somebody else's answers for the same host and path already"),
        ("other.example.com", "priority = 1\n", "the place 1 of the listener is taken"),
    ],
)
def test_a_place_or_a_host_of_somebody_else_s_is_left_to_them(
    cloud: Cloud, deployer: Deployer, theirs: str, more: str, what: str
) -> None:
    arn = listener(cloud)
    conditions = [
        {"Field": "host-header", "HostHeaderConfig": {"Values": [theirs]}},
        {
            "Field": "path-pattern",
            "PathPatternConfig": {"Values": ["/mcp", "/.well-known/oauth-protected-resource/mcp"]},
        },
    ]
    away = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "410"}}
    cloud.client("elbv2").create_rule(ListenerArn=arn, Priority=1, Conditions=conditions, Actions=[away])
    with pytest.raises(PackError, match=what):
        deployer.deploy(deployer.manifest(balanced(arn, more), public()), KEY="k")
    assert len(rules(cloud, arn)) == 1
    assert [one for one in cloud.left() if one.startswith(("function", "target group"))] == []


def test_a_load_balancer_that_waits_less_long_than_a_call_takes_is_told_before_anything_is_made(
    cloud: Cloud, deployer: Deployer
) -> None:
    slow = public().replace("[serve]\n", '[serve]\ntimeout = "2m"\n')
    with pytest.raises(PackError, match="answers for a call itself after 60 s, and a call may take longer"):
        deployer.deploy(deployer.manifest(balanced(listener(cloud)), slow), KEY="k")
    assert [one for one in cloud.left() if not one.startswith("parameter")] == []


def test_a_listener_that_is_not_there_is_told_before_anything_is_made(cloud: Cloud, deployer: Deployer) -> None:
    elsewhere = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/gone/50dc6c495c0c9188/f2f7dc8efc522ab2"
    with pytest.raises(PackError, match="there is no such listener"):
        deployer.deploy(deployer.manifest(balanced(elsewhere), public()), KEY="k")
    assert [one for one in cloud.left() if not one.startswith("parameter")] == []


def test_another_listener_is_led_to_in_the_place_of_the_first(cloud: Cloud, deployer: Deployer) -> None:
    first, second = listener(cloud), listener(cloud, "other")
    deployer.deploy(deployer.manifest(balanced(first), public()), KEY="k")
    deployer.deploy(deployer.manifest(balanced(second), public()), KEY="k")
    assert rules(cloud, first) == []
    assert len(rules(cloud, second)) == 1
    # And the way back to a URL takes all of it away, though the manifest names no listener any more.
    deployer.deploy(deployer.manifest("", BEARER), KEY="k")
    assert rules(cloud, second) == []
    assert [one for one in cloud.left() if one.startswith("target group")] == []


@pytest.mark.parametrize("front", ["http-api", "alb"])
def test_a_door_that_stood_before_the_function_was_removed_by_hand_goes_too(
    cloud: Cloud, deployer: Deployer, front: str
) -> None:
    options, more = (HTTP_API, BEARER) if front == "http-api" else (balanced(listener(cloud)), public())
    deployer.deploy(deployer.manifest(options, more), KEY="k")
    (function,) = cloud.account.functions
    cloud.client("lambda").delete_function(FunctionName=function)
    engine.destroy(deployer.world(deployer.manifest("", BEARER)))
    assert cloud.left() == []


@pytest.mark.parametrize("front", ["http-api", "alb"])
def test_every_call_that_a_door_takes_is_among_the_rights_of_a_deployer(
    cloud: Cloud, deployer: Deployer, front: str
) -> None:
    options, more = (HTTP_API, BEARER) if front == "http-api" else (balanced(listener(cloud)), public())
    since = len(cloud.faults.asked)
    manifest = deployer.manifest(options, more)
    deployer.deploy(manifest, KEY="k")
    deployer.deploy(manifest, "two", KEY="k")
    engine.destroy(deployer.world(manifest))
    verbs = {"Create": "POST", "Update": "PATCH", "Delete": "DELETE", "Get": "GET"}
    made = set()
    for one in cloud.faults.asked[since:]:
        service, _, call = one.partition(" ")
        if service == "apigateway":
            call = next(method for verb, method in verbs.items() if call.startswith(verb))
        made.add(f"{service.replace('monitoring', 'cloudwatch')}:{call}")
    assert made - {"sts:GetCallerIdentity"} <= set(actions(needed_for(manifest.targets["lambda"])))
