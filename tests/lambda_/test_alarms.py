"""Alarms that are kept without a canary, and dead letters, on the fake of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_packager import engine
from mcp_packager.errors import PackError
from mcp_packager.testing.aws import ACCOUNT, REGION, Cloud
from mcp_targets.aws_lambda.render import ALARM
from tests.lambda_.deployer import Deployer, account

pytestmark = pytest.mark.timeout(600)
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:told"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:failed"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with account(tmp_path, monkeypatch) as made:
        yield made


def alarms(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """What is watched, by the last word of each name."""
    found = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return {one["AlarmName"].rpartition("-")[2]: one for one in found}


def test_alarms_are_made_mended_and_taken_away_as_the_manifest_says(cloud: Cloud, deployer: Deployer) -> None:
    options = f'alarms = true\nalarm_actions = ["{TOPIC}"]\n'
    deployer.deploy(deployer.manifest(options))
    found = alarms(cloud)
    assert set(found) == {"calls", "invocations", "throttles", "duration"}
    assert found["duration"]["ExtendedStatistic"] == "p99"
    assert all(one["AlarmActions"] == [TOPIC] for one in found.values())
    assert not engine.drift(deployer.world(deployer.manifest(options))).drifted
    slow = found["duration"]
    kept = {
        name: slow[name]
        for name in ("AlarmName", "Namespace", "MetricName", "Dimensions", "Period", "ExtendedStatistic")
    }
    cloud.client("cloudwatch").put_metric_alarm(
        **kept, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold"
    )
    drift = engine.drift(deployer.world(deployer.manifest(options)))
    assert {change.key.kind for change in drift.plan.changes} == {ALARM}
    deployer.deploy(deployer.manifest(options))
    assert alarms(cloud)["duration"]["Threshold"] == slow["Threshold"]
    deployer.deploy(deployer.manifest('alarms = ["throttles"]\n'))
    assert {name: one["AlarmActions"] for name, one in alarms(cloud).items()} == {"throttles": []}
    engine.destroy(deployer.world(deployer.manifest("")))
    assert cloud.left() == []


def test_dead_letters_go_with_the_right_to_send_them(cloud: Cloud, deployer: Deployer) -> None:
    deployer.deploy(deployer.manifest(f'dead_letters = "{QUEUE}"\n'))
    (function,) = cloud.account.functions.values()
    assert function.versions["1"].settings["DeadLetterConfig"] == {"TargetArn": QUEUE}
    assert not engine.drift(deployer.world(deployer.manifest(f'dead_letters = "{QUEUE}"\n'))).drifted
    # And without: the setting goes, and so does the right, once the earlier version is not kept any more.
    deployer.deploy(deployer.manifest("keep = 0\n"))
    assert function.versions["2"].settings["DeadLetterConfig"].get("TargetArn", "") == ""


def test_a_role_that_may_not_send_them_is_refused_as_by_aws(
    cloud: Cloud, deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake keeps AWS's rule, so that a deploy without that right would fail these tests."""
    from mcp_targets.aws_lambda import render, waiting

    monkeypatch.setattr(waiting, "ROLE_SECONDS", 0.0)
    monkeypatch.setattr(waiting.Waiting.taken, "__defaults__", (0.0,))
    allowed = render.permitted

    def without(*args: Any) -> list[Any]:
        return [one for one in allowed(*args) if "sqs:SendMessage" not in one["Action"]]

    monkeypatch.setattr(render, "permitted", without)
    with pytest.raises(PackError, match="does not have permissions to call SendMessage on SQS"):
        deployer.deploy(deployer.manifest(f'dead_letters = "{QUEUE}"\n'))
