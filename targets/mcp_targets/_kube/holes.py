"""Helm templates made of objects: a mark in the data becomes an expression in the text, and nothing else does.

A mark is a word that stands nowhere else. In a text it becomes the bare expression; as a whole value the expression's
JSON, which is YAML; as a key it becomes lines of its own, which may be none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_packager.yaml import yaml_text


def unused(text: str) -> str:
    """A word for marks that stands nowhere in a text."""
    return next(word for number in itertools.count() if (word := f"mark{number}") not in text)


@dataclass
class Holes:
    """The marks of one chart, and what each stands for. ``word`` begins them all: see :func:`unused`."""

    word: str = "mark0"
    expressions: list[str] = field(default_factory=list)

    def text(self, expression: str) -> str:
        """A mark for a part of a text; the expression must give what needs no quotes. Fit for a host name."""
        return self._mark("text", expression)

    def json(self, expression: str) -> str:
        """A mark for a whole value."""
        return self._mark("json", expression)

    def line(self, key: str, expression: str) -> dict[str, str]:
        """An entry of a mapping that is there where the expression is not empty; its value is the expression."""
        return {
            self._mark("line", f"{{{{- with {expression} }}}}\n@{key}: {{{{ toJson . }}}}\n{{{{- end }}}}"): "",
        }

    def gated(self, condition: str, key: str, expression: str) -> dict[str, str]:
        """An entry of a mapping that is there where the condition holds."""
        return {
            self._mark("line", f"{{{{- if {condition} }}}}\n@{key}: {{{{ toJson {expression} }}}}\n{{{{- end }}}}"): "",
        }

    def filled(self, document: Mapping[str, Any]) -> str:
        """The document as the text of a template: what looks like an expression and is none stands as it is."""
        text = _escaped(yaml_text(document))
        text = re.sub(
            rf'^(?P<indent> *){self.word}-line-(?P<number>[0-9]{{3}})-end: ""$',
            lambda found: self.expressions[int(found["number"])].replace("@", found["indent"]),
            text,
            flags=re.MULTILINE,
        )
        text = re.sub(rf'"{self.word}-json-([0-9]{{3}})-end"', lambda found: self._json(int(found[1])), text)
        text = self._texts(text)
        if self.word in text:
            raise ValueError("a mark is left where none can be")
        return text

    def plain(self, text: str) -> str:
        """A text that is no YAML, with its marks as expressions."""
        return self._texts(_escaped(text))

    def _texts(self, text: str) -> str:
        return re.sub(
            rf"{self.word}-text-([0-9]{{3}})-end", lambda found: f"{{{{ {self.expressions[int(found[1])]} }}}}", text
        )

    def _mark(self, sort: str, expression: str) -> str:
        if expression not in self.expressions:
            self.expressions.append(expression)
        return f"{self.word}-{sort}-{self.expressions.index(expression):03}-end"

    def _json(self, number: int) -> str:
        return f"{{{{ toJson ({self.expressions[number]}) }}}}"


def _escaped(text: str) -> str:
    """The text as a template that gives it back."""
    return re.sub(r"[{}]{2,}", lambda found: f'{{{{ "{found[0]}" }}}}', text)
