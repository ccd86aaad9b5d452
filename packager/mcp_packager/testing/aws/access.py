"""How a function is reached: URLs and policies. Lambda developer guide, "Control access to Lambda function URLs"."""

from __future__ import annotations

import fnmatch
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

from mcp_packager.testing.aws.account import Account, Answer, Asked, page
from mcp_packager.testing.aws.refusals import conflict, invalid, missing, outdated, unlike
from mcp_packager.testing.aws.state import Function, Url, revision

URL_ACTION, INVOKE_ACTION = "lambda:InvokeFunctionUrl", "lambda:InvokeFunction"


def create_url(account: Account, asked: Asked) -> Answer:
    """CreateFunctionUrlConfig."""
    function, qualifier = account.function(asked), _url_qualifier(asked)
    if qualifier and qualifier not in function.aliases:
        raise missing(f"Function not found: {function.named(qualifier)}")
    if qualifier in function.urls:
        raise conflict(
            "Failed to create function url config for "
            f"[functionArn = {function.named(qualifier)}]. Error message:  FunctionUrlConfig exists for this Lambda "
            "function"
        )
    identity = secrets.token_hex(16)
    mode = asked.get("InvokeMode", "BUFFERED")
    url = Url(qualifier, "", identity, asked["AuthType"], mode, dict(asked.get("Cors") or {}))
    url.address = account.opened(function, url)
    function.urls[qualifier] = url
    return _said(function, url)


def get_url(account: Account, asked: Asked) -> Answer:
    """GetFunctionUrlConfig."""
    function = account.function(asked)
    return _said(function, _url(function, asked))


def list_urls(account: Account, asked: Asked) -> Answer:
    """ListFunctionUrlConfigs."""
    function = account.function(asked)
    return page(asked, [_said(function, one) for _, one in sorted(function.urls.items())], "FunctionUrlConfigs")


def update_url(account: Account, asked: Asked) -> Answer:
    """UpdateFunctionUrlConfig: what is not named stays."""
    function = account.function(asked)
    url = _url(function, asked)
    url.auth = asked.get("AuthType", url.auth)
    url.mode = asked.get("InvokeMode", url.mode)
    url.cors = dict(asked.get("Cors", url.cors))
    return _said(function, url)


def delete_url(account: Account, asked: Asked) -> Answer:
    """DeleteFunctionUrlConfig."""
    function = account.function(asked)
    url = _url(function, asked)
    del function.urls[url.qualifier]
    account.closed(url)
    return {}


def add(account: Account, asked: Asked) -> Answer:
    """AddPermission: a statement in the policy of a function, of a version or of an alias."""
    function, qualifier = account.function(asked), asked.get("Qualifier", "")
    function.version(qualifier)
    identity, action = asked["StatementId"], asked["Action"]
    _as_it_was(function, qualifier, asked)
    there = function.policies.setdefault(qualifier, {})
    if identity in there:
        raise conflict(
            f"The statement id ({identity}) provided already exists. Please provide a new statement id, or remove the "
            "existing statement."
        )
    if "FunctionUrlAuthType" in asked and action != URL_ACTION:
        raise invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
    if asked.get("InvokedViaFunctionUrl") and action != INVOKE_ACTION:
        raise invalid("InvokedViaFunctionUrl is only supported for lambda:InvokeFunction action")
    statement = {
        "Sid": identity,
        "Effect": "Allow",
        "Principal": _principal(asked["Principal"]),
        "Action": action,
        "Resource": function.named(qualifier),
        **_condition(asked),
    }
    there[identity] = statement
    function.policy_revisions[qualifier] = revision()
    return {"Statement": json.dumps(statement)}


def remove(account: Account, asked: Asked) -> Answer:
    """RemovePermission."""
    function, qualifier = account.function(asked), asked.get("Qualifier", "")
    function.version(qualifier)
    _as_it_was(function, qualifier, asked)
    there = function.policies.get(qualifier, {})
    if asked["StatementId"] not in there:
        raise missing(f"Statement {asked['StatementId']} is not found in resource policy.")
    del there[asked["StatementId"]]
    function.policy_revisions[qualifier] = revision()
    return {}


