"""What a docstring says: the description, and a sentence for each argument. Google, NumPy and Sphinx styles."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import docstring_parser

_GOOGLE = re.compile(r"(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters):\s*")
_NUMPY = re.compile(r"(Parameters|Other Parameters)\s*")
_RULE = re.compile(r"-{3,}\s*")
_FIELD = re.compile(r"[:@](param|parameter|arg|argument|key|keyword|type)\s[^:]*:")


@dataclass(frozen=True, slots=True)
class Doc:
    """A docstring without the arguments' section, and the arguments' descriptions by name."""

    description: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


def read(function: Callable[..., Any]) -> Doc:
    """The docstring of a function, cleaned and taken apart."""
    raw = inspect.unwrap(function).__doc__
    if not isinstance(raw, str) or not raw.strip():
        return Doc()
    text = inspect.cleandoc(raw)
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return Doc(_without_arguments(text))
    arguments = {
        name.strip().lstrip("*"): _one_line(entry.description)
        for entry in parsed.params
        for name in entry.arg_name.split(",")
        if entry.description
    }
    return Doc(_without_arguments(text), arguments)


def _one_line(text: str) -> str:
    """Lines joined to paragraphs."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def _without_arguments(text: str) -> str:
    lines = text.splitlines()
    kept: list[str] = []
    index = 0
    while index < len(lines):
        end = _section_end(lines, index)
        if end == index:
            kept.append(lines[index])
            end += 1
        index = end
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _section_end(lines: list[str], index: int) -> int:
    """Where the arguments' section that starts at a line ends; the line itself if none starts there."""
    line = lines[index]
    if _GOOGLE.fullmatch(line) or _FIELD.match(line):
        return _after_indented(lines, index + 1, blank_ends=bool(_FIELD.match(line)))
    if _NUMPY.fullmatch(line) and index + 1 < len(lines) and _RULE.fullmatch(lines[index + 1]):
        end = index + 2
        while end < len(lines) and not (end + 1 < len(lines) and _RULE.fullmatch(lines[end + 1])):
            end += 1
        return end
    return index


def _after_indented(lines: list[str], index: int, *, blank_ends: bool) -> int:
    while index < len(lines) and (lines[index][:1].isspace() or (not lines[index] and not blank_ends)):
        index += 1
    return index
