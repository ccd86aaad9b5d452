"""The tools, called in-process, against a site on this machine."""

import pytest
from mcp_tool import ToolError
from mcp_tool.testing import Tools

from site_on_loopback import Site
from web_fetch.tools import fetch, links

TOOLS = Tools(env={"FETCH_PRIVATE_NETWORKS": "127.0.0.0/8"})


def test_a_page_as_markdown(site: Site) -> None:
    answer = TOOLS.call(fetch, url=site.url("/"))
    assert answer["title"] == "Tea"
    assert answer["text"].startswith("# Tea\n\nPour **hot** water over [leaves](http://127.0.0.1:")
    assert "- green: 2 minutes\n- black: 4 minutes" in answer["text"]
    assert "Menu" not in answer["text"]
    assert (answer["status"], answer["next_start"], answer["truncated"]) == (200, None, False)


def test_a_page_as_it_is(site: Site) -> None:
    assert TOOLS.call(fetch, url=site.url("/"), form="source")["text"].startswith("<!doctype html>")


def test_a_long_page_comes_in_pieces(site: Site) -> None:
    pieces = ""
    start: int | None = 0
    while start is not None:
        answer = TOOLS.call(fetch, url=site.url("/large"), start=start, max_characters=100_000)
        pieces += answer["text"]
        start = answer["next_start"]
    assert pieces == "line of text\n" * 40_000
    assert len(site.seen) == 6


def test_json_is_indented(site: Site) -> None:
    assert TOOLS.call(fetch, url=site.url("/json"))["text"] == '{\n  "a": [\n    1,\n    2\n  ]\n}'


def test_a_missing_page_is_an_answer(site: Site) -> None:
    answer = TOOLS.call(fetch, url=site.url("/nowhere"))
    assert (answer["status"], answer["text"]) == (404, "no such page")


def test_a_picture_is_no_text(site: Site) -> None:
    with pytest.raises(ToolError, match="image/png, which is not text"):
        TOOLS.call(fetch, url=site.url("/picture"))


def test_links(site: Site) -> None:
    everywhere = TOOLS.call(links, url=site.url("/"))
    assert [link["text"] for link in everywhere] == ["leaves", "Elsewhere"]
    assert TOOLS.call(links, url=site.url("/"), same_site=True) == [
        {"url": site.url("/leaves"), "text": "leaves", "same_site": True}
    ]
    with pytest.raises(ToolError, match="which has no links"):
        TOOLS.call(links, url=site.url("/json"))


def test_without_a_setting_nothing_private_is_fetched(site: Site) -> None:
    with pytest.raises(ToolError, match="not a public address"):
        Tools(env={}).call(fetch, url=site.url("/"))
    assert site.seen == []


def test_the_token_reaches_its_origin_and_no_answer(site: Site) -> None:
    token = "Bearer not-to-be-seen"  # noqa: S105 - of this test's own making
    tools = Tools(env={**(TOOLS.env or {}), "FETCH_TOKEN": token, "FETCH_TOKEN_ORIGINS": site.url("")})
    answer = tools.call(fetch, url=site.url("/"))
    assert site.seen[0][1]["authorization"] == token
    assert token not in str(answer)
    with pytest.raises(ToolError) as refused:
        tools.call(fetch, url="http://10.0.0.1/")
    assert token not in str(refused.value)
