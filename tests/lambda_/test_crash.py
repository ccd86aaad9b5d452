"""What goes wrong at each write of a deploy to AWS: a killed deployer, a lost answer, a throttled call.

Each time clients that had a server keep it, the same command run again reaches the end of an undisturbed run, the alias
leads to no version that nobody had called before, and a destroy leaves nothing. Sampled, unless everything is to run.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcp_packager.target import Holder, Identity, Release
from mcp_packager.testing import Pack, Project, greeting
from mcp_packager.testing.aws.faults import SORTS, Moment, Sort
from mcp_targets._aws.session import Aws, Wanted
from mcp_targets.aws_lambda.parameters import Parameters
from mcp_targets.aws_lambda.place import function_name
from mcp_targets.aws_lambda.records import ParameterLock, ParameterRecords
from tests import sampling
from tests.lambda_.fake import ACCOUNT, REGION, Cloud, running
from tests.lambda_.test_suite import OPTIONS

pytestmark = [
    pytest.mark.real("lambda-emulator", "python3.13"),
    pytest.mark.timeout(14_400 if sampling.whole() else 900),
]

_CANARY = """strategy = "canary"

[target.lambda.canary]
steps = [50]
hold = "1s"
"""
_NAME = function_name(Identity("suite-tool", "suite-tool", "default"))
_CASES = [(story, sort) for story in ("first", "update", "canary", "rollback", "destroy") for sort in SORTS]
_CHOSEN = sampling.sampled(_CASES, 1, of="faults of AWS")
_MOMENTS = 4 if sampling.whole() else 1
_KILLED = -9
_RELEASE = Path(__file__).parents[1] / "compat" / "release.1.json"


@dataclass
class Place:
    """A project in an account."""

    folder: Path
    cloud: Cloud
    pack: Pack
    options: str = OPTIONS.replace("keep = 3", "keep = 1")

    def write(self, version: str) -> None:
        """Write the project as of a version."""
        Project(self.folder, "lambda", self.options, unasked=True).write(version)

    def disturbed(self, moment: Moment, command: str, *arguments: str) -> None:
        """Run a command to which something happens; what was throttled, or not answered, it does again by itself."""
        with self.pack.start(command, "--yes", *arguments) as process:
            moment.victim = process.pid
            self.cloud.faults.arm(moment)
            out, err = process.communicate(timeout=300)
        self.cloud.faults.arm(None)
        killed = moment.sort.startswith("kill")
        assert process.returncode == (_KILLED if killed and moment.reached else 0), (moment, out + err)

    def writes(self, run: Callable[[], Any]) -> int:
        """How many writes an undisturbed run makes."""
        since = len(self.cloud.faults.asked)
        run()
        return len(self.cloud.faults.writes(since))

    def picture(self) -> Counter[str]:
        """What is there, without the numbers and names that differ between two runs which end alike."""
        there = Counter(re.sub(r"\b[0-9a-f]{8,}\b|\b\d+\b", "N", one) for one in self.cloud.left())
        # A deployer killed while it let go leaves the number below too. Nothing is due then, so the next run writes
        # nothing; whoever locks next removes it.
        for lock in [name for name in there if "/lock/" in name]:
            assert there[lock] <= 2, "more than the killed deployer's own number was left"
            there[lock] = 1
        function = self.cloud.account.functions.get(_NAME)
        if function is not None:
            there["versions"] = len(function.versions)
            there["weights"] = len(function.aliases["live"].weights)
            there["statements"] = len(function.policies["live"])
        return there


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "aws").mkdir()
    with running(tmp_path / "aws") as cloud:
        folder = tmp_path / "project" / "suite"
        yield Place(folder, cloud, Pack(folder, "lambda", {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ}))


@pytest.mark.parametrize(("story", "sort"), _CHOSEN)
def test_a_disturbed_run_ends_as_an_undisturbed_one(place: Place, story: str, sort: Sort) -> None:
    if story == "canary":
        place.options += _CANARY
    {
        "first": _first,
        "update": _update,
        "canary": _update,
        "rollback": _rollback,
        "destroy": _destroy,
    }[story](place, sort, f"{story} {sort}")
    assert place.cloud.unverified() == []
    place.pack.run("destroy", "--yes", "--data")
    assert place.cloud.left() == []


@pytest.fixture
def parameters(place: Place) -> Parameters:
    aws = Aws(Wanted(REGION, ACCOUNT), lambda service, _: place.cloud.client(service))
    return Parameters(aws, Identity("team", "notes", "prod"))


def test_parts_of_releases_that_killed_runs_left_go_with_the_next_release(parameters: Parameters) -> None:
    records = ParameterRecords(parameters)
    first = Release.from_json(json.loads(_RELEASE.read_text(encoding="utf-8"))).renumbered(1)
    records.add(first)
    records.add(first.renumbered(2))
    records.remove(1)
    # Of one that was removed, of one that was never recorded, and of one that somebody else is about to record.
    for name in ("parts/1/0123456789ab/0", "parts/3/0123456789ab/0", "parts/4/0123456789ab/0"):
        parameters.create(name, "half of a release", {"kind": "parts"})
    records.add(first.renumbered(3))
    left = {one.name for one in parameters.listing() if "0123456789ab" in one.name}
    assert left == {"parts/4/0123456789ab/0"}
    assert [one.number for one in records.listing()] == [2, 3]


def test_parts_of_releases_that_a_killed_run_left_go_with_the_last_lock(place: Place, parameters: Parameters) -> None:
    lock, holder = ParameterLock(parameters), Holder("me", "destroy", "token", 0.0, 1e12)
    parameters.create("parts/1/0123456789ab/0", "half of a release", {"kind": "parts"})
    parameters.create("secrets/KEPT", "value", {"version": "1"}, secret=True)
    assert lock.swap(None, holder)
    assert lock.swap(holder, None)
    names = {one.name for one in parameters.listing()}
    assert {"parts/1/0123456789ab/0", "secrets/KEPT"} < names, "something of the deployment is there still"
    parameters.remove(["secrets/KEPT"])
    assert lock.swap(None, holder)
    assert lock.swap(holder, None)
    assert place.cloud.left() == []


def test_a_version_that_a_killed_run_published_is_waited_for(place: Place) -> None:
    place.write("1.0.0")
    place.disturbed(Moment("kill after", 0, operation="PublishVersion"), "deploy")
    (there,) = place.cloud.account.functions[_NAME].versions.values()
    assert there.settling, "nobody looked at it since"
    assert greeting(place.pack.deploy()["endpoint"]["url"]).endswith("1.0.0.")
    assert place.cloud.unverified() == []
    place.pack.run("destroy", "--yes", "--data")
    assert place.cloud.left() == []


def _moments(writes: int, sort: Sort, of: str) -> Iterator[Moment]:
    for number in sampling.sampled(range(writes), _MOMENTS, of=of):
        yield Moment(sort, number)


def _first(place: Place, sort: Sort, of: str) -> None:
    place.write("1.0.0")
    writes = place.writes(place.pack.deploy)
    wanted = place.picture()
    for moment in _moments(writes, sort, of):
        place.pack.run("destroy", "--yes", "--data")
        place.disturbed(moment, "deploy")
        assert greeting(place.pack.deploy()["endpoint"]["url"]).endswith("1.0.0.")
        assert place.picture() == wanted, moment


def _update(place: Place, sort: Sort, of: str) -> None:
    place.write("1.0.0")
    url = place.pack.deploy()["endpoint"]["url"]
    versions = ["2.0.0", "3.0.0"]
    place.write(versions[0])
    writes = place.writes(place.pack.deploy)
    place.write(versions[1])
    place.pack.deploy()
    wanted = place.picture()
    for moment in _moments(writes, sort, of):
        versions.reverse()
        place.write(versions[1])
        place.disturbed(moment, "deploy")
        assert greeting(url)[-6:] in {f"{version}." for version in versions}, "clients have a server all the time"
        place.pack.deploy()
        assert greeting(url).endswith(f"{versions[1]}.")
        assert place.picture() == wanted, moment
        assert place.pack.run("drift").code == 0


def _rollback(place: Place, sort: Sort, of: str) -> None:
    url = ""
    for version in ("1.0.0", "2.0.0"):
        place.write(version)
        url = place.pack.deploy()["endpoint"]["url"]
    writes = place.writes(lambda: place.pack.run("rollback", "--yes"))
    wanted = place.picture()
    for moment in _moments(writes, sort, of):
        place.write("2.0.0")
        place.pack.deploy()
        place.disturbed(moment, "rollback")
        assert greeting(url)[-6:] in {"1.0.0.", "2.0.0."}
        if not greeting(url).endswith("1.0.0."):
            place.pack.run("rollback", "--yes")
        place.write("1.0.0")
        place.pack.deploy()
        assert greeting(url).endswith("1.0.0.")
        assert place.picture() == wanted, moment


def _destroy(place: Place, sort: Sort, of: str) -> None:
    place.write("1.0.0")
    place.pack.deploy()
    writes = place.writes(lambda: place.pack.run("destroy", "--yes", "--data"))
    for moment in _moments(writes, sort, of):
        place.pack.deploy()
        place.disturbed(moment, "destroy", "--data")
        place.pack.run("destroy", "--yes", "--data")
        assert place.cloud.left() == [], moment
