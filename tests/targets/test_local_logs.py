"""`mcp-pack logs`: the deployed server and those that clients start over stdio, in one stream."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from mcp_packager.target import Identity
from mcp_packager.testing import Pack, Project
from mcp_targets.local.logs import read_logs, stdio_log
from mcp_targets.local.places import Places


def write(path: Path, *entries: object) -> None:
    """Lines of a log: a number is its time, a text stands as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as handle:
        for entry in entries:
            handle.write((entry if isinstance(entry, str) else json.dumps({"ts": entry})) + "\n")


def test_two_logs_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    write(one, 1, 4, "a print after 4", 7)
    write(two, 2, 3, 5, 8)
    found = [
        json.loads(line)["ts"] if line[0] == "{" else line for line in read_logs([one, two], lines=99, follow=False)
    ]
    assert found == [1, 2, 3, 4, "a print after 4", 5, 7, 8]
    assert list(read_logs([one, two], lines=2, follow=False)) == ['{"ts": 7}', '{"ts": 8}']
    assert list(read_logs([one, two], lines=0, follow=False)) == []
    assert list(read_logs([tmp_path / "none"], lines=9, follow=False)) == []


def test_each_reaches_back_over_its_rotation(tmp_path: Path) -> None:
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    write(tmp_path / "one.log.1", 1, 2)
    write(one, 5)
    write(tmp_path / "two.log.1", 3)
    write(two, 4)
    assert [json.loads(line)["ts"] for line in read_logs([one, two], lines=4, follow=False)] == [2, 3, 4, 5]


def test_what_comes_is_followed_in_both(tmp_path: Path) -> None:
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    write(one, 1)
    found: list[str] = []
    came = threading.Event()

    def follow() -> None:
        for line in read_logs([one, two], lines=9, follow=True):
            found.append(line)
            if len(found) in {1, 3, 4}:
                came.set()
            if len(found) == 4:
                return

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    for step in ((), (2, 3), (4,)):
        if len(step) == 2:
            write(two, step[0])  # a log that was not there yet
            write(one, step[1])
        elif step:
            one.rename(tmp_path / "one.log.1")
            write(one, *step)
        assert came.wait(20)
        came.clear()
    reader.join(20)
    assert sorted(json.loads(line)["ts"] for line in found) == [1, 2, 3, 4]


def test_the_command_shows_what_clients_started(tmp_path: Path) -> None:
    project = Project(tmp_path / "suite", "local")
    project.write("1.0.0")
    environ = {"MCP_PACK_HOME": str(tmp_path / "home")}
    pack = Pack(project.folder, "local", environ)
    name = project.name
    identity = Identity(name, name)
    write(stdio_log(identity, environ), '{"ts": 2, "msg": "over stdio"}')
    write(Places.of(identity, environ).log("server"), '{"ts": 1, "msg": "deployed"}', '{"ts": 3, "msg": "again"}')
    told = pack.run("logs").told
    assert told.index("deployed") < told.index("over stdio") < told.index("again")
