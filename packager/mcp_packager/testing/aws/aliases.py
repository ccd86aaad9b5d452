"""Aliases and their shares of traffic. Lambda API reference, CreateAlias and UpdateAlias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_packager.testing.aws.account import Account, Answer, Asked, Move, page
from mcp_packager.testing.aws.refusals import conflict, invalid, missing, outdated
from mcp_packager.testing.aws.state import LATEST, Alias, Function, revision


def create(account: Account, asked: Asked) -> Answer:
    """CreateAlias."""
    function, name = account.function(asked), asked["Name"]
    if name in function.aliases:
        raise conflict(f"Alias already exists: {function.named(name)}")
    weights = _weights(asked)
    _check(function, asked["FunctionVersion"], weights)
    alias = Alias(name, asked["FunctionVersion"], weights, asked.get("Description", ""))
    function.aliases[name] = alias
    _moved(account, function, alias)
    return _said(function, alias)


def get(account: Account, asked: Asked) -> Answer:
    """GetAlias."""
    function = account.function(asked)
    return _said(function, _alias(function, asked["Name"]))


def listed(account: Account, asked: Asked) -> Answer:
    """ListAliases."""
    function, wanted = account.function(asked), asked.get("FunctionVersion")
    there = [one for _, one in sorted(function.aliases.items()) if wanted in {None, one.number, *one.weights}]
    return page(asked, [_said(function, one) for one in there], "Aliases")


def update(account: Account, asked: Asked) -> Answer:
    """UpdateAlias: what is not named stays, weights included."""
    function = account.function(asked)
    alias = _alias(function, asked["Name"])
    if asked.get("RevisionId") not in {None, "", alias.revision}:
        raise outdated()
    number = asked.get("FunctionVersion") or alias.number
    weights = _weights(asked) if "RoutingConfig" in asked else alias.weights
    _check(function, number, weights)
    if number != alias.number and alias.name in function.provisioned:
        # Lambda developer guide, "Configuring provisioned concurrency": it is allocated anew for the other version.
        function.provisioned[alias.name]["settling"] = account.slow
    alias.number, alias.weights, alias.revision = number, weights, revision()
    alias.description = asked.get("Description", alias.description)
    _moved(account, function, alias)
    return _said(function, alias)


def delete(account: Account, asked: Asked) -> Answer:
    """DeleteAlias; what hangs on the alias goes with it. One that is not there is fine."""
    function, name = account.function(asked), asked["Name"]
    function.aliases.pop(name, None)
    if name in function.urls:
        account.closed(function.urls.pop(name))
    function.policies.pop(name, None)
    function.provisioned.pop(name, None)
    return {}


def _alias(function: Function, name: str) -> Alias:
    if name not in function.aliases:
        raise missing(f"Cannot find alias arn: {function.named(name)}")
    return function.aliases[name]


def _weights(asked: Asked) -> dict[str, float]:
    routing = asked.get("RoutingConfig") or {}
    return {number: float(weight) for number, weight in (routing.get("AdditionalVersionWeights") or {}).items()}


def _check(function: Function, number: str, weights: Mapping[str, float]) -> None:
    # Lambda developer guide, "Implement Lambda canary deployments using a weighted alias": at most two versions, both
    # published, with the same role and the same dead letters.
    for one in (number, *weights):
        if one != LATEST and one not in function.versions:
            raise missing(f"Function not found: {function.named(one)}")
    if not weights:
        return
    if len(weights) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if LATEST in {number, *weights}:
        raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    ((other, weight),) = weights.items()
    if not 0.0 <= weight <= 1.0:
        raise invalid(f"Value '{weight}' of a weight is not between 0 and 1")
    if other == number:
        raise invalid("Primary and additional version of an alias cannot be the same")
    first, second = function.versions[number].settings, function.versions[other].settings
    for name in ("Role", "DeadLetterConfig"):
        if first[name] != second[name]:
            raise invalid(f"The versions of an alias must have the same {name}")


def _moved(account: Account, function: Function, alias: Alias) -> None:
    for number in (alias.number, *alias.weights):
        was_called = f"{function.name}:{number}" in account.called
        account.moves.append(Move(alias.name, number, was_called))


def _said(function: Function, alias: Alias) -> dict[str, Any]:
    said: dict[str, Any] = {
        "AliasArn": function.named(alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.number,
        "Description": alias.description,
        "RevisionId": alias.revision,
    }
    return {**said, "RoutingConfig": {"AdditionalVersionWeights": alias.weights}} if alias.weights else said
