"""AWS in this process, by moto, and credentials that belong to nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from mcp_packager.target import Identity
from mcp_targets._aws.session import Aws, Wanted

ACCOUNT = "123456789012"
"""moto's own account."""
REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def _nobodys_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@pytest.fixture
def aws() -> Iterator[Aws]:
    """An account with nothing in it."""
    with mock_aws():
        yield Aws(Wanted(REGION, ACCOUNT))


@pytest.fixture
def identity() -> Identity:
    return Identity("team", "notes", "prod")
