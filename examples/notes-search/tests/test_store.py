"""The store against a real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from notes_search.store import BadCursorError, NoteStore, Where, open_store

T = TypeVar("T")


def using(where: Where, work: Callable[[NoteStore], Awaitable[T]]) -> T:
    """Open a store for a piece of work."""

    async def go() -> T:
        async with open_store(where, connections=2, patience=10) as store:
            return await work(store)

    return asyncio.run(go())


async def garden(store: NoteStore) -> None:
    await store.add("Tomatoes", "Water them in the morning. They want sun.", ["garden", "food"])
    await store.add("Basil", "Grows well beside tomatoes, and wants watering too.", ["garden", "garden"])
    await store.add("Taxes", "The papers are due in May; a garden is no deduction.", [])


def test_a_note_is_found_again(where: Where) -> None:
    async def work(store: NoteStore) -> None:
        added = await store.add("Title", "Body", ["b", "a", "b"])
        assert added.tags == ["a", "b"]
        assert await store.get(added.id) == added
        assert await store.delete(added.id)
        assert not await store.delete(added.id)
        assert await store.get(added.id) is None

    using(where, work)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("tomato", ["Tomatoes", "Basil"]),  # other forms of the word; the title weighs more than the body
        ("watered", ["Basil", "Tomatoes"]),
        ("garden -deduction", []),  # tags are no words of the note
        ("basil or taxes", ["Taxes", "Basil"]),
        ('"beside tomatoes"', ["Basil"]),
        ("the", []),
        ("'; DROP TABLE notes; --", []),
    ],
)
def test_search(where: Where, query: str, titles: list[str]) -> None:
    async def work(store: NoteStore) -> None:
        await garden(store)
        page = await store.search(query, [], 10, None)
        assert sorted(hit.title for hit in page.hits) == sorted(titles)
        if query == "tomato":
            assert [hit.title for hit in page.hits] == titles
        assert page.next_cursor is None

    using(where, work)


def test_found_words_are_marked(where: Where) -> None:
    async def work(store: NoteStore) -> None:
        await garden(store)
        (hit,) = (await store.search("sun", [], 10, None)).hits
        assert hit.snippet == "Water them in the morning. They want **sun**"

    using(where, work)


def test_all_tags_must_be_there(where: Where) -> None:
    async def work(store: NoteStore) -> None:
        await garden(store)
        assert [hit.title for hit in (await store.search("tomato", ["food", "garden"], 10, None)).hits] == ["Tomatoes"]
        assert [(tag.tag, tag.notes) for tag in await store.tags(10)] == [("garden", 2), ("food", 1)]
        assert len(await store.tags(1)) == 1

    using(where, work)


def test_pages_neither_repeat_nor_lose_a_note_while_notes_change(where: Where) -> None:
    async def work(store: NoteStore) -> None:
        for number in range(25):
            await store.add(f"Note {number}", "apple " * (number % 5 + 1), [])
        seen: list[int] = []
        cursor: str | None = None
        while True:
            page = await store.search("apple", [], 4, cursor)
            assert len(page.hits) <= 4
            seen += [hit.id for hit in page.hits]
            await store.add("Apple", "apple " * 9, [])  # ranks before everything that was seen
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
        assert len(seen) == len(set(seen)) == 25

    using(where, work)


@pytest.mark.parametrize("cursor", ["", "!", "AAAA", "é", "A" * 17])
def test_a_cursor_of_somebody_elses_is_refused(where: Where, cursor: str) -> None:
    async def work(store: NoteStore) -> None:
        with pytest.raises(BadCursorError):
            await store.search("apple", [], 4, cursor)

    using(where, work)


def test_servers_that_start_together_make_one_table(where: Where) -> None:
    async def start() -> None:
        async with open_store(where, connections=1, patience=10):
            pass

    async def go() -> None:
        await asyncio.gather(*(start() for _ in range(6)))

    asyncio.run(go())


def test_notes_outlive_the_server(where: Where) -> None:
    using(where, garden)

    async def work(store: NoteStore) -> None:
        assert len((await store.search("tomato", [], 10, None)).hits) == 2

    using(where, work)


def test_a_database_that_is_not_there_is_said_so_in_time() -> None:
    async def go() -> None:
        missing = Where(host="127.0.0.1", port=1, user="notes", name="notes", password="unused")  # noqa: S106 - nobody
        async with open_store(missing, connections=1, patience=0.3):
            raise AssertionError("opened a store without a database")

    with pytest.raises(ConnectionError, match=r"PostgreSQL at 127\.0\.0\.1:1 does not answer within 0\.3 s"):
        asyncio.run(go())


def test_the_password_does_not_show(where: Where) -> None:
    assert "unused" not in repr(where)
