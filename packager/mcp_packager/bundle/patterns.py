"""Patterns of ``include``, ``exclude`` and ``allow``: paths from the project folder, with ``*``, ``?`` and ``**``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether ``path`` (with ``/``, from the project folder) is meant by one of ``patterns``.

    ``*`` and ``?`` stay within one folder, ``**`` crosses folders, and a pattern that names a folder
    means everything in it.
    """
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern.removeprefix("./").rstrip("/")
    out = []
    at = 0
    while at < len(text):
        if text.startswith("**/", at):
            out.append("(?:[^/]+/)*")
            at += 3
        elif text.startswith("**", at):
            out.append(".*")
            at += 2
        elif text[at] == "*":
            out.append("[^/]*")
            at += 1
        elif text[at] == "?":
            out.append("[^/]")
            at += 1
        else:
            out.append(re.escape(text[at]))
            at += 1
    return re.compile("".join(out) + "(?:/.*)?", re.DOTALL)
