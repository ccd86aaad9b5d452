"""The life of one deployment on the fake of AWS: canary, alarm, drift, rollback, what was removed by hand, destroy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, Project, greeting
from mcp_packager.verify import McpClient, texts
from mcp_targets.aws_lambda.place import function_name
from tests.lambda_.fake import Cloud, running
from tests.lambda_.test_suite import OPTIONS

pytestmark = pytest.mark.real("lambda-emulator", "python3.13")

_CANARY = """strategy = "canary"

[target.lambda.canary]
steps = [50]
hold = "{hold}s"
"""
_NAME = function_name(Identity("suite-tool", "suite-tool", "default"))


@dataclass
class Place:
    """A project in an account."""

    folder: Path
    cloud: Cloud
    pack: Pack

    def write(self, version: str, *, hold: int = 1) -> None:
        """Write the project as of a version, with calls moved by steps of so many seconds."""
        Project(self.folder, "lambda", OPTIONS + _CANARY.format(hold=hold), unasked=True).write(version)

    def alias(self) -> dict[str, Any]:
        """Where clients are led."""
        found: dict[str, Any] = self.cloud.client("lambda").get_alias(FunctionName=_NAME, Name="live")
        return found

    def alarm(self, state: str) -> None:
        """Have the first of the alarms fire, or calm down."""
        cloudwatch = self.cloud.client("cloudwatch")
        name = cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmName"]
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test says so")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "aws").mkdir()
    with running(tmp_path / "aws", slow=2, shy=2) as cloud:
        folder = tmp_path / "project" / "suite"
        yield Place(folder, cloud, Pack(folder, "lambda", {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ}))


def awaited(look: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 240
    while not look():
        assert time.monotonic() < end, f"never {what}"
        time.sleep(0.05)


def weighted(place: Place) -> bool:
    try:
        return "RoutingConfig" in place.alias()
    except place.cloud.client("lambda").exceptions.ResourceNotFoundException:
        return False


def versions(url: str) -> set[str]:
    """Which versions answer one client after the other."""
    client = McpClient(url)
    client.list_tools()
    return {texts(client.call_tool("greet", {"name": "you"}))[-6:] for _ in range(4)}


@pytest.mark.timeout(900)
def test_from_the_first_deploy_to_the_last_parameter(place: Place) -> None:
    place.write("1.0.0")
    url = place.pack.deploy()["endpoint"]["url"]
    first = place.alias()["FunctionVersion"]
    _an_alarm_moves_the_calls_back(place, url, first)
    _without_one_all_calls_move(place, url)
    _what_is_moved_by_hand_is_drift(place, url, first)
    _a_rollback_sends_no_code(place, url, first)
    _a_function_removed_by_hand_comes_back_elsewhere(place)
    assert place.cloud.unverified() == []
    place.pack.run("destroy", "--yes", "--data")
    assert place.cloud.left() == []


def _an_alarm_moves_the_calls_back(place: Place, url: str, first: str) -> None:
    place.write("2.0.0", hold=600)
    with place.pack.start("deploy", "--yes") as deploying:
        awaited(lambda: weighted(place) or deploying.poll() is not None, "some of the calls moved")
        if deploying.poll() is None:
            answers = versions(url)
            place.alarm("ALARM")
        out, err = deploying.communicate(timeout=300)
    assert deploying.returncode == 3, out + err
    assert answers == {"1.0.0.", "2.0.0."}
    assert "fired while version" in out + err
    assert "as before" in out + err
    assert place.alias()["FunctionVersion"] == first
    assert "RoutingConfig" not in place.alias()
    assert versions(url) == {"1.0.0."}
    place.alarm("OK")


def _without_one_all_calls_move(place: Place, url: str) -> None:
    place.write("2.0.0", hold=1)
    place.pack.deploy()
    assert "RoutingConfig" not in place.alias()
    assert versions(url) == {"2.0.0."}
    assert place.pack.run("plan", "--exit-code").code == 0
    lines = place.pack.run("logs").told
    assert "greet" in lines


def _what_is_moved_by_hand_is_drift(place: Place, url: str, first: str) -> None:
    aws = place.cloud.client("lambda")
    aws.update_alias(FunctionName=_NAME, Name="live", FunctionVersion=first)
    assert place.pack.run("drift", expect=(4,)).document
    place.pack.deploy()
    assert greeting(url).endswith("2.0.0.")
    assert place.pack.run("drift").code == 0


def _a_rollback_sends_no_code(place: Place, url: str, first: str) -> None:
    since = len(place.cloud.faults.asked)
    place.pack.run("rollback", "--yes")
    assert greeting(url).endswith("1.0.0.")
    assert place.alias()["FunctionVersion"] == first
    wrote = place.cloud.faults.writes(since)
    assert not {"lambda UpdateFunctionCode", "lambda PublishVersion"} & set(wrote), wrote


def _a_function_removed_by_hand_comes_back_elsewhere(place: Place) -> None:
    """A function URL is another one then, and every command says so."""
    before = place.pack.url()
    place.cloud.client("lambda").delete_function(FunctionName=_NAME)
    place.write("1.0.0")
    done = place.pack.deploy()
    url = done["endpoint"]["url"]
    assert url != before
    assert greeting(url).endswith("1.0.0.")
    assert place.pack.url() == url
    shown = place.pack.run("client-config", "--client", "cursor", "--url").told
    assert url in shown
    assert before not in shown
