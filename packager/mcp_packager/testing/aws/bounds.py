"""Concurrency, asynchronous invocations, tags, and what the account may have."""

from __future__ import annotations

from mcp_packager.testing.aws.account import Account, Answer, Asked
from mcp_packager.testing.aws.refusals import RefusedError, invalid, missing
from mcp_packager.testing.aws.state import LATEST, Function, now

LIMIT, UNRESERVED = 1000, 100
"""Executions at a time of an account, and how many of them no function may reserve (Lambda developer guide,
"Configuring reserved concurrency")."""


def reserve(account: Account, asked: Asked) -> Answer:
    """PutFunctionConcurrency."""
    function, wanted = account.function(asked), asked["ReservedConcurrentExecutions"]
    others = sum(one.reserved or 0 for one in account.functions.values() if one is not function)
    if LIMIT - others - wanted < UNRESERVED:
        raise invalid(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{UNRESERVED}]."
        )
    function.reserved = wanted
    return {"ReservedConcurrentExecutions": wanted}


def reserved(account: Account, asked: Asked) -> Answer:
    """GetFunctionConcurrency."""
    found = account.function(asked).reserved
    return {} if found is None else {"ReservedConcurrentExecutions": found}


def unreserve(account: Account, asked: Asked) -> Answer:
    """DeleteFunctionConcurrency."""
    account.function(asked).reserved = None
    return {}


def provision(account: Account, asked: Asked) -> Answer:
    """PutProvisionedConcurrencyConfig (Lambda developer guide, "Configuring provisioned concurrency")."""
    function, qualifier = account.function(asked), asked["Qualifier"]
    version, wanted = function.version(qualifier), asked["ProvisionedConcurrentExecutions"]
    if LATEST in {qualifier, version.number}:
        raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
    if qualifier in function.aliases and function.aliases[qualifier].weights:
        # AWS's own words, as told in hashicorp/terraform#24957.
        raise invalid("Alias with weights can not be used with Provisioned Concurrency")
    if version.settings["SnapStart"]["ApplyOn"] != "None":
        raise invalid("Provisioned concurrency is not supported with SnapStart.")
    if function.reserved is not None and wanted > function.reserved:
        raise invalid(
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
        )
    function.provisioned[qualifier] = {"wanted": wanted, "settling": account.slow, "made": now()}
    return _provisioned(function, qualifier)


def provisioned(account: Account, asked: Asked) -> Answer:
    """GetProvisionedConcurrencyConfig. Each look brings it closer to being ready."""
    function, qualifier = account.function(asked), asked["Qualifier"]
    if qualifier not in function.provisioned:
        raise RefusedError(
            404, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found"
        )
    said = _provisioned(function, qualifier)
    held = function.provisioned[qualifier]
    held["settling"] = max(held["settling"] - 1, 0)
    return said


def list_provisioned(account: Account, asked: Asked) -> Answer:
    """ListProvisionedConcurrencyConfigs."""
    function = account.function(asked)
    found = [{"FunctionArn": function.named(one), **_provisioned(function, one)} for one in function.provisioned]
    return {"ProvisionedConcurrencyConfigs": found}


def unprovision(account: Account, asked: Asked) -> Answer:
    """DeleteProvisionedConcurrencyConfig."""
    account.function(asked).provisioned.pop(asked["Qualifier"], None)
    return {}


def _provisioned(function: Function, qualifier: str) -> Answer:
    held = function.provisioned[qualifier]
    ready = not held["settling"]
    return {
        "RequestedProvisionedConcurrentExecutions": held["wanted"],
        "AvailableProvisionedConcurrentExecutions": held["wanted"] if ready else 0,
        "AllocatedProvisionedConcurrentExecutions": held["wanted"] if ready else 0,
        "Status": "READY" if ready else "IN_PROGRESS",
        "LastModified": held["made"],
    }


def tags(account: Account, asked: Asked) -> Answer:
    """ListTags: of a function as a whole; a version or an alias has none."""
    return {"Tags": dict(_tagged(account, asked).tags)}


def tag(account: Account, asked: Asked) -> Answer:
    """TagResource."""
    _tagged(account, asked).tags.update(asked["Tags"])
    return {}


def untag(account: Account, asked: Asked) -> Answer:
    """UntagResource."""
    function = _tagged(account, asked)
    function.tags = {key: value for key, value in function.tags.items() if key not in asked["TagKeys"]}
    return {}


def _tagged(account: Account, asked: Asked) -> Function:
    found = next((one for one in account.functions.values() if one.arn == asked["Resource"]), None)
    if found is None:
        raise missing(f"Function not found: {asked['Resource']}")
    return found


def account_settings(account: Account, _: Asked) -> Answer:
    """GetAccountSettings."""
    taken = sum(one.reserved or 0 for one in account.functions.values())
    return {
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": LIMIT,
            "UnreservedConcurrentExecutions": LIMIT - taken,
        },
        "AccountUsage": {
            "TotalCodeSize": sum(one.latest.code.size for one in account.functions.values()),
            "FunctionCount": len(account.functions),
        },
    }


def asynchronous(account: Account, asked: Asked) -> Answer:
    """PutFunctionEventInvokeConfig."""
    function, qualifier = account.function(asked), asked.get("Qualifier", LATEST)
    function.version(qualifier)
    kept = {key: asked[key] for key in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds") if key in asked}
    function.asynchronous[qualifier] = {**kept, "DestinationConfig": asked.get("DestinationConfig") or {}}
    return _asynchronous(function, qualifier)


def get_asynchronous(account: Account, asked: Asked) -> Answer:
    """GetFunctionEventInvokeConfig."""
    function, qualifier = account.function(asked), asked.get("Qualifier", LATEST)
    if qualifier not in function.asynchronous:
        raise missing(f"The function {function.named(qualifier)} doesn't have an EventInvokeConfig")
    return _asynchronous(function, qualifier)


def drop_asynchronous(account: Account, asked: Asked) -> Answer:
    """DeleteFunctionEventInvokeConfig."""
    account.function(asked).asynchronous.pop(asked.get("Qualifier", LATEST), None)
    return {}


def _asynchronous(function: Function, qualifier: str) -> Answer:
    return {"FunctionArn": function.named(qualifier), **function.asynchronous[qualifier]}
