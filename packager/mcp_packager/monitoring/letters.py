"""Characters that may stand in a quoted text, and the others as escapes that both Go and YAML know."""

from __future__ import annotations


def written(letter: str) -> str:
    r"""The character itself where it can be seen, else ``\uXXXX`` or ``\UXXXXXXXX``."""
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08x}"
