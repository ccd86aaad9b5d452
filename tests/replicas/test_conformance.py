"""The official conformance suites through nginx, round robin: no two requests of a scenario meet the same replica."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.suites import SUITES
from tests.replicas.fleet import Fleet, call, fleet, secret
from tests.sampling import sampled
from tests.serve.process import LEGACY, MODERN

pytestmark = [pytest.mark.real("nginx", "redis"), pytest.mark.xdist_group("replicas-conformance")]

KEY = "key-of-the-suite-" + "k" * 40

FLEETS = ("two", "three", "three-with-a-key")
"""With a key: nginx adds the header that the suite cannot send."""

CASES = [(name, suite) for name in FLEETS for suite in sampled(list(SUITES), 1, of=f"suites, {name}")]


@pytest.fixture(scope="module")
def fleets(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Fleet]]:
    """Each fleet by its name, made when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def named(name: str) -> Fleet:
            folder = tmp_path_factory.mktemp(name)
            match name:
                case "two":
                    made = fleet(folder, bundle, 2)
                case "three":
                    made = fleet(folder, bundle, 3)
                case _:
                    auth = {"mode": "bearer", "keys": [secret(folder, "key", KEY)]}
                    made = fleet(folder, bundle, 3, {"auth": auth}, f"Bearer {KEY}")
            return stack.enter_context(made)

        yield named


@pytest.mark.real("node-modules", "node22")
@pytest.mark.parametrize(("name", "suite"), CASES)
def test_conformance(fleets: Callable[[str], Fleet], tmp_path: Path, name: str, suite: str) -> None:
    SUITES[suite](fleets(name).front.url, tmp_path)


def test_the_key_is_asked_for(fleets: Callable[[str], Fleet]) -> None:
    """Past nginx, without the header: what the suite gets is not what everybody gets."""
    for replica, era in itertools.product(fleets("three-with-a-key").replicas, (LEGACY, MODERN)):
        assert replica.status(era, "tools/call", call("test_simple_text")) == 401
