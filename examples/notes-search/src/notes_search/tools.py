"""The tools and the resource of notes-search."""

from collections.abc import AsyncIterator
from typing import Annotated

from mcp_tool import Ask, Resolve, ResourceNotFoundError, Settings, ToolError, provide, resource, tool
from pydantic import BaseModel, Field, SecretStr

from notes_search.store import BadCursorError, Note, NoteStore, Page, TagCount, Where, open_store

Tag = Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]


class NotesSettings(Settings):
    """Where the notes are kept."""

    database_host: str
    database_port: int = 5432
    database_user: str
    database_name: str
    database_password: SecretStr
    database_connections: Annotated[int, Field(ge=1, le=100)] = 5
    database_timeout: Annotated[float, Field(gt=0)] = 15.0


class Confirmation(BaseModel):
    """The form that the user is shown before a note is deleted."""

    delete: bool = Field(description="Delete this note for good")


@provide
async def store(settings: NotesSettings) -> AsyncIterator[NoteStore]:
    """Connect when the server starts, make the table where it is missing, and disconnect at the end."""
    where = Where(
        host=settings.database_host,
        port=settings.database_port,
        user=settings.database_user,
        name=settings.database_name,
        password=settings.database_password.get_secret_value(),
    )
    async with open_store(
        where, connections=settings.database_connections, patience=settings.database_timeout
    ) as opened:
        yield opened


@tool
async def add_note(
    title: Annotated[str, Field(min_length=1, max_length=200)],
    body: Annotated[str, Field(max_length=100_000)],
    store: NoteStore,
    tags: frozenset[Tag] = frozenset(),
) -> Note:
    """Keep a note.

    Args:
        title: A line that says what the note is about; its words count most in a search.
        body: The note.
        tags: Words to group notes by: letters, digits, hyphens and underscores.
    """
    return await store.add(title, body, list(tags))


@tool(read_only=True)
async def search_notes(
    query: Annotated[str, Field(min_length=1, max_length=1000)],
    store: NoteStore,
    *,
    tags: frozenset[Tag] = frozenset(),
    limit: Annotated[int, Field(ge=1, le=50)] = 10,
    cursor: str | None = None,
) -> Page:
    """Search the notes, best match first. Word forms match each other: "gardens" finds "gardening".

    Args:
        query: Words that must all occur; "two words" for a phrase, or between alternatives, -word to exclude.
        tags: Only notes that have all of these tags.
        limit: Notes on a page.
        cursor: The `next_cursor` of the page before.
    """
    try:
        return await store.search(query, list(tags), limit, cursor)
    except BadCursorError as error:
        raise ToolError(str(error)) from error


@tool(read_only=True)
async def list_tags(store: NoteStore, limit: Annotated[int, Field(ge=1, le=1000)] = 100) -> list[TagCount]:
    """List the tags in use, the most used first.

    Args:
        limit: At most so many.
    """
    return await store.tags(limit)


async def existing_note(note_id: int, store: NoteStore) -> Note:
    """Find the note that a call is about."""
    note = await store.get(note_id)
    if note is None:
        raise ToolError(f"There is no note {note_id}.")
    return note


async def ask_to_delete(note: Annotated[Note, Resolve(existing_note)]) -> Ask[Confirmation]:
    """Put the question to the user, whom the model cannot answer for."""
    return Ask(f"Delete the note “{note.title}” of {note.created:%d %B %Y}?", Confirmation)


@tool(destructive=True, idempotent=True)
async def delete_note(
    note_id: int,
    note: Annotated[Note, Resolve(existing_note)],
    confirmation: Annotated[Confirmation, Resolve(ask_to_delete)],
    store: NoteStore,
) -> str:
    """Delete a note, after asking the user.

    Args:
        note_id: The number of the note.
    """
    if not confirmation.delete:
        return f"The note “{note.title}” stays."
    await store.delete(note_id)
    return f"The note “{note.title}” is deleted."


@resource("note://{note_id}", mime_type="text/markdown")
async def read_note(note_id: int, store: NoteStore) -> str:
    """Read a note.

    Args:
        note_id: The number of the note.
    """
    note = await store.get(note_id)
    if note is None:
        raise ResourceNotFoundError(f"There is no note {note_id}.")
    return f"# {note.title}\n\n{note.body}\n"
