"""A systemd user unit that starts the supervisor after a reboot, where this machine has such units.

Written and removed here; the supervisor that a deploy started stays outside it until the next start of the machine.
What the directives mean: systemd.service(5), systemd.exec(5), systemd.syntax(7).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.files import write_atomic
from mcp_packager.target import Value
from mcp_targets.local.daemon import PASSED_ON
from mcp_targets.local.places import Places

_SECONDS: Final = 20.0
_MARK: Final = "# mcp-pack "
_UNIT: Final = """\
[Unit]
Description=mcp-pack: {name}

[Service]
Type=forking
ExecStart={command}
WorkingDirectory={root}
{environment}
KillMode=mixed
TimeoutStopSec=60
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=3

[Install]
WantedBy=default.target
"""


def missing(environ: Mapping[str, str]) -> str | None:
    """Why this machine has no user units, or ``None`` where it has."""
    program = shutil.which("systemctl", path=environ.get("PATH"))
    if program is None:
        return "there is no systemctl"
    try:
        asked = subprocess.run(
            [program, "--user", "show", "--property=Version"],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if asked.returncode == 0 else asked.stderr.strip() or f"systemctl ended with {asked.returncode}"


class Unit:
    """The unit of one deployment. ``environ`` says where the user's units are and how systemd is reached."""

    def __init__(self, places: Places, environ: Mapping[str, str]) -> None:
        self._places = places
        self._environ = environ
        chosen = environ.get("XDG_CONFIG_HOME")
        base = Path(chosen) if chosen else Path(environ.get("HOME") or Path.home()) / ".config"
        self.name = f"mcp-pack-{places.root.name}.service"
        self.file = base / "systemd" / "user" / self.name
        self._wanted = self.file.parent / "default.target.wants" / self.name

    def observe(self) -> Mapping[str, Value] | None:
        """The fields that are there, ``None`` where no file is."""
        try:
            mark, _, rest = self.file.read_text(encoding="utf-8").partition("\n")
            about = json.loads(mark.removeprefix(_MARK))
            python, whole = about["python"], about["sha256"] == _hash(rest)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError):
            python, whole = None, False
        return {"python": python, "whole": whole, "enabled": os.path.lexists(self._wanted)}

    def install(self, python: str) -> Mapping[str, Value]:
        """Write and enable it. It starts nothing now: the supervisor runs already.

        Raises:
            WorldError: systemd does not take it.
        """
        text = self.text(python)
        mark = {"python": python, "sha256": _hash(text)}
        write_atomic(self.file, f"{_MARK}{json.dumps(mark)}\n{text}".encode(), mode=0o600)
        for words in (("daemon-reload",), ("enable", self.name)):
            self._systemctl(*words)
        return self.observe() or {}

    def remove(self) -> None:
        """Take it away; where systemd does not answer, it is gone at its next start."""
        for path in (self._wanted, self.file):
            path.unlink(missing_ok=True)
        if missing(self._environ) is None:
            self._systemctl("daemon-reload")

    def text(self, python: str) -> str:
        """The unit, without the line that says who wrote it."""
        command = [python, "-I", "-S", "-B", str(self._places.run / "supervisor"), str(self._places.run)]
        passed = {name: self._environ[name] for name in PASSED_ON if name in self._environ}
        return _UNIT.format(
            name=self._places.root.name,
            command=" ".join(_quoted(word).replace("$", "$$") for word in command),
            root=str(self._places.root).replace("%", "%%"),
            environment="\n".join(f"Environment={_quoted(f'{name}={value}')}" for name, value in passed.items()),
        )

    def _systemctl(self, *words: str) -> None:
        done = subprocess.run(
            ["systemctl", "--user", *words],
            env=dict(self._environ),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise WorldError(
                Problem(
                    f"systemctl --user {' '.join(words)} failed: {done.stderr.strip() or done.returncode}",
                    "mend that, or deploy without --install-unit",
                )
            )


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    return f'"{escaped}"'


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
