"""What every test has: a clean environment, its own folders, no network beyond this machine, and the real parts."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import real_parts, sampling
from tests.index import server, wheelhouse

_MISSING = "real part missing"
_SESSION = "MCP_PACK_TEST_SESSION"
_FOREIGN = re.compile(r"^(AWS|AZURE|GOOGLE|GCLOUD|CLOUDSDK|KUBE|DOCKER|MCP|UV|PIP|GIT|XDG)_?")
_KEPT = {"AWS_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "MCP_PACK_TEST_CACHE", sampling.ALL, sampling.SEED, _SESSION}
_KEPT |= {"MCP_PACK_TEST_KUBECONFIG", "MCP_PACK_TEST_REGISTRY"}
_LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|::1|localhost|)$")
_GIT = """[user]
	name = Test Person
	email = test@example.com
[init]
	defaultBranch = main
[safe]
	directory = *
"""
_count = itertools.count()
_SHARED = ("tests/containers/", "tests/cluster/")
"""Folders whose tests share one daemon, or one cluster."""


def pytest_configure(config: pytest.Config) -> None:
    """Set the process's environment once, before any test module is imported and before workers start."""
    sampling.seed()  # before workers start: they collect the same tests
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Whoever starts us in the background has us ignore it, and so would every command that a test interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if _SESSION not in os.environ:
        run = os.environ.get("MCP_PACK_TEST_RUN")
        os.environ[_SESSION] = tempfile.mkdtemp(prefix=f"mcp-pack-tests-run-{run}-" if run else "mcp-pack-tests-")
        config.add_cleanup(lambda: _remove(Path(os.environ.pop(_SESSION))))
        _clean_environment(Path(os.environ[_SESSION]))
        _serve_packages(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Give every test to whichever worker is free, but all that share a container daemon or a cluster to one.

    pytest-xdist's own marker for this, `xdist_group`, changes no test's name under pytest 9 and so does nothing.
    """
    return _ByDaemon(config, log)


class _ByDaemon(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in _SHARED if nodeid.startswith(folder)), nodeid)


def _clean_environment(session: Path) -> None:
    keep = {
        "MCP_PACK_TEST_CACHE": str(real_parts.cache()),
        "PYENV_ROOT": os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")),
    }
    pythons = [os.environ.get("MCP_PACK_PYTHONS", ""), *map(str, real_parts.pythons())]
    for name in list(os.environ):
        if _FOREIGN.match(name) and name not in _KEPT:
            del os.environ[name]
    # Children compile as they do for users; where a machine switches that off, every start would take twice as long.
    # The same for PYTHONUNBUFFERED and whatever else would make this machine's Python another than a user's.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    os.environ.pop("FORCE_COLOR", None)
    for name in ("home", "store", "data"):
        (session / name).mkdir()
    git = session / "home" / ".gitconfig"
    git.write_text(_GIT)
    os.environ.update(
        keep
        | {
            "HOME": str(session / "home"),
            "GIT_CONFIG_GLOBAL": str(git),
            "GIT_CONFIG_NOSYSTEM": "1",
            "MCP_PACK_CACHE": str(session / "store"),
            "MCP_PACK_HOME": str(session / "data"),
            "MCP_PACK_PYTHONS": os.pathsep.join(filter(None, pythons)),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "UV_PYTHON_DOWNLOADS": "never",
            "NO_PROXY": "127.0.0.1,localhost,::1",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
    )


def _serve_packages(config: pytest.Config) -> None:
    # Pinned packages from this machine: no resolution changes from one day to the next, and none needs the network.
    wheels = wheelhouse.wheels()
    if not wheels:
        raise pytest.UsageError("the tests' packages are not here yet; run: make packages")
    stack = contextlib.ExitStack()
    os.environ["UV_DEFAULT_INDEX"] = stack.enter_context(server.serving(wheels))
    config.add_cleanup(stack.close)


def _remove(folder: Path) -> None:
    # The store keeps its trees read-only, and a folder without write permission cannot be emptied.
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own place for releases; the store of wheels and trees is the session's."""
    place = Path(os.environ[_SESSION]) / "data" / f"{os.getpid()}-{next(_count)}"
    monkeypatch.setenv("MCP_PACK_HOME", str(place))


@pytest.fixture(scope="session")
def own_addresses() -> set[str]:
    """Addresses in networks that the tests made themselves, to which this process may connect."""
    return set()


@pytest.fixture(scope="session")
def own_hosts() -> list[Path]:
    """Files in the form of ``/etc/hosts`` that say who is behind names that the tests made up."""
    return []


@pytest.fixture(autouse=True, scope="session")
def _only_this_machine(own_addresses: set[str], own_hosts: list[Path]) -> Iterator[None]:
    """Refuse connections and look-ups beyond loopback in this process; children are held by CI's network namespace."""
    with pytest.MonkeyPatch.context() as patch:
        real_connect, real_lookup = socket.socket.connect, socket.getaddrinfo

        def refuse_foreign(host: str) -> None:
            if not _LOOPBACK.match(host) and host != socket.gethostname() and host not in own_addresses:
                raise ConnectionRefusedError(f"the tests talk to this machine only, not to {host}")

        def connect(self: socket.socket, address: object) -> None:
            if self.family in {socket.AF_INET, socket.AF_INET6} and isinstance(address, tuple):
                refuse_foreign(str(address[0]))
            real_connect(self, address)  # type: ignore[arg-type]  # socket's own types leave the address open

        def lookup(host: str | bytes | None, *rest: object, **named: object) -> object:
            name = host.decode() if isinstance(host, bytes) else host or ""
            known = [line.split() for file in own_hosts for line in file.read_text().splitlines()]
            address = next((address for address, each in known if each == name), name)
            refuse_foreign(address)
            return real_lookup(address or host, *rest, **named)  # type: ignore[arg-type]  # passed on as they came

        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket, "getaddrinfo", lookup)
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test by the name of its missing real part; in CI such a skip is a failure."""
    for marker in item.iter_markers("real"):
        for part in marker.args:
            why = real_parts.missing(part)
            if why is None:
                continue
            if os.environ.get("CI") and part not in real_parts.OPTIONAL_IN_CI:
                pytest.fail(f"{_MISSING}: {part}: {why}", pytrace=False)
            pytest.skip(f"{_MISSING}: {part}: {why}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long matrices ran, and count the tests that a missing real part kept from running, part by part."""
    terminalreporter.line(sampling.says())
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        found = re.search(rf"{_MISSING}: ([^:]+):", reason)
        if found:
            counts[found[1]] = counts.get(found[1], 0) + 1
    if counts:
        terminalreporter.section("real parts that are not on this machine")
        for part, number in sorted(counts.items()):
            terminalreporter.line(f"{part}: {number} skipped ({real_parts.missing(part)})")
