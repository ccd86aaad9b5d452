"""URI templates (RFC 6570) read backwards: from a URI to the values of its variables.

Levels 1 to 3 without `{;…}`, and `{/path*}` of level 4. One variable may span segments: `{+path}`, `{#part}` or
`{/path*}`. Matching goes over the URI once from each end and never back, so that no URI takes long.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias
from urllib.parse import unquote

_NAME = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
_STOPS: Final = {"": "/?#&,", "+": "?#", "#": "", ".": "./?#", "/": "/?#", "?": "&#", "&": "&#"}
_LEADS: Final = {"": ("", ","), "+": ("", ","), "#": ("#", ","), ".": (".", "."), "/": ("/", "/")}
_MAX_TEMPLATE, _MAX_URI = 8192, 65536

Values: TypeAlias = dict[str, str | list[str]]


class TemplateError(ValueError):
    """A template that is malformed, ambiguous, or of a kind that is not supported."""


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    operator: str
    explode: bool = False

    @property
    def spans(self) -> bool:
        """Whether its value may hold several segments."""
        return self.explode or self.operator in ("+", "#")


_Atom: TypeAlias = str | _Variable


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literals and variables in turn, and the variables of its query."""

    text: str
    atoms: tuple[_Atom, ...]
    query: tuple[str, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """All names, in order; those of the query last."""
        return tuple(atom.name for atom in self.atoms if isinstance(atom, _Variable)) + self.query

    def match(self, uri: str) -> Values | None:
        """The variables of a URI, percent-decoded; None where it does not match.

        Variables of the query may be missing, in any order, among others.
        """
        if len(uri) > _MAX_URI:
            return None
        if not self.query:
            return self._path(uri)
        path, _, query = uri.partition("#")[0].partition("?")
        values = self._path(path)
        if values is None:
            return None
        # Names are compared undecoded: an encoded name must not shadow the real one.
        given: dict[str, str] = {}
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            given.setdefault(name, unquote(value))
        return {**values, **{name: given[name] for name in self.query if name in given}}

    def _path(self, uri: str) -> Values | None:
        span = next((i for i, atom in enumerate(self.atoms) if isinstance(atom, _Variable) and atom.spans), None)
        if span is None:
            found = _from_right(self.atoms, uri, whole=True)
            return None if found is None else found[0]
        wide = self.atoms[span]
        right = _from_right(self.atoms[span + 1 :], uri, whole=False)
        if right is None or not isinstance(wide, _Variable):
            return None
        left = _from_left(self.atoms[:span], uri[: right[1]])
        if left is None:
            return None
        value = _wide_value(wide, uri[left[1] : right[1]])
        return None if value is None else {**left[0], wide.name: value, **right[0]}


def is_template(uri: str) -> bool:
    """Whether a URI has variables."""
    return "{" in uri or "}" in uri


def parse(text: str) -> Template:
    """Parse a template.

    Raises:
        TemplateError: With the reason.
    """
    if len(text) > _MAX_TEMPLATE:
        msg = f"the template is longer than {_MAX_TEMPLATE} characters"
        raise TemplateError(msg)
    pieces = re.split(r"\{([^{}]*)\}", text)
    if any("{" in literal or "}" in literal for literal in pieces[::2]):
        msg = "a brace has no partner"
        raise TemplateError(msg)
    atoms: list[_Atom] = []
    query: list[str] = []
    for index, piece in enumerate(pieces):
        if index % 2:
            _expression(piece, atoms, query)
        elif piece:
            if query:
                msg = "{?…} stands before the end"
                raise TemplateError(msg)
            atoms.append(piece)
    _check(atoms, query)
    return Template(text, tuple(_joined(atoms)), tuple(query))


def _expression(body: str, atoms: list[_Atom], query: list[str]) -> None:
    operator = body[:1] if body[:1] in "+#./?&;" and body else ""
    names = body.removeprefix(operator).split(",")
    if operator == ";":
        msg = "{;…} is not supported"
        raise TemplateError(msg)
    for position, spec in enumerate(names):
        explode, name = spec.endswith("*"), spec.removesuffix("*")
        if not _NAME.fullmatch(name):
            msg = f"{spec!r} is no variable's name" if ":" not in spec else f"{{{spec}}}: lengths are not supported"
            raise TemplateError(msg)
        if explode and operator != "/":
            msg = f"{{{operator}{spec}}}: only {{/{name}*}} may have a *"
            raise TemplateError(msg)
        if operator in ("?", "&"):
            _query_name(operator, name, query, first=position == 0)
            continue
        if query:
            msg = "{?…} stands before the end"
            raise TemplateError(msg)
        lead, between = _LEADS[operator]
        literal = between if position else lead
        if literal and not explode:
            atoms.append(literal)
        atoms.append(_Variable(name, operator, explode))


def _query_name(operator: str, name: str, query: list[str], *, first: bool) -> None:
    if operator == "?" and first and query:
        msg = "there are two {?…}; write {?a,b} or {?a}{&b}"
        raise TemplateError(msg)
    if operator == "&" and not query:
        msg = "{&…} needs a {?…} before it"
        raise TemplateError(msg)
    query.append(name)


def _check(atoms: Sequence[_Atom], query: Sequence[str]) -> None:
    variables = [atom for atom in atoms if isinstance(atom, _Variable)]
    names = [variable.name for variable in variables] + list(query)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"variable {twice!r} appears twice"
        raise TemplateError(msg)
    if sum(variable.spans for variable in variables) > 1:
        msg = "two variables may span segments, so that nobody can tell where one ends"
        raise TemplateError(msg)
    for left, right in pairwise(atoms):
        if isinstance(left, _Variable) and isinstance(right, _Variable):
            msg = f"nothing stands between {{{left.name}}} and {{{right.name}}}"
            raise TemplateError(msg)
    if query and any(isinstance(atom, str) and ("?" in atom or "#" in atom) for atom in atoms):
        msg = "a ? or # stands before {?…}"
        raise TemplateError(msg)


def _joined(atoms: Sequence[_Atom]) -> list[_Atom]:
    """Neighbouring literals as one."""
    joined: list[_Atom] = []
    for atom in atoms:
        if isinstance(atom, str) and joined and isinstance(joined[-1], str):
            joined[-1] += atom
        else:
            joined.append(atom)
    return joined


def _from_right(atoms: Sequence[_Atom], uri: str, *, whole: bool) -> tuple[Values, int] | None:
    """Match atoms against the end of a URI; the earlier of two variables gets the longer part.

    Returns:
        Values, and where the match begins (0 if `whole`).
    """
    values: Values = {}
    end = len(uri)
    for index in range(len(atoms) - 1, -1, -1):
        atom = atoms[index]
        if isinstance(atom, str):
            if not uri.endswith(atom, 0, end):
                return None
            end -= len(atom)
            continue
        before = atoms[index - 1] if index else ""
        if whole and index <= 1:
            start = len(before) if isinstance(before, str) and uri.startswith(before, 0, end) else -1
        else:
            found = uri.rfind(before, 0, end) if isinstance(before, str) else -1
            start = found + len(before) if found >= 0 and isinstance(before, str) else -1
        if not 0 <= start <= end or _stopped(atom, uri[start:end]):
            return None
        values[atom.name] = unquote(uri[start:end])
        end = start
    return None if whole and end else (dict(reversed(values.items())), end)


def _from_left(atoms: Sequence[_Atom], uri: str) -> tuple[Values, int] | None:
    """Match atoms against the beginning of a URI; values, and where the match ends. The last atom is a literal."""
    values: Values = {}
    start = 0
    for index, atom in enumerate(atoms):
        if isinstance(atom, str):
            if not uri.startswith(atom, start):
                return None
            start += len(atom)
            continue
        after = atoms[index + 1] if index + 1 < len(atoms) else ""
        # `{a}{/rest*}`: the value ends where the next variable's own slash begins.
        end = uri.find(after, start) if isinstance(after, str) and after else _first(uri, _STOPS[atom.operator], start)
        if end < 0 or _stopped(atom, uri[start:end]):
            return None
        values[atom.name] = unquote(uri[start:end])
        start = end
    return values, start


def _first(uri: str, stops: str, start: int) -> int:
    return next((index for index in range(start, len(uri)) if uri[index] in stops), len(uri))


def _wide_value(variable: _Variable, raw: str) -> str | list[str] | None:
    if not variable.explode:
        return None if _stopped(variable, raw) else unquote(raw)
    if not raw:
        return []
    if not raw.startswith("/") or any(_stopped(variable, segment) for segment in raw[1:].split("/")):
        return None
    return [unquote(segment) for segment in raw[1:].split("/")]


def _stopped(variable: _Variable, raw: str) -> bool:
    return any(character in _STOPS[variable.operator] for character in raw)


def unsafe(values: Mapping[str, str | list[str]], unchecked: Sequence[str] = ()) -> str | None:
    """The first variable whose value is an absolute path, climbs with "..", or holds a null byte; None if none does."""
    for name, value in values.items():
        if name in unchecked:
            continue
        for text in value if isinstance(value, list) else [value]:
            if "\0" in text or _is_absolute(text) or _climbs(text):
                return name
    return None


def _is_absolute(text: str) -> bool:
    return text[:1] in ("/", "\\") or (text[1:2] == ":" and text[0].isascii() and text[0].isalpha())


def _climbs(text: str) -> bool:
    depth = 0
    for part in text.replace("\\", "/").split("/"):
        depth += -1 if part == ".." else int(part not in ("", "."))
        if depth < 0:
            return True
    return False