def policy(account: Account, asked: Asked) -> Answer:
    """GetPolicy: each version and alias has a policy of its own."""
    function, qualifier = account.function(asked), asked.get("Qualifier", "")
    function.version(qualifier)
    there = function.policies.get(qualifier)
    if not there:
        raise missing("The resource you requested does not exist.")
    document = {"Version": "2012-10-17", "Id": "default", "Statement": list(there.values())}
    return {"Policy": json.dumps(document), "RevisionId": function.policy_revisions[qualifier]}


def let_through(function: Function, url: Url, account: str | None) -> bool:
    """Whether a URL's policy lets somebody in; ``account`` is whose signature a request carries, if it carries one.

    Both rights are needed (the guide named above): one to call the URL, one to invoke through it.
    """
    return all(
        any(_allows(one, action, url, account) for one in function.policies.get(url.qualifier, {}).values())
        for action in (URL_ACTION, INVOKE_ACTION)
    )


def may_invoke(function: Function, qualifier: str, service: str, source: str) -> bool:
    """Whether a service may invoke an alias or a version for something of its own, which ``source`` names by ARN."""
    return any(
        one["Action"] in {INVOKE_ACTION, "lambda:*"}
        and one["Principal"] == {"Service": service}
        and fnmatch.fnmatchcase(source, one.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", "*"))
        for one in function.policies.get(qualifier, {}).values()
    )


def _allows(statement: Mapping[str, Any], action: str, url: Url, account: str | None) -> bool:
    if statement["Action"] not in {action, "lambda:*"}:
        return False
    who = statement["Principal"]
    known = who == "*" or (account is not None and who == {"AWS": f"arn:aws:iam::{account}:root"})
    condition = statement.get("Condition", {})
    kind = condition.get("StringEquals", {}).get("lambda:FunctionUrlAuthType", url.auth)
    return bool(known and kind == url.auth)


def _condition(asked: Asked) -> dict[str, Any]:
    equal: dict[str, str] = {}
    if "FunctionUrlAuthType" in asked:
        equal["lambda:FunctionUrlAuthType"] = asked["FunctionUrlAuthType"]
    if "SourceAccount" in asked:
        equal["AWS:SourceAccount"] = asked["SourceAccount"]
    made: dict[str, Any] = {"StringEquals": equal} if equal else {}
    if "SourceArn" in asked:
        made["ArnLike"] = {"AWS:SourceArn": asked["SourceArn"]}
    if asked.get("InvokedViaFunctionUrl"):
        made["Bool"] = {"lambda:InvokedViaFunctionUrl": "true"}
    return {"Condition": made} if made else {}


def _principal(named: str) -> Any:
    if named == "*":
        return "*"
    if re.fullmatch(r"[0-9]{12}", named):
        return {"AWS": f"arn:aws:iam::{named}:root"}
    if named.startswith("arn:"):
        return {"AWS": named}
    if named.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return {"Service": named}
    raise invalid("The provided principal was invalid. Please check the principal and try again.")


def _as_it_was(function: Function, qualifier: str, asked: Asked) -> None:
    if asked.get("RevisionId") not in {None, "", function.policy_revisions.get(qualifier, "")}:
        raise outdated()


def _url_qualifier(asked: Asked) -> str:
    qualifier: str = asked.get("Qualifier") or ""
    # API reference, CreateFunctionUrlConfig: Qualifier is an alias's name, and no number.
    if qualifier and re.fullmatch(r"\$LATEST|[0-9]+", qualifier):
        raise unlike(f"Value '{qualifier}' at 'qualifier' failed to satisfy constraint: it must be an alias")
    return qualifier


def _url(function: Function, asked: Asked) -> Url:
    qualifier = _url_qualifier(asked)
    if qualifier not in function.urls:
        raise missing("The resource you requested does not exist.")
    return function.urls[qualifier]


def _said(function: Function, url: Url) -> dict[str, Any]:
    return {
        "FunctionUrl": url.address,
        "FunctionArn": function.named(url.qualifier),
        "AuthType": url.auth,
        "InvokeMode": url.mode,
        "CreationTime": url.made,
        "LastModifiedTime": url.made,
        **({"Cors": url.cors} if url.cors else {}),
    }
