"""A listener's rules as they are told, and as they are wanted. Pure: from data to data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_packager.target import Value, owned

_CONFIGS: Final = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}

Said = Mapping[str, Any]


def groups_of(action: Said) -> set[str]:
    """The target groups that an action of a rule leads to."""
    many = (action.get("ForwardConfig") or {}).get("TargetGroups") or ()
    return {str(one.get("TargetGroupArn")) for one in (action, *many)}


def values_of(conditions: Any) -> dict[str, tuple[str, ...]]:
    """What a rule's conditions ask for, by field; AWS tells the values of some fields in two places."""
    return {
        one["Field"]: tuple(sorted((one.get(_CONFIGS.get(one["Field"], "")) or one).get("Values") or ()))
        for one in conditions
    }


def rule_fields(listener: str, rule: Said) -> dict[str, Value]:
    """A rule as it was asked for."""
    (action, *_) = rule["Actions"]
    (group, *_) = sorted(groups_of(action) - {"None"}) or [""]
    priority = str(rule["Priority"])
    return {
        "ListenerArn": listener,
        "Conditions": [
            {"Field": one["Field"], name: {"Values": list((one.get(name) or one).get("Values") or ())}}
            if (name := _CONFIGS.get(one["Field"])) is not None
            else {"Field": one["Field"]}
            for one in rule["Conditions"]
        ],
        "Actions": [{"Type": action["Type"], "TargetGroupArn": group}],
        "Priority": int(priority) if priority.isdigit() else 0,
    }


def as_ruled(observed: Mapping[str, Value], desired: Mapping[str, Value]) -> Mapping[str, Value]:
    """A rule's fields as far as they are ours; the order of its conditions is nobody's."""
    found = dict(owned(observed, desired))
    if values_of(found.get("Conditions") or ()) == values_of(desired["Conditions"]):
        found["Conditions"] = desired["Conditions"]
    return found
