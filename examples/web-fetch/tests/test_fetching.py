"""Fetching from a site on this machine."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from site_on_loopback import Site
from web_fetch.fetching import Fetched, Fetcher, FetchError
from web_fetch.settings import FetchSettings

LOOPBACK = "127.0.0.1/32, ::1/128"
TOKEN = "Bearer not-to-be-seen"  # noqa: S105 - of this test's own making


def fetch(*urls: str, **settings: Any) -> Fetched:
    """Fetch the addresses one after the other with one fetcher, and return the last page."""
    return fetch_with_progress(*urls, **settings)[0]


def fetch_with_progress(*urls: str, **settings: Any) -> tuple[Fetched, list[tuple[int, int | None]]]:
    reported: list[tuple[int, int | None]] = []

    async def progress(done: int, total: int | None) -> None:
        reported.append((done, total))

    async def go() -> Fetched:
        async with Fetcher(FetchSettings.model_validate({"fetch_private_networks": LOOPBACK, **settings})) as fetcher:
            for url in urls[:-1]:
                await fetcher.fetch(url, progress)
            return await fetcher.fetch(urls[-1], progress)

    return asyncio.run(go()), reported


def test_a_page(site: Site) -> None:
    page = fetch(site.url("/"))
    assert (page.status, page.content_type, page.truncated) == (200, "text/html", False)
    assert "à votre goût" in page.text
    assert site.seen[0][1]["host"] == f"127.0.0.1:{site.port}"


def test_the_charset_of_the_header_counts(site: Site) -> None:
    assert "café" in fetch(site.url("/latin")).text


def test_nothing_private_is_reached_unless_it_is_allowed(site: Site) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1"):
        with pytest.raises(FetchError, match=r"Refused: .* is not a public address|no address"):
            fetch(site.url("/", host), fetch_private_networks="")
    assert site.seen == []


def test_a_redirect_is_judged_like_any_request(site: Site) -> None:
    with pytest.raises(FetchError, match=r"Refused: 127\.0\.0\.2 "):
        fetch(site.url("/to?http://127.0.0.2:1/"))
    with pytest.raises(FetchError, match="Only http:// and https://"):
        fetch(site.url("/to?file:///etc/passwd"))


def test_redirects_are_followed_but_not_for_ever(site: Site) -> None:
    page = fetch(site.url("/to?/to?/json"))
    assert (page.url, page.text) == (site.url("/json"), '{"a":[1,2]}')
    with pytest.raises(FetchError, match="More than 5 redirects"):
        fetch(site.url("/loop"))
    assert len([path for path, _ in site.seen if path == "/loop"]) == 6


def test_the_token_goes_to_its_origin_and_not_where_that_redirects_to(site: Site) -> None:
    token = {"fetch_token": SecretStr(TOKEN), "fetch_token_origins": site.url("/")}
    fetch(site.url(f"/to?{site.url('/json', 'localhost')}"), **token)
    assert [headers.get("authorization") for _, headers in site.seen] == [TOKEN, None]


def test_no_origin_no_token(site: Site) -> None:
    fetch(site.url("/json"), fetch_token=SecretStr(TOKEN))
    assert "authorization" not in site.seen[0][1]


def test_cookies_are_not_kept(site: Site) -> None:
    fetch(site.url("/json"), site.url("/json"))
    assert "cookie" not in site.seen[1][1]


def test_a_large_page_is_cut_off(site: Site) -> None:
    page, reported = fetch_with_progress(site.url("/large"), fetch_max_bytes=100_000)
    assert (len(page.body), page.truncated) == (100_000, True)
    assert reported[-1][1] == 520_000
    assert [done for done, _ in reported] == sorted({done for done, _ in reported})


def test_a_small_page_that_unpacks_into_a_large_one_is_cut_off(site: Site) -> None:
    page, reported = fetch_with_progress(site.url("/bomb"), fetch_max_bytes=100_000)
    assert (len(page.body), page.truncated) == (100_000, True)
    assert max(done for done, _ in reported) <= 100_001


def test_a_compressed_page(site: Site) -> None:
    assert "à votre goût" in fetch(site.url("/zipped")).text


def test_a_server_that_says_nothing(site: Site) -> None:
    with pytest.raises(FetchError, match=r"within 0\.2 s|does not answer in time"):
        fetch(site.url("/silent"), fetch_timeout=0.2)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://site.example/", "Only http:// and https://"),
        ("site.example", "Only http:// and https://"),
        ("http://user:pw@site.example/", "user name or password"),
        ("http://[::1", "Not a web address"),
        ("http://127.0.0.1:1/", "The request failed"),
    ],
)
def test_what_cannot_be_fetched(url: str, problem: str) -> None:
    with pytest.raises(FetchError, match=problem):
        fetch(url)


def test_settings_that_are_no_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="fetch_private_networks"):
        FetchSettings.model_validate({"fetch_private_networks": "10.0.0.1/8"})
