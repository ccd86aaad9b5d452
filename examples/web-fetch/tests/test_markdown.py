"""Pages as text."""

import pytest

from web_fetch.markdown import Link, read

BASE = "https://site.example/docs/start.html"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>One</h1><h3>Two</h3><p>Three</p>", "# One\n\n### Two\n\nThree"),
        ("<p>a  b\n c</p><p>d<br>e</p>", "a b c\n\nd\ne"),
        ("<p>so <b>bold</b> and <em>thin</em></p>", "so **bold** and _thin_"),
        ("<ul><li>a<li><p>b</p></ul><ol start=3><li>c</li><li>d</li></ol>", "- a\n- b\n\n3. c\n4. d"),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", "- a\n  - b\n- c"),
        ("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>", "| A | B |\n| 1 | 2 |"),
        ("<blockquote><p>said</p></blockquote>", "> said"),
        ("<p>use <code>x = 1</code></p><pre>if x:\n    y\n</pre>", "use `x = 1`\n\n```\nif x:\n    y\n```"),
        (
            "<p>seen</p><script>if (a<b) x()</script><style>p{}</style><nav><ul><li>menu</ul></nav><p>too</p>",
            "seen\n\ntoo",
        ),
        ("<p>1 &lt; 2 &amp; 3&nbsp;&euro;", "1 < 2 & 3 €"),
        ("<p><i>never closed<p>next</b></ul></p>", "_never closed\n\nnext**"),
        ("", ""),
    ],
)
def test_text(html: str, text: str) -> None:
    assert read(html, BASE).text == text


def test_links_are_absolute_without_fragments_and_listed_once() -> None:
    html = """<p>See <a href="/a#top">the  first</a>, <a href="b.html">second</a>, <a href="b.html">second</a>,
    <a href="javascript:alert(1)">no</a> <a href="mailto:x@y">mail</a> <a name="anchor">nor this</a></p>"""
    document = read(html, BASE)
    assert document.links == (
        Link("https://site.example/a", "the first"),
        Link("https://site.example/docs/b.html", "second"),
    )
    assert "[the first](https://site.example/a), [second](https://site.example/docs/b.html)" in document.text


def test_the_base_of_the_page_counts() -> None:
    assert read('<base href="/other/"><a href="x">y</a>', BASE).links == (Link("https://site.example/other/x", "y"),)


def test_the_title_is_the_first_one() -> None:
    assert read("<title> A\n title </title><svg><title>Icon</title></svg><p>x", BASE).title == "A title"
