"""URI templates read backwards: as the SDK does for everything both support, and never slowly."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mcp.server.mcpserver.resources.templates import DEFAULT_RESOURCE_SECURITY
from mcp.shared.uri_template import UriTemplate

from mcp_tool import uri

TEMPLATES = (
    "a://{x}",
    "a://{x}/b",
    "a://{x}/{y}",
    "a://{x}-{y}",
    "a://{x}.{y}",
    "a://{x,y}",
    "a://{+path}",
    "a://d/{+path}/end",
    "a://{x}/{+path}",
    "a://d{/x}",
    "a://d{/x,y}",
    "a://d{/path*}",
    "a://d{/path*}/end",
    "a://{x}{.ext}",
    "a://{+path}{.ext}",
    "a://d{#part}",
    "a://d{?q}",
    "a://{x}{?q,lang}",
    "a://{x}{?q}{&lang}",
    "a://{+path}{?q}",
    "{x}",
    "plain",
)
PIECES = st.sampled_from(
    [
        "a://",
        "d",
        "/",
        "//",
        "-",
        "--",
        ".",
        "..",
        ",",
        "?",
        "&",
        "#",
        "=",
        "q=",
        "lang=",
        "end",
        "b",
        "%2F",
        "%2e",
        "%",
        "é",
        "x",
    ]
)
URIS = st.lists(PIECES, max_size=12).map("".join)


@pytest.mark.parametrize("template", TEMPLATES)
@given(tail=URIS)
@example(tail="a://1/2")
@example(tail="a://d/x/y/end")
def test_matches_as_the_sdk_does(template: str, tail: str) -> None:
    for address in (tail, template.partition("{")[0] + tail):
        assert uri.parse(template).match(address) == UriTemplate.parse(template).match(address)


@pytest.mark.parametrize("template", TEMPLATES)
@given(values=st.dictionaries(st.sampled_from(["x", "y", "q", "lang"]), st.text(min_size=1, max_size=6)))
def test_gives_back_what_was_put_in(template: str, values: dict[str, str]) -> None:
    ours, sdk = uri.parse(template), UriTemplate.parse(template)
    plain = {name: value for name, value in values.items() if not set(value) & set("./,-+")}
    wanted = {name: plain.get(name, "v") for name in ours.variables if name not in ("path", "part", "ext")}
    if len(wanted) != len(ours.variables):
        return
    assert ours.match(sdk.expand(wanted)) == wanted


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("a://{x", "no partner"),
        ("a://x}", "no partner"),
        ("a://{}", "no variable's name"),
        ("a://{x y}", "no variable's name"),
        ("a://{x:3}", "lengths are not supported"),
        ("a://{x*}", "may have a *"),
        ("a://{;x}", "not supported"),
        ("a://{x}{y}", "nothing stands between"),
        ("a://{x}/{x}", "appears twice"),
        ("a://{+x}/{+y}", "two variables may span"),
        ("a://{?x}/{y}", "before the end"),
        ("a://{?x}{?y}", "two {?…}"),
        ("a://{&x}", "needs a {?…}"),
        ("a://d?k={v}{?x}", "a ? or #"),
        ("a" * 9000, "longer than"),
    ],
)
def test_templates_that_cannot_be(template: str, reason: str) -> None:
    with pytest.raises(uri.TemplateError, match=reason.replace("?", r"\?").replace("*", r"\*")):
        uri.parse(template)


@given(st.text(alphabet="{}+#./?&;*,:ab ", max_size=20))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        uri.parse(text)
    except uri.TemplateError:
        return


def test_no_uri_takes_long() -> None:
    template = uri.parse("a://" + "-".join(f"{{v{index}}}" for index in range(30)))
    start = time.perf_counter()
    assert template.match("a://" + "-" * 60_000 + "/") is None
    assert template.match("a://" + "-" * 70_000) is None
    assert time.perf_counter() - start < 1


@given(st.text(alphabet="./\\:aC\0é", max_size=12), st.booleans())
def test_unsafe_values_are_those_of_the_sdk(value: str, listed: bool) -> None:
    values: dict[str, str | list[str]] = {"x": [value] if listed else value}
    assert uri.unsafe(values) == DEFAULT_RESOURCE_SECURITY.validate(values)
    assert uri.unsafe(values, ["x"]) is None
