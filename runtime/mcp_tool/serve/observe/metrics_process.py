"""What the system tells of this process, under the names that Prometheus' own clients use."""

import os
import sys
import time
from pathlib import Path

from mcp_tool.serve.observe.metrics import Gauge

_LOADED = time.time()


def gauges() -> tuple[Gauge, ...]:
    """CPU, memory, start and open files; on systems without `/proc` those that can be known."""
    return (
        Gauge("process_cpu_seconds_total", "CPU time of the process, user and system.", time.process_time, "counter"),
        Gauge("process_resident_memory_bytes", "Memory that is resident.", _resident),
        Gauge("process_start_time_seconds", "Begin of the process, in seconds since the epoch.", _begin),
        Gauge("process_open_fds", "File descriptors that are open.", _descriptors),
    )


def _resident() -> float | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return _most_resident()
    return pages * os.sysconf("SC_PAGE_SIZE")


def _most_resident() -> float | None:
    """The most it ever was, where the system does not tell what it is."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _begin() -> float:
    try:
        # proc(5): the 22nd field is in clock ticks after the machine's own start; the 2nd may hold spaces.
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()
            if line.startswith("btime ")
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return _LOADED
    return boot + ticks / os.sysconf("SC_CLK_TCK")


def _descriptors() -> float | None:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # one of them is this look
    except OSError:
        return None
