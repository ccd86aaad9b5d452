"""Which process something in a world belongs to, so that what one left that was killed is known as left."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def me() -> str:
    """This process: machine, boot and process namespace, number, and what tells it from a later one of that number."""
    return f"{_place()} {os.getpid()} {_birth(os.getpid())}"


def died(owner: str) -> bool:
    """Whether it is known that the process is gone: of one on another machine nothing is."""
    place, _, process = owner.partition(" ")
    pid, _, birth = process.partition(" ")
    return place == _place() and pid.isdecimal() and _birth(int(pid)) != birth


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{platform.node()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def _birth(pid: int) -> str:
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    shown = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()
