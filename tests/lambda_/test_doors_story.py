"""The life of one deployment behind each door, with real functions: called in both eras, updated, gone back, gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_packager.testing import Pack, Project, greeting
from mcp_packager.verify import Era
from tests.lambda_.doors import listener
from tests.lambda_.fake import Cloud, running
from tests.lambda_.test_suite import OPTIONS
from tests.sampling import sampled

pytestmark = [pytest.mark.real("lambda-emulator", "python3.13"), pytest.mark.timeout(900)]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    (tmp_path / "aws").mkdir()
    with running(tmp_path / "aws") as made:
        yield made


@pytest.mark.parametrize("front", sampled(["http-api", "alb"], 1, of="doors that are lived behind"))
def test_from_the_first_call_through_a_door_to_the_last(cloud: Cloud, tmp_path: Path, front: str) -> None:
    options = f'{OPTIONS}front = "{front}"\n'
    if front == "alb":
        arn = listener(cloud)
        options += f'[target.lambda.alb]\nlistener = "{arn}"\n[serve]\npublic_url = "{cloud.balancer(arn)}"\n'
    folder = tmp_path / "project" / "suite"
    project = Project(folder, "lambda", options, unasked=True)
    pack = Pack(folder, "lambda", {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ})
    project.write("1.0.0")
    done = pack.deploy()
    url = done["endpoint"]["url"]
    assert any("modern era" in line for line in done["verified"])
    assert not done.get("unverified")
    for era in Era:
        assert greeting(url, era) == "hello, you! This is 1.0.0."
    project.write("2.0.0")
    assert pack.deploy()["endpoint"]["url"] == url
    assert greeting(url).endswith("2.0.0.")
    assert pack.run("drift").code == 0
    pack.run("rollback", "--yes")
    assert greeting(url).endswith("1.0.0.")
    assert cloud.unverified() == []
    pack.run("destroy", "--yes", "--data")
    assert cloud.left() == []


def test_an_api_that_aws_guards_is_called_with_what_is_signed_for_it(cloud: Cloud, tmp_path: Path) -> None:
    folder = tmp_path / "project" / "suite"
    Project(folder, "lambda", f'{OPTIONS}front = "http-api"\n').write("1.0.0")
    pack = Pack(folder, "lambda", {"MCP_PACK_HOME": str(tmp_path / "home"), **cloud.environ})
    done = pack.deploy()
    assert any("a caller without a token is refused (403)" in line for line in done["verified"]), done
    assert "execute-api" in done["endpoint"]["command"]
    assert "This is 1.0.0." in pack.run("invoke", "greet", "name=you").told
