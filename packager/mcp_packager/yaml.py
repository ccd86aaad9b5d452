"""YAML for machines that people read too: keys and lists in blocks, every text in double quotes.

Quoted, no text can be taken for a number, a date or a boolean, whichever version of YAML the reader knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RETYPED: Final = frozenset({"y", "yes", "n", "no", "true", "false", "on", "off", "null"})
_SHORT: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def yaml_text(document: Mapping[str, Any]) -> str:
    """A mapping of texts, integers, booleans, lists and mappings as a YAML document.

    Raises:
        TypeError: it holds something else.
    """
    return "\n".join(_block(document, "")) + "\n"


def _block(value: Mapping[str, Any] | Sequence[Any], indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{indent}{_key(key)}:", item, f"{indent}  ")
        return
    for item in value:
        if isinstance(item, Mapping) and item:
            first, *rest = _block(item, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield from _entry(f"{indent}-", item, f"{indent}  ")


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, (Mapping, list, tuple)) and value:
        yield head
        yield from _block(value, indent)
    else:
        yield f"{head} {_scalar(value)}"


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _RETYPED else _text(key)


def _scalar(value: Any) -> str:
    match value:
        case str():
            return _text(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Mapping():
            return "{}"
        case list() | tuple():
            return "[]"
        case _:
            raise TypeError(f"{type(value).__name__} does not go into YAML")


def written(letter: str) -> str:
    r"""The character itself where it can be seen, else ``\uXXXX`` or ``\UXXXXXXXX``, which Go's texts know too."""
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08x}"


def _text(text: str) -> str:
    return '"' + "".join(_SHORT.get(letter) or written(letter) for letter in text) + '"'
