"""A load balancer in front of the alias: a target group of ours, and a rule of ours on a listener of somebody's.

A rule leads to the group, and is found again by it, also where the manifest names another listener by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.target import Identity, Observed, Resource, Value
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import is_ours, listed, strange, tags, unlisted
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.doors import LIVE, MULTI, RULE, TARGET, TARGET_GROUP, group_name
from mcp_targets.aws_lambda.ruling import as_ruled, groups_of, rule_fields, values_of

_NO_GROUP: Final = "TargetGroupNotFound"
_DUPLICATE: Final = "DuplicateTargetGroupName"
_NO_RULE: Final = "RuleNotFound"
_NO_TARGET: Final = "InvalidTarget"
_NO_LISTENER: Final = "ListenerNotFound"
_TAKEN: Final = "PriorityInUse"
_NO_BALANCER: Final = "LoadBalancerNotFound"
_IDLE: Final = "idle_timeout.timeout_seconds"
_WAITS: Final = 60.0
"""Seconds that a load balancer waits where it says nothing else."""
_HIGHEST: Final = 50_000
_TRIES: Final = 20
_MOST_ARNS: Final = 20
"""Things whose tags one call tells (Elastic Load Balancing API reference, DescribeTags)."""

Said = Mapping[str, Any]


class Balancers:
    """What one deployment has at a load balancer. ``listener`` is the one that the manifest names."""

    def __init__(self, aws: Aws, identity: Identity, listener: str | None) -> None:
        self._aws = aws
        self._identity = identity
        self._listener = listener
        self._name = group_name(identity)

    def observe(self) -> Iterator[Observed]:
        """The target group, what is in it, and the rules that lead there."""
        group = self._group()
        arn = "" if group is None else str(group["TargetGroupArn"])
        if group is None or not is_ours(self._tags([arn]).get(arn, {}), self._identity):
            return
        yield Observed(TARGET_GROUP, self._name, self._group_fields(group))
        for target in self._targets(arn):
            yield Observed(TARGET, LIVE, {"TargetGroupArn": arn, "Id": target})
        for place, (listener, rule) in enumerate(self._rules(group)):
            yield Observed(RULE, rule["RuleArn"] if place else LIVE, rule_fields(listener, rule))

    def apply(self, resource: Resource) -> Mapping[str, Value]:
        """Make one of them, or set it right."""
        match resource.kind:
            case "target-group":
                return self._made(resource.fields)
            case "target":
                return self._registered(resource.fields)
            case _:
                return self._ruled(resource.fields)

    def remove(self, kind: str, name: str) -> None:
        """Remove one of them; what is gone is fine."""
        from botocore.exceptions import ClientError

        group = self._held()
        if group is None:
            return
        arn = group["TargetGroupArn"]
        with speaking(f"remove the {kind} of {self._name}"):
            try:
                match kind:
                    case "target-group":
                        self._client.delete_target_group(TargetGroupArn=arn)
                    case "target":
                        for one in self._targets(arn):
                            self._client.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": one}])
                    case _:
                        for _, rule in self._rules(group):
                            if name in {LIVE, rule["RuleArn"]}:
                                self._client.delete_rule(RuleArn=rule["RuleArn"])
            except ClientError as error:
                if code_of(error) not in {_NO_GROUP, _NO_RULE, _NO_TARGET}:
                    raise

    def patient(self, listener: str, seconds: float) -> None:
        """Hold that the listener's load balancer waits for a call that takes so long.

        Raises:
            UserError: it answers for the function before that, or is not there.
        """
        from botocore.exceptions import ClientError

        # Elastic Load Balancing user guide, "Connection idle timeout"; a listener's ARN begins as its balancer's.
        arn = listener.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
        with speaking(f"read how long {arn} waits"):
            try:
                said = self._client.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
            except ClientError as error:
                if code_of(error) == _NO_BALANCER:
                    raise _no_listener(listener) from error
                raise
        waits = next((float(one["Value"]) for one in said if one["Key"] == _IDLE), _WAITS)
        if waits < seconds:
            raise _impatient(arn, waits, seconds)

    def _group(self) -> Said | None:
        from botocore.exceptions import ClientError

        with speaking(f"look for the target group {self._name}"):
            try:
                (found,) = self._client.describe_target_groups(Names=[self._name])["TargetGroups"]
            except ClientError as error:
                if code_of(error) == _NO_GROUP:
                    return None
                raise
        group: Said = found
        return group

    def _held(self) -> Said | None:
        """As :meth:`_group`, of a group that is to be changed.

        Raises:
            WorldError: one of that name is somebody else's.
        """
        group = self._group()
        if group is None:
            return None
        arn = group["TargetGroupArn"]
        found = self._tags([arn]).get(arn, {})
        if not is_ours(found, self._identity):
            raise strange(f"the target group {self._name}", found)
        return group

    def _group_fields(self, group: Said) -> dict[str, Value]:
        arn = group["TargetGroupArn"]
        with speaking(f"read the target group {self._name}"):
            said = self._client.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        attributes = {one["Key"]: one["Value"] for one in said}
        return {
            "Name": self._name,
            "TargetType": group["TargetType"],
            "HealthCheckEnabled": bool(group.get("HealthCheckEnabled", False)),
            "Attributes": {MULTI: attributes.get(MULTI, "false")},
            "arn": arn,
        }

    def _made(self, wanted: Said) -> Mapping[str, Value]:
        settings = {name: value for name, value in wanted.items() if name != "Attributes"}
        arn = (self._held() or self._new(settings))["TargetGroupArn"]
        attributes = [{"Key": name, "Value": value} for name, value in wanted["Attributes"].items()]
        with speaking(f"set the target group {self._name}"):
            self._client.modify_target_group(TargetGroupArn=arn, HealthCheckEnabled=wanted["HealthCheckEnabled"])
            self._client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)
        return {**wanted, "arn": arn}

    def _new(self, settings: Said) -> Said:
        from botocore.exceptions import ClientError

        with speaking(f"make the target group {self._name}"):
            try:
                (group,) = self._client.create_target_group(**settings, Tags=listed(tags(self._identity)))[
                    "TargetGroups"
                ]
            except ClientError as error:
                # An answer that was lost: the group is there.
                there = self._held()
                if code_of(error) != _DUPLICATE or there is None:
                    raise
                group = there
        made: Said = group
        return made

    def _targets(self, arn: str) -> list[str]:
        with speaking(f"look at the target group {self._name}"):
            found = self._client.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return [str(one["Target"]["Id"]) for one in found]

    def _registered(self, wanted: Said) -> Said:
        arn, function = wanted["TargetGroupArn"], wanted["Id"]
        with speaking(f"register {function} in the target group {self._name}"):
            # A group has one function at most (Elastic Load Balancing user guide, "Lambda functions as targets").
            for one in self._targets(arn):
                if one != function:
                    self._client.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": one}])
            self._client.register_targets(TargetGroupArn=arn, Targets=[{"Id": function}])
        return wanted

    def _rules(self, group: Said) -> list[tuple[str, Said]]:
        """The rules of ours that lead to the group, with their listeners; that of the named listener first."""
        arn, found = group["TargetGroupArn"], []
        for listener in self._listeners(group):
            with speaking(f"read the rules of {listener}"):
                try:
                    pages = self._client.get_paginator("describe_rules").paginate(ListenerArn=listener)
                    rules = [one for page in pages for one in page["Rules"]]
                except self._client.exceptions.ListenerNotFoundException:
                    continue
            found += [(listener, one) for one in rules if any(arn in groups_of(each) for each in one["Actions"])]
        held = self._tags([one["RuleArn"] for _, one in found])
        return [(listener, one) for listener, one in found if is_ours(held.get(one["RuleArn"], {}), self._identity)]

    def _listeners(self, group: Said) -> list[str]:
        named = [] if self._listener is None else [self._listener]
        found: list[str] = []
        for balancer in group.get("LoadBalancerArns") or ():
            with speaking(f"read the listeners of {balancer}"):
                pages = self._client.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer)
                found += [one["ListenerArn"] for page in pages for one in page["Listeners"]]
        return [*named, *(one for one in found if one not in named)]

    def _ruled(self, wanted: Said) -> Said:
        """Have one rule of ours, on the listener that is named. Of two who want a place, who is faster has it."""
        for _ in range(_TRIES):
            group = self._held()
            rules = [] if group is None else self._rules(group)
            there = [one for listener, one in rules if listener == wanted["ListenerArn"]]
            if there:
                self._set(there[0], wanted)
                break
            self._claim(wanted)
        else:
            listener = wanted["ListenerArn"]
            raise WorldError(Problem(f"others take every place of {listener}", "run the same command again"))
        for _, rule in rules:
            if rule["RuleArn"] != there[0]["RuleArn"]:
                with speaking(f"remove a rule of {self._name}"):
                    self._client.delete_rule(RuleArn=rule["RuleArn"])
        return wanted

    def _set(self, there: Said, wanted: Said) -> None:
        priority = wanted.get("Priority")
        shown = as_ruled(rule_fields(str(wanted["ListenerArn"]), there), wanted)
        leads = {name: wanted[name] for name in ("Conditions", "Actions")}
        with speaking(f"set the rule of {wanted['ListenerArn']}"):
            if any(shown[name] != value for name, value in leads.items()):
                self._client.modify_rule(RuleArn=there["RuleArn"], **leads)
            if priority is not None and str(there["Priority"]) != str(priority):
                pair = {"RuleArn": there["RuleArn"], "Priority": priority}
                self._client.set_rule_priorities(RulePriorities=[pair])

    def _claim(self, wanted: Said) -> None:
        """Ask for a rule where there is room. That somebody else was faster is seen when ours is looked for."""
        from botocore.exceptions import ClientError

        listener, fixed = str(wanted["ListenerArn"]), wanted.get("Priority")
        taken = self._standing(listener, wanted["Conditions"])
        if fixed in taken:
            raise _occupied(listener, fixed)
        with speaking(f"make a rule of {listener}"):
            try:
                self._client.create_rule(
                    ListenerArn=listener,
                    Priority=fixed or next(one for one in range(1, _HIGHEST) if one not in taken),
                    Conditions=wanted["Conditions"],
                    Actions=wanted["Actions"],
                    Tags=listed(tags(self._identity)),
                )
            except ClientError as error:
                if code_of(error) != _TAKEN:
                    raise

    def _standing(self, listener: str, conditions: Any) -> set[int]:
        """The places that are taken.

        Raises:
            UserError: a rule of somebody else's answers for the same host and path, or there is no such listener.
        """
        from botocore.exceptions import ClientError

        with speaking(f"read the rules of {listener}"):
            try:
                pages = self._client.get_paginator("describe_rules").paginate(ListenerArn=listener)
                rules = [one for page in pages for one in page["Rules"] if one["Priority"] != "default"]
            except ClientError as error:
                if code_of(error) == _NO_LISTENER:
                    raise _no_listener(listener) from error
                raise
        for one in rules:
            if values_of(one["Conditions"]) == values_of(conditions):
                raise _answered(listener, one)
        return {int(one["Priority"]) for one in rules}

    def _tags(self, arns: list[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for start in range(0, len(arns), _MOST_ARNS):
            with speaking(f"read the tags of {self._name}"):
                said = self._client.describe_tags(ResourceArns=arns[start : start + _MOST_ARNS])
            found.update({one["ResourceArn"]: unlisted(one["Tags"]) for one in said["TagDescriptions"]})
        return found

    @property
    def _client(self) -> Any:
        return self._aws.client("elbv2")


def _no_listener(listener: str) -> UserError:
    return UserError(
        Problem(
            "there is no such listener",
            "name one of a load balancer in that account and region: listener under [target.lambda.alb]",
            Place(key="target.lambda.alb.listener"),
            found=listener,
        )
    )


def _impatient(balancer: str, waits: float, seconds: float) -> UserError:
    return UserError(
        Problem(
            f"the load balancer answers for a call itself after {waits:g} s, and a call may take longer",
            f'say timeout = "{waits:g}s" or less under [serve], or have the load balancer wait longer ({_IDLE})',
            Place(key="serve.timeout"),
            expected=f"{waits:g} s at most",
            found=f"{seconds:g} s; {balancer}",
        )
    )


def _answered(listener: str, rule: Said) -> UserError:
    return UserError(
        Problem(
            "a rule of somebody else's answers for the same host and path already",
            "remove it, or choose another public_url or path under [serve]",
            Place(key="target.lambda.alb.listener"),
            found=f"priority {rule['Priority']} of {listener}",
        )
    )


def _occupied(listener: str, priority: Any) -> UserError:
    return UserError(
        Problem(
            f"the place {priority} of the listener is taken",
            "leave priority away, and the first that is free is taken, or name another one",
            Place(key="target.lambda.alb.priority"),
            found=listener,
        )
    )
