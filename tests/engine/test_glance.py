"""One look for many: made once however many ask at once, and again where it failed."""

from __future__ import annotations

import threading

import pytest

from mcp_packager.target import Glance


def test_many_who_ask_at_once_get_one_look() -> None:
    glance, looked, begun = Glance(), [], threading.Barrier(5)
    found: list[int] = []

    def look() -> int:
        looked.append(1)
        return 7

    def ask() -> None:
        begun.wait(timeout=20)
        found.append(glance.once("key", look))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(looked)) == ([7] * 5, 1)
    assert glance.once("other", lambda: 8) == 8


def test_a_failed_look_is_made_again() -> None:
    glance = Glance()

    def fail() -> int:
        raise LookupError("not now")

    with pytest.raises(LookupError, match="not now"):
        glance.once("key", fail)
    assert glance.once("key", lambda: 1) == 1
