"""The project as a function of AWS Lambda, without AWS: deployed to moto and really run.

Needs mcp-pack beside pytest: `pip install "mcp-packager[testing]"`, then `python -m pytest`. `mcp-pack test`, which
gives the tests the artifact and nothing else, skips it.
"""

from pathlib import Path

import pytest
from mcp_tool.testing import Tools

from {{ cookiecutter.package }}.tools import greet

lambda_ = pytest.importorskip(
    "mcp_targets.aws_lambda.testing", reason='needs pip install "mcp-packager[testing]", and python -m pytest'
)


def test_answers_on_lambda_as_it_does_here(tmp_path: Path) -> None:
    with lambda_.function(Path(__file__).parents[1], tmp_path) as deployed:
        deployed.deploy()
        assert deployed.call("greet", name="Ada") == Tools(env={"GREETING": "Hello"}).call(greet, name="Ada")
        deployed.destroy()
        assert deployed.left() == []
