"""Source to unchecked-hash bytecode. Runs as ``python -c`` in the target's interpreter, never inside mcp-pack.

A process of its own even for the interpreter at hand: marshal writes whether a string is interned, and that
depends on everything a process did before (seen on 3.11 and 3.13). The code uses the standard library alone, of
every Python from 3.11 on, and knows no path of the machine: sources come in and modules go out through pipes,
which also reach an interpreter behind a chroot.

Framing, both ways: eight bytes with the length of a JSON list, the list, then the bodies one after the other.
In: ``[[file name for tracebacks, length], …]``. Out: ``[length, …]``, -1 where a source does not compile.
"""

from __future__ import annotations

import importlib._bootstrap_external as _external
import importlib.util
import json
import sys
import warnings
from functools import cache
from typing import Any


def compiled(source: bytes, filename: str) -> bytes | None:
    """The ``.pyc`` of a source, or ``None`` where this Python does not take it.

    Unchecked-hash (PEP 552): the same whatever the time, and never compared with the source again.
    """
    _settle()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, filename, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
    external: Any = _external
    return bytes(external._code_to_hash_pyc(code, importlib.util.source_hash(source), False))  # noqa: SLF001, FBT003 - what py_compile calls; it takes only files


@cache
def _settle() -> None:
    """Intern every string of one Latin-1 character, and the empty one.

    They are single objects of the process, so whether they are interned would depend on the other sources.
    """
    for number in range(256):
        sys.intern(chr(number))
    sys.intern("")


def pack(head: Any, bodies: list[bytes]) -> bytes:
    """Frame a list and its bodies."""
    text = json.dumps(head).encode()
    return b"".join([len(text).to_bytes(8, "big"), text, *bodies])


def unpack(data: bytes) -> tuple[Any, int]:
    """The list of a frame, and where the bodies begin."""
    start = 8 + int.from_bytes(data[:8], "big")
    return json.loads(data[8:start]), start


def main() -> None:
    """Compile what stands on standard input."""
    data = sys.stdin.buffer.read()
    head, at = unpack(data)
    lengths, bodies = [], []
    for filename, length in head:
        body = compiled(data[at : at + length], filename)
        at += length
        lengths.append(-1 if body is None else len(body))
        bodies.append(body or b"")
    sys.stdout.buffer.write(pack(lengths, bodies))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
