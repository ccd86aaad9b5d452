"""Turn an HTML page into readable text in the manner of Markdown.

It keeps what a reader wants (headings, paragraphs, lists, links, quotations, code, tables) and drops what a browser
wants. It reads any HTML, however broken, and is no Markdown writer to build on: text is not escaped.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

_DROPPED = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "nav", "button", "select"})
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_PARAGRAPHS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "details", "div", "dl", "fieldset", "figcaption"),
        *("figure", "footer", "form", "header", "main", "p", "section", "summary", "table"),
    }
)
_LINES = frozenset({"li", "tr", "dt", "dd"})
_EMPHASIS = {"b": "**", "strong": "**", "i": "_", "em": "_"}
# A line that holds nothing but the mark of a list item, a heading or a quotation: what follows stays on it.
_MARK = re.compile(r"(?:^|\n) *(?:[-*>]|#{1,6}|\d+\.) $")
_SPACE = re.compile(r"\s+")
_MANY_BREAKS = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Link:
    """A link of a page."""

    url: str
    text: str


@dataclass(frozen=True)
class Document:
    """What a page says."""

    title: str
    text: str
    links: tuple[Link, ...]


def read(html: str, base: str) -> Document:
    """Read a page.

    Args:
        html: The page.
        base: Its address, to which relative links belong.
    """
    reader = _Reader(base)
    reader.feed(html)
    reader.close()
    return reader.document()


class _Reader(HTMLParser):
    """Collects the pieces of the text while the parser walks through the page."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = base
        self._out: list[str] = []
        self._links: list[Link] = []
        self._title: list[str] = []
        self._dropped: list[str] = []
        self._lists: list[int | None] = []
        self._open_link: tuple[str, int] | None = None
        self._in_title = False
        self._in_pre = False

    def document(self) -> Document:
        text = "".join(self._out)
        lines = (line.rstrip() for line in text.split("\n"))
        return Document(
            title=_SPACE.sub(" ", "".join(self._title)).strip(),
            text=_MANY_BREAKS.sub("\n\n", "\n".join(lines)).strip(),
            links=tuple(dict.fromkeys(self._links)),
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._dropped or tag in _DROPPED:
            if tag in _DROPPED:
                self._dropped.append(tag)
            return
        attributes = dict(attrs)
        match tag:
            case "title":
                self._in_title = not self._title
            case "base":
                self._base = urljoin(self._base, attributes.get("href") or "")
            case "a":
                self._close_link()
                self._start_link(attributes.get("href"))
            case "img":
                self._say(attributes.get("alt") or "")
            case "br":
                self._out.append("\n")
            case "hr":
                self._break(2, "---")
                self._break(2)
            case "code" if not self._in_pre:
                self._out.append("`")
            case "pre":
                self._break(2, "```\n")
                self._in_pre = True
            case _:
                self._start_block(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if self._dropped:
            if tag in self._dropped:
                while self._dropped.pop() != tag:
                    pass
            return
        match tag:
            case "title":
                self._in_title = False
            case "a":
                self._close_link()
            case "code" if not self._in_pre:
                self._out.append("`")
            case "pre":
                self._in_pre = False
                self._break(1, "```")
                self._break(2)
            case "ol" | "ul":
                if self._lists:
                    self._lists.pop()
                self._break(1 if self._lists else 2)
            case _:
                self._end_block(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif not self._dropped:
            self._say(data)

    def _start_block(self, tag: str, attributes: dict[str, str | None]) -> None:
        match tag:
            case "ol":
                self._break(1 if self._lists else 2)
                start = attributes.get("start") or "1"
                self._lists.append(int(start) if start.isdecimal() else 1)
            case "ul":
                self._break(1 if self._lists else 2)
                self._lists.append(None)
            case "li":
                self._break(1, self._bullet())
            case "td" | "th":
                self._out.append("| " if self._at_line_start() else " ")
            case "blockquote":
                self._break(2, "> ")
            case _ if tag in _EMPHASIS:
                self._out.append(_EMPHASIS[tag])
            case _ if tag in _HEADINGS:
                self._break(2, _HEADINGS[tag] + " ")
            case _ if tag in _PARAGRAPHS:
                self._break(2)
            case _ if tag in _LINES:
                self._break(1)

    def _end_block(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._out.append(" |")
        elif tag in _EMPHASIS:
            self._out.append(_EMPHASIS[tag])
        elif tag in _LINES:
            self._break(1)
        elif tag in _HEADINGS or tag in _PARAGRAPHS:
            self._break(2)

    def _bullet(self) -> str:
        indent = "  " * max(len(self._lists) - 1, 0)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return f"{indent}- "
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _say(self, text: str) -> None:
        if self._in_pre:
            self._out.append(text)
            return
        plain = _SPACE.sub(" ", text)
        if self._at_line_start() or self._out[-1].endswith(" "):
            plain = plain.lstrip(" ")
        if plain:
            self._out.append(plain)

    def _at_line_start(self) -> bool:
        return not self._out or self._out[-1].endswith("\n")

    def _break(self, lines: int, then: str = "") -> None:
        """End the line, with an empty line after it where `lines` is 2, and go on with `then`."""
        end = "".join(self._out[-4:])
        if end.strip() and not _MARK.search(end):
            missing = lines - (len(end) - len(end.rstrip("\n")))
            if missing > 0:
                self._out.append("\n" * missing)
        if then:
            self._out.append(then)

    def _start_link(self, href: str | None) -> None:
        if href is None:
            return
        address = urljoin(self._base, href.strip())
        if urlsplit(address).scheme in {"http", "https"}:
            self._open_link = (address.partition("#")[0], len(self._out))

    def _close_link(self) -> None:
        if self._open_link is None:
            return
        address, start = self._open_link
        self._open_link = None
        text = _SPACE.sub(" ", "".join(self._out[start:])).strip()
        self._links.append(Link(url=address, text=text))
        if text:
            before = self._out[start][: len(self._out[start]) - len(self._out[start].lstrip())]
            self._out[start:] = [f"{before}[{text}]({address})"]
