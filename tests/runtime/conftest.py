"""What tests of the runtime share: a registry of their own, and an app from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import settings

from mcp_tool import plans, registry
from mcp_tool.app import App
from mcp_tool.errors import ContractError, ContractProblem
from mcp_tool.registry import Registry
from mcp_tool.settings import Values

MakeApp = Callable[..., App]

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def recorded() -> Iterator[Registry]:
    """Decorators of a test record here, and nowhere else."""
    with registry.collecting() as found:
        yield found


@pytest.fixture
def make_app(recorded: Registry) -> MakeApp:
    """An app of everything the test declared so far."""

    def make(env: Mapping[str, str] | None = None, **document: Any) -> App:
        offered = plans.build(recorded.declarations, recorded.problems)
        return App({"name": "fixture", "version": "1.2.3", **document}, offered, Values(env or {}, {}))

    return make


@pytest.fixture
def problems(recorded: Registry) -> Callable[[], tuple[ContractProblem, ...]]:
    """Everything wrong with what the test declared so far."""

    def collect() -> tuple[ContractProblem, ...]:
        try:
            plans.build(recorded.declarations, recorded.problems)
        except ContractError as error:
            return error.problems
        return ()

    return collect
