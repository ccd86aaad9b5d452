"""The notes in PostgreSQL: every SQL statement of this tool is here."""

import base64
import binascii
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

_SCHEMA_LOCK = 0x6E6F746573  # any number that nobody else uses for pg_advisory_xact_lock in this database
_CURSOR = struct.Struct("!fq")  # rank as PostgreSQL's real, id as bigint

_ADD = """
INSERT INTO notes (title, body, tags) VALUES (%(title)s, %(body)s, %(tags)s)
RETURNING id, title, body, tags, created
"""
_GET = "SELECT id, title, body, tags, created FROM notes WHERE id = %(id)s"
_DELETE = "DELETE FROM notes WHERE id = %(id)s"
_TAGS = """
SELECT tag, count(*) AS notes FROM notes, unnest(tags) AS tag
GROUP BY tag ORDER BY notes DESC, tag LIMIT %(limit)s
"""
# The page starts after the last hit of the page before (rank and id), not at an offset: notes that are added or deleted
# between two pages neither repeat a hit nor hide one. Snippets are made for the page's hits alone, since that is slow.
_SEARCH = """
WITH wanted AS (SELECT websearch_to_tsquery('english', %(query)s) AS query),
     ranked AS (
         SELECT id, title, body, tags, created, ts_rank_cd(document, wanted.query, 1) AS rank
         FROM notes, wanted
         WHERE document @@ wanted.query AND tags @> %(tags)s::text[]
     ),
     page AS (
         SELECT * FROM ranked
         WHERE %(after_rank)s::real IS NULL OR (rank, id) < (%(after_rank)s::real, %(after_id)s::bigint)
         ORDER BY rank DESC, id DESC
         LIMIT %(limit)s + 1
     )
SELECT id, title, tags, created, rank,
       ts_headline('english', body, wanted.query,
                   'StartSel=**, StopSel=**, MaxFragments=2, MinWords=8, MaxWords=24, FragmentDelimiter=" … "'
       ) AS snippet
FROM page, wanted
ORDER BY rank DESC, id DESC
"""


@dataclass(frozen=True)
class Where:
    """A database, and as whom to reach it."""

    host: str
    port: int
    user: str
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Note:
    """A note as it is kept."""

    id: int
    title: str
    body: str
    tags: list[str]
    created: datetime


@dataclass(frozen=True)
class Hit:
    """A note that a search found; `**` stands around the found words in `snippet`."""

    id: int
    title: str
    tags: list[str]
    created: datetime
    rank: float
    snippet: str


@dataclass(frozen=True)
class Page:
    """Some hits, best first, and the cursor of the next page where there is one."""

    hits: list[Hit]
    next_cursor: str | None


@dataclass(frozen=True)
class TagCount:
    """A tag and how many notes have it."""

    tag: str
    notes: int


class BadCursorError(ValueError):
    """A cursor that no page of this tool gave out."""


class NoteStore:
    """Notes behind a pool of connections."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def add(self, title: str, body: str, tags: list[str]) -> Note:
        """Keep a note and return it with its number."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Note)) as cursor:
            await cursor.execute(_ADD, {"title": title, "body": body, "tags": sorted(set(tags))})
            note = await cursor.fetchone()
        if note is None:
            raise AssertionError("INSERT … RETURNING gives one row")
        return note

    async def get(self, note_id: int) -> Note | None:
        """Return a note, or None where there is none with that number."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Note)) as cursor:
            await cursor.execute(_GET, {"id": note_id})
            return await cursor.fetchone()

    async def delete(self, note_id: int) -> bool:
        """Delete a note; tell whether it was there."""
        async with self._pool.connection() as connection:
            deleted = await connection.execute(_DELETE, {"id": note_id})
            return deleted.rowcount == 1

    async def search(self, query: str, tags: list[str], limit: int, cursor: str | None) -> Page:
        """Return one page of the notes that match `query` and have all of `tags`.

        Raises:
            BadCursorError: `cursor` is not one of this tool's.
        """
        after_rank, after_id = (None, None) if cursor is None else _read_cursor(cursor)
        wanted = {"query": query, "tags": tags, "limit": limit, "after_rank": after_rank, "after_id": after_id}
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Hit)) as rows:
            await rows.execute(_SEARCH, wanted)
            hits = await rows.fetchall()
        more = len(hits) > limit
        hits = hits[:limit]
        return Page(hits=hits, next_cursor=_cursor_after(hits[-1]) if more else None)

    async def tags(self, limit: int) -> list[TagCount]:
        """Return the most used tags."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(TagCount)) as cursor:
            await cursor.execute(_TAGS, {"limit": limit})
            return await cursor.fetchall()


@asynccontextmanager
async def open_store(where: Where, *, connections: int, patience: float) -> AsyncIterator[NoteStore]:
    """Open a store, with its table made where it is missing, for the length of the block.

    Args:
        where: The database.
        connections: At most so many connections at a time.
        patience: Seconds to wait for the database at the start, and for a free connection later.

    Raises:
        ConnectionError: the database does not answer in time, or does not let this user in.
    """
    pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
        kwargs={
            "host": where.host,
            "port": where.port,
            "user": where.user,
            "dbname": where.name,
            "password": where.password,
        },
        min_size=1,
        max_size=connections,
        timeout=patience,
        open=False,
        check=AsyncConnectionPool.check_connection,
    )
    async with pool:
        try:
            await pool.wait(patience)
        except PoolTimeout as error:
            said = f"PostgreSQL at {where.host}:{where.port} does not answer within {patience:g} s"
            raise ConnectionError(said) from error
        async with pool.connection() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
            await connection.execute(files("notes_search").joinpath("schema.sql").read_bytes())
        yield NoteStore(pool)


def _cursor_after(hit: Hit) -> str:
    return base64.urlsafe_b64encode(_CURSOR.pack(hit.rank, hit.id)).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[float, int]:
    try:
        rank, note_id = _CURSOR.unpack(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, struct.error) as error:
        raise BadCursorError("This cursor was not given out by a search.") from error
    return rank, note_id
