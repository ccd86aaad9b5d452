"""Steps as the engine makes them, and clients that answer what a test says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.stub import Stubber

from mcp_packager.target import Action, Key, Observed, Resource, Step
from mcp_targets._aws.session import Aws, Wanted, plain_client
from tests.targets.aws.conftest import ACCOUNT, REGION


def making(resource: Resource, there: Observed | None = None) -> Step:
    return Step(Action.CREATE if there is None else Action.UPDATE, resource.key, resource, there)


def removing(key: Key, there: Observed | None = None) -> Step:
    return Step(Action.DELETE, key, None, there)


class Said:
    """What a stubbed service is to be asked, in order, and what it answers."""

    def __init__(self, service: str) -> None:
        self.client = plain_client(service, REGION)
        self.stub = Stubber(self.client)

    def asked(self, method: str, expected: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        self.stub.add_response(method, dict(answer), dict(expected))

    def refused(self, method: str, code: str, message: str = "", status: int = 400) -> None:
        self.stub.add_client_error(method, code, message, status)


@contextmanager
def stubbed(*services: Said) -> Iterator[Aws]:
    """An account whose named services answer as they are told; all that they were told must have been asked."""
    sts = Said("sts")
    caller = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/deployer", "UserId": "AIDA"}
    sts.asked("get_caller_identity", {}, caller)
    by_name = {one.client.meta.service_model.service_name: one for one in (sts, *services)}
    for one in by_name.values():
        one.stub.activate()
    yield Aws(Wanted(REGION, ACCOUNT), lambda service, _: by_name[service].client)
    for name, one in by_name.items():
        if name != "sts":
            one.stub.assert_no_pending_responses()
