"""The tools of web-fetch."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from mcp_tool import Context, ToolError, provide, tool
from pydantic import Field

from web_fetch import markdown
from web_fetch.fetching import Fetched, Fetcher, FetchError
from web_fetch.settings import FetchSettings

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = frozenset({"application/json", "application/xml", "application/javascript", "application/yaml"})


class Format(StrEnum):
    """The form in which a page's text is returned."""

    MARKDOWN = "markdown"
    SOURCE = "source"


@dataclass(frozen=True)
class Page:
    """A page, or a piece of it."""

    url: str
    status: int
    content_type: str
    title: str
    text: str
    total_characters: int
    next_start: int | None
    truncated: bool


@dataclass(frozen=True)
class LinkedPage:
    """A page that another page links to."""

    url: str
    text: str
    same_site: bool


@provide
async def fetcher(settings: FetchSettings) -> AsyncIterator[Fetcher]:
    """Open the connections once, when the server starts, and close them when it stops."""
    async with Fetcher(settings) as opened:
        yield opened


@tool(read_only=True, open_world=True, timeout="60s")
async def fetch(
    url: str,
    fetcher: Fetcher,
    context: Context,
    *,
    form: Format = Format.MARKDOWN,
    start: Annotated[int, Field(ge=0)] = 0,
    max_characters: Annotated[int, Field(ge=100, le=100_000)] = 20_000,
) -> Page:
    """Fetch a web page and return its text.

    A long page comes in pieces: call again with `start` set to `next_start`. Pages that need a browser's scripts are
    returned as they come, without what the scripts would add.

    Args:
        url: An http:// or https:// address.
        form: `markdown` for the text that a reader would see, `source` for the page as it is.
        start: The character to start from.
        max_characters: At most so many characters.
    """
    page = await _fetched(url, fetcher, context)
    title, text = _read(page, form)
    end = start + max_characters
    return Page(
        url=page.url,
        status=page.status,
        content_type=page.content_type,
        title=title,
        text=text[start:end],
        total_characters=len(text),
        next_start=end if end < len(text) else None,
        truncated=page.truncated,
    )


@tool(read_only=True, open_world=True, timeout="60s")
async def links(
    url: str,
    fetcher: Fetcher,
    context: Context,
    *,
    same_site: bool = False,
    limit: Annotated[int, Field(ge=1, le=500)] = 100,
) -> list[LinkedPage]:
    """List the pages that a web page links to, in the order of the page.

    Args:
        url: An http:// or https:// address.
        same_site: Only pages of the same host.
        limit: At most so many.
    """
    page = await _fetched(url, fetcher, context)
    if page.content_type not in _HTML:
        raise ToolError(f"{page.url} is {page.content_type}, which has no links.")
    host = urlsplit(page.url).hostname
    found = [
        LinkedPage(url=link.url, text=link.text, same_site=urlsplit(link.url).hostname == host)
        for link in markdown.read(page.text, page.url).links
    ]
    return [link for link in found if link.same_site or not same_site][:limit]


async def _fetched(url: str, fetcher: Fetcher, context: Context) -> Fetched:
    async def progress(done: int, total: int | None) -> None:
        await context.progress(done, total, f"{done:,} bytes")

    try:
        return await fetcher.fetch(url, progress)
    except FetchError as error:
        raise ToolError(str(error)) from error


def _read(page: Fetched, form: Format) -> tuple[str, str]:
    """Return the title and the text of a page."""
    if page.content_type in _HTML and form is Format.MARKDOWN:
        document = markdown.read(page.text, page.url)
        return document.title, document.text
    if (
        page.content_type.startswith("text/")
        or page.content_type in _TEXT
        or page.content_type.endswith(("+json", "+xml"))
    ):
        return "", _indented(page) if form is Format.MARKDOWN else page.text
    raise ToolError(f"{page.url} is {page.content_type}, which is not text.")


def _indented(page: Fetched) -> str:
    if page.truncated or not page.content_type.endswith("json"):
        return page.text
    try:
        return json.dumps(json.loads(page.text), indent=2, ensure_ascii=False)
    except ValueError:
        return page.text
