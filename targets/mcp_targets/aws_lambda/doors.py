"""What leads clients to the alias: a URL, an HTTP API or a load balancer, as resources. Pure: from data to data.

There is one door at a time. Another one is another address; the old door goes when the new one serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcp_packager.target import Alphabet, DesiredInput, Identity, Phase, Ref, Resource, Value, auth_mode

if TYPE_CHECKING:
    from mcp_targets.aws_lambda.options import Options
    from mcp_targets.aws_lambda.place import Where

URL: Final = "url"
PERMISSION: Final = "permission"
API: Final = "http-api"
INTEGRATION: Final = "http-integration"
ROUTE: Final = "http-route"
STAGE: Final = "http-stage"
TARGET_GROUP: Final = "target-group"
TARGET: Final = "target"
RULE: Final = "listener-rule"

OF_AN_API: Final = frozenset({API, INTEGRATION, ROUTE, STAGE})
OF_A_BALANCER: Final = frozenset({TARGET_GROUP, TARGET, RULE})

LIVE: Final = "live"
"""The alias that clients reach, and the name of what there is one of."""
DEFAULT_STAGE: Final = "$default"
MULTI: Final = "lambda.multi_value_headers.enabled"
"""The attribute of a target group by which each value of a header arrives (Elastic Load Balancing user guide)."""

LONGEST_OF_AN_API: Final = 30.0
"""Seconds after which an HTTP API gives up, which cannot be raised (API Gateway developer guide, "Quotas for HTTP
APIs", "Maximum integration timeout")."""
MOST_OF_A_BALANCER: Final = 1_000_000
"""Bytes of a request or an answer of a function behind a load balancer (Elastic Load Balancing user guide, "Lambda
functions as targets": 1 MB, with the event's own JSON around it)."""

_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_HEALTH: Final = "/healthz"
_GROUP: Final = Alphabet(32)
"""A target group's name (Elastic Load Balancing API reference, CreateTargetGroup)."""


def door(request: DesiredInput, options: Options, place: Where, function: Resource, alias: Resource) -> list[Resource]:
    """What leads to the alias, with the rights that it needs there."""
    match options.front:
        case "url":
            return _url(request, options, place, function, alias)
        case "http-api":
            return _api(request, place, function, alias)
        case "alb":
            return _balancer(request, options, place, function, alias)


def alias_arn(place: Where, function: str) -> str:
    """The ARN of what clients are led to."""
    return place.arn("lambda", f"function:{function}:{LIVE}")


def group_name(identity: Identity) -> str:
    """What a deployment's target group is called."""
    return identity.name(alphabet=_GROUP)


def public_address(public_url: str, path: str) -> str:
    """Where clients of a load balancer call: the public URL, which may end with the path already."""
    base = public_url.rstrip("/")
    return base if path == "/" or urlsplit(base).path.endswith(path) else f"{base}{path}"


def _right(name: str, function: Resource, alias: Resource, **fields: Value) -> Resource:
    on = {"FunctionName": function.name, "Qualifier": LIVE}
    return Resource(PERMISSION, name, {**on, **fields}, (alias.key,), phase=Phase.SWITCH)


def _url(request: DesiredInput, options: Options, place: Where, function: Resource, alias: Resource) -> list[Resource]:
    """A URL, and the two rights that it needs (Lambda developer guide, "Control access to URLs")."""
    public = auth_mode(request.config) != "iam"
    auth = "NONE" if public else "AWS_IAM"
    invoke = "RESPONSE_STREAM" if options.streaming else "BUFFERED"
    fields = {"FunctionName": function.name, "Qualifier": LIVE, "AuthType": auth, "InvokeMode": invoke}
    who = "*" if public else place.account
    return [
        Resource(URL, LIVE, fields, (alias.key,), phase=Phase.SWITCH),
        _right("url", function, alias, Principal=who, Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType=auth),
        _right("invoke", function, alias, Principal=who, Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True),
    ]


def _api(request: DesiredInput, place: Where, function: Resource, alias: Resource) -> list[Resource]:
    """An HTTP API with the routes that the server has, and the right to invoke the alias.

    Where AWS asks who calls, it asks on every route. Where the runtime asks, no route has an authorizer: the refusal of
    one would not name the metadata by which MCP clients find out where to log in.
    """
    auth = "AWS_IAM" if auth_mode(request.config) == "iam" else "NONE"
    made = Resource(
        API,
        function.name,
        {
            "Name": function.name,
            "ProtocolType": "HTTP",
            "Description": f"{request.identity}, deployed by mcp-pack"[:1024],
            "DisableExecuteApiEndpoint": False,
        },
        (alias.key,),
        phase=Phase.SWITCH,
    )
    of = Ref(made.key, "ApiId")
    source = Ref(made.key, "source")
    right = _right(
        "api", function, alias, Principal="apigateway.amazonaws.com", Action="lambda:InvokeFunction", SourceArn=source
    )
    integration = Resource(
        INTEGRATION,
        LIVE,
        {
            "ApiId": of,
            "IntegrationType": "AWS_PROXY",
            "IntegrationMethod": "POST",
            "IntegrationUri": alias_arn(place, function.name),
            "PayloadFormatVersion": "2.0",
            "TimeoutInMillis": int(LONGEST_OF_AN_API * 1000),
        },
        phase=Phase.SWITCH,
    )
    path = request.manifest.serve.path
    routes = [
        Resource(
            ROUTE,
            key,
            {"ApiId": of, "RouteKey": key, "AuthorizationType": auth, "Target": Ref(integration.key, "target")},
            (right.key,),
            phase=Phase.SWITCH,
        )
        for key in (f"ANY {path}", f"GET {_HEALTH}", "GET /.well-known/{proxy+}")
    ]
    stage = Resource(
        STAGE,
        DEFAULT_STAGE,
        {"ApiId": of, "StageName": DEFAULT_STAGE, "AutoDeploy": True},
        tuple(one.key for one in routes),
        phase=Phase.SWITCH,
    )
    return [made, right, integration, *routes, stage]


def _balancer(
    request: DesiredInput, options: Options, place: Where, function: Resource, alias: Resource
) -> list[Resource]:
    """A target group with the alias in it, and the rule of the listener that leads there.

    The right names every group of that name, in the place of the one ARN that AWS makes up: it has to be there before
    the alias is registered, and in a template the group registers it while it is made.
    """
    assert options.alb is not None  # noqa: S101 - judged before
    group = Resource(
        TARGET_GROUP,
        group_name(request.identity),
        {
            "Name": group_name(request.identity),
            "TargetType": "lambda",
            "HealthCheckEnabled": False,  # each look would be an invocation that is paid for
            "Attributes": {MULTI: "true"},
        },
        (alias.key,),
        phase=Phase.SWITCH,
    )
    right = _right(
        "alb",
        function,
        alias,
        Principal="elasticloadbalancing.amazonaws.com",
        Action="lambda:InvokeFunction",
        SourceArn=place.arn("elasticloadbalancing", f"targetgroup/{group.name}/*"),
    )
    target = Resource(
        TARGET,
        LIVE,
        {"TargetGroupArn": Ref(group.key, "arn"), "Id": alias_arn(place, function.name)},
        (right.key,),
        phase=Phase.SWITCH,
    )
    serve = request.manifest.serve
    shown = urlsplit(public_address(serve.public_url or "", serve.path))
    paths = [shown.path or "/", f"{_WELL_KNOWN}{shown.path.rstrip('/')}"]
    fields: dict[str, Value] = {
        "ListenerArn": options.alb.listener,
        "Conditions": [
            {"Field": "host-header", "HostHeaderConfig": {"Values": [shown.hostname or ""]}},
            {"Field": "path-pattern", "PathPatternConfig": {"Values": paths}},
        ],
        "Actions": [{"Type": "forward", "TargetGroupArn": Ref(group.key, "arn")}],
    }
    if options.alb.priority is not None:
        fields["Priority"] = options.alb.priority
    rule = Resource(RULE, LIVE, fields, (target.key,), phase=Phase.SWITCH)
    return [group, right, target, rule]
