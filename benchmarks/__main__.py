"""``python -m benchmarks [--quick] [--json] [ROW …]``: take the figures and print them side by side.

Exits 1 where a bar is missed, so that a person or a job can act on it; no test asserts a timing.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys

from benchmarks.place import scratch
from benchmarks.report import Figure, table
from benchmarks.rows import ROWS

RUNS = 12
QUICK_RUNS = 4


def main() -> int:
    """Take the figures that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Take the project's figures.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs a side in place of {RUNS}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    # Told to end, it still stops the daemons it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures: list[Figure] = []
    with scratch() as place:
        for name in options.rows or ROWS:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            figures += ROWS[name](place, QUICK_RUNS if options.quick else RUNS)
    if options.json:
        print(json.dumps({"schema": 1, "figures": [figure.as_json() for figure in figures]}, indent=2))
    else:
        print(f"Python {platform.python_version()}, {platform.machine()}; medians of paired runs\n")
        print(table(figures))
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    raise SystemExit(main())
