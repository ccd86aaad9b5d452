"""A web site for each test."""

from collections.abc import Iterator

import pytest

from site_on_loopback import Site, running_site


@pytest.fixture
def site() -> Iterator[Site]:
    """A site on 127.0.0.1 that notes what it is asked for."""
    with running_site() as running:
        yield running
