"""The tools, called in-process, against a real PostgreSQL."""

import asyncio
from typing import Any

import pytest
from mcp_tool import Declined, ResourceNotFoundError, ToolError
from mcp_tool.testing import Tools

from notes_search.store import Where, open_store
from notes_search.tools import add_note, ask_to_delete, delete_note, list_tags, read_note, search_notes


def tools(where: Where, **answers: Any) -> Tools:
    env = {
        "DATABASE_HOST": where.host,
        "DATABASE_PORT": str(where.port),
        "DATABASE_USER": where.user,
        "DATABASE_NAME": where.name,
        "DATABASE_PASSWORD": where.password,
    }
    return Tools(env=env, answers=answers)


def test_add_and_search(where: Where) -> None:
    notes = tools(where)
    added = notes.call(add_note, title="Tomatoes", body="Water them in the morning.", tags=["garden"])
    page = notes.call(search_notes, query="watering", tags=["garden"])
    assert [hit["id"] for hit in page["hits"]] == [added["id"]]
    assert page["hits"][0]["snippet"] == "**Water** them in the morning"
    assert page["next_cursor"] is None
    assert notes.call(list_tags) == [{"tag": "garden", "notes": 1}]


def test_pages(where: Where) -> None:
    notes = tools(where)
    for number in range(3):
        notes.call(add_note, title=f"Note {number}", body="apple")
    first = notes.call(search_notes, query="apple", limit=2)
    second = notes.call(search_notes, query="apple", limit=2, cursor=first["next_cursor"])
    assert (len(first["hits"]), len(second["hits"]), second["next_cursor"]) == (2, 1, None)
    with pytest.raises(ToolError, match="not given out by a search"):
        notes.call(search_notes, query="apple", cursor="page 2")


@pytest.mark.parametrize("tag", ["two words", "", "x" * 41])
def test_a_tag_is_one_word(where: Where, tag: str) -> None:
    with pytest.raises(ToolError, match="tags"):
        tools(where).call(add_note, title="Title", body="", tags=[tag])


def test_a_note_is_deleted_when_the_user_says_so(where: Where) -> None:
    notes = tools(where, ask_to_delete={"delete": True})
    note = notes.call(add_note, title="Tomatoes", body="Water them.")
    assert notes.call(delete_note, note_id=note["id"]) == "The note “Tomatoes” is deleted."
    assert notes.call(search_notes, query="tomatoes")["hits"] == []


def test_a_note_stays_when_the_user_does_not_want_it_deleted(where: Where) -> None:
    note = tools(where).call(add_note, title="Tomatoes", body="Water them.")
    unticked = tools(where, ask_to_delete={"delete": False})
    assert unticked.call(delete_note, note_id=note["id"]) == "The note “Tomatoes” stays."
    with pytest.raises(ToolError):
        tools(where, ask_to_delete=Declined()).call(delete_note, note_id=note["id"])
    assert len(tools(where).call(search_notes, query="tomatoes")["hits"]) == 1


def test_the_question_names_the_note(where: Where) -> None:
    note = tools(where).call(add_note, title="Tomatoes", body="Water them.")

    async def question() -> str:
        async with open_store(where, connections=1, patience=10) as store:
            found = await store.get(note["id"])
            assert found is not None
            return (await ask_to_delete(found)).message

    assert asyncio.run(question()).startswith("Delete the note “Tomatoes” of ")


def test_nobody_is_asked_about_a_note_that_is_not_there(where: Where) -> None:
    with pytest.raises(ToolError, match=r"There is no note 12345\."):
        tools(where).call(delete_note, note_id=12345)


def test_the_resource(where: Where) -> None:
    note = tools(where).call(add_note, title="Tomatoes", body="Water them.")

    async def read(note_id: int) -> str:
        async with open_store(where, connections=1, patience=10) as store:
            return await read_note(note_id, store)

    assert asyncio.run(read(note["id"])) == "# Tomatoes\n\nWater them.\n"
    with pytest.raises(ResourceNotFoundError):
        asyncio.run(read(12345))
