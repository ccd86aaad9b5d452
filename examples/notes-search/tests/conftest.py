"""A PostgreSQL for all tests, and an empty table for each."""

from collections.abc import Iterator

import psycopg
import pytest

from notes_search.store import Where
from postgres import PostgresMissingError, running_postgres


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """The port of a PostgreSQL that runs for as long as the tests."""
    try:
        with running_postgres() as running:
            yield running
    except PostgresMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def where(port: int) -> Where:
    """A database without notes."""
    place = Where(host="127.0.0.1", port=port, user="notes", name="notes", password="unused")  # noqa: S106 - trust
    with psycopg.connect(host=place.host, port=port, user=place.user, dbname=place.name) as connection:
        connection.execute("DROP TABLE IF EXISTS notes")
    return place
