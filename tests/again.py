"""Runs what failed in the last session again, one after the other, twice: is it broken, or only unsteady?

``python -m tests.again [PYTEST ARGUMENT…]``. Exits with 0 where a few tests failed and each of them now passes twice;
they are printed as unsteady, which is a fault of the test or of what it holds, to be looked at. With more failures
than ``_MOST``, with none, or with one that fails again, it exits with 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

_FAILED: Final = Path(__file__).parents[1] / ".pytest_cache" / "v" / "cache" / "lastfailed"
_MOST: Final = 4
_ROUNDS: Final = 2


def failed(cache: Path) -> list[str]:
    """The ids of the tests that failed in the session before, as pytest keeps them."""
    try:
        kept: dict[str, bool] = json.loads(cache.read_bytes())
    except FileNotFoundError:
        return []
    return sorted(test for test, gone_wrong in kept.items() if gone_wrong)


def main(arguments: list[str], cache: Path = _FAILED) -> int:
    """Run them; the code to exit with."""
    tests = failed(cache)
    if not tests:
        print("no test is known to have failed: it was something else")
        return 1
    if len(tests) > _MOST:
        print(f"{len(tests)} tests failed: too many to be only unsteady")
        return 1
    for _ in range(_ROUNDS):
        # The cache is left alone: a second look must not take a failure out of it.
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, *tests]
        if subprocess.run(command, cwd=Path(__file__).parents[1], check=False).returncode:
            return 1
    print(f"unsteady, passed {_ROUNDS} times after a failure:", *tests, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
