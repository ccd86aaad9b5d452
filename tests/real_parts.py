"""Finds the real programs and services that the tests run against, and installs those that can be.

A part is a name such as ``node-modules`` or ``postgres``. A test says ``@pytest.mark.real("postgres")`` and calls
:func:`postgres` for the path; where the part is missing the test is skipped by name, and in CI it fails.

``python -m tests.real_parts install`` puts the node packages of ``tests/node/package.json`` and other Pythons into the
cache, ``python -m tests.real_parts list`` says what is here. Standard library only.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tests import checkers, debian_pythons, go_parts, node_parts

_POSTGRES_ROOTS = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")

OPTIONAL_IN_CI: Mapping[str, str] = MappingProxyType(
    {
        "python3.12": "no Debian suite has it, and no index that CI reaches offers interpreters",
        "systemd": "it needs control groups that may be written, which not every container has",
    }
)
"""Parts that may be missing in CI too, with the reason. ``docs/testing.md`` lists the same names."""


class MissingPartError(LookupError):
    """A real part is not on this machine. The message says which, and how to get it."""


def cache() -> Path:
    """Where what the tests install lives, outside the tree: ``MCP_PACK_TEST_CACHE``, else in the user's cache."""
    named = os.environ.get("MCP_PACK_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "mcp-pack-tests"


def node_modules() -> Path:
    """The installed ``node_modules`` folder.

    Raises:
        MissingPartError: they are not installed for the versions that ``tests/node/package.json`` names.
    """
    found = node_parts.installed(cache())
    if found is None:
        raise MissingPartError("the node packages are not installed: make parts")
    return found


def node() -> Path:
    """A Node of version 20 or later: the one on PATH, else the one that an npm package carries."""
    return _node_since(20)


def node22() -> Path:
    """A Node of version 22 or later: the one on PATH, else the one that an npm package carries."""
    return _node_since(22)


def postgres() -> Path:
    """The ``bin`` folder of a PostgreSQL server: holds ``initdb``, ``postgres`` and ``pg_ctl``."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    for root in map(Path, _POSTGRES_ROOTS):
        for folder in sorted(root.glob("*/bin"), key=_by_number, reverse=True):
            if (folder / "initdb").is_file() and (folder / "pg_ctl").is_file():
                return folder
    raise MissingPartError("no PostgreSQL server; install postgresql")


def redis() -> Path:
    """The ``redis-server`` program."""
    return _program("redis-server", "install redis-server")


def systemd() -> Path:
    """The ``systemd`` program, where a user manager can be run beside whatever booted this machine."""
    program = Path("/lib/systemd/systemd")
    if not (program.is_file() and shutil.which("systemctl")):
        raise MissingPartError("no systemd; install systemd")
    if os.geteuid():
        raise MissingPartError("a user manager of one's own needs root, to show it a machine that systemd booted")
    alone = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if alone.returncode or os.statvfs("/sys/fs/cgroup").f_flag & os.ST_RDONLY:
        raise MissingPartError("this machine lets nobody mount, or write control groups")
    return program


def nginx() -> Path:
    """The ``nginx`` program. Debian puts it where only an administrator's PATH leads."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if not found:
        raise MissingPartError("no nginx; install nginx")
    return Path(found)


def base_image() -> Path:
    """A base image with the Python that the tests run on, as a tar file."""
    from tests.containers import bases

    minor = "{}.{}".format(*sys.version_info)
    if minor not in bases.SUITES:
        raise MissingPartError(f"no Debian suite has Python {minor}; run the tests on another one")
    if not (bases.tar_of(minor).is_file() and bases.redis_tar().is_file()):
        raise MissingPartError("no base image in the cache; on Debian, as root: make parts")
    return bases.tar_of(minor)


def arm64_image() -> Path:
    """The same base image for another processor, as a tar file."""
    from tests.containers import bases

    minor = "{}.{}".format(*sys.version_info)
    if minor not in bases.SUITES or not bases.tar_of(minor, "arm64").is_file():
        raise MissingPartError("no base image for arm64 in the cache; on Debian, as root: make parts")
    return bases.tar_of(minor, "arm64")


def database_image() -> Path:
    """An image of a PostgreSQL, as a tar file."""
    from tests.containers import bases

    if not bases.postgres_tar().is_file():
        raise MissingPartError("no database image in the cache; on Debian, as root: MCP_PACK_TEST_ALL=1 make parts")
    return bases.postgres_tar()


def dockerd() -> Path:
    """The ``dockerd`` program, which only root can start."""
    if os.geteuid():
        raise MissingPartError("dockerd needs root")
    return _program("dockerd", "install docker.io")


def go_part(name: str) -> Path:
    """A program written in Go that :func:`install` built."""
    found = go_parts.built(cache(), name)
    if found is None:
        raise MissingPartError(f"{name} is not built: make parts (needs Go 1.26 or later, or fetches one)")
    return found


def cluster() -> Path:
    """The program of a Kubernetes that can be had here: kubectl for the one that the user names, else all of ours."""
    named = os.environ.get("MCP_PACK_TEST_KUBECONFIG")
    if not named:
        return own_cluster()
    servers = re.findall(r"\bserver: *[\"']?https?://([^\s\"',}]+)", Path(named).read_text(encoding="utf-8"))
    if not servers or not all(re.match(r"(127\.[0-9.]+|localhost|\[::1\])(:|/|$)", server) for server in servers):
        raise MissingPartError(f"{named} names an API server that is not on this machine: {', '.join(servers)}")
    if not os.environ.get("MCP_PACK_TEST_REGISTRY"):
        raise MissingPartError("MCP_PACK_TEST_REGISTRY does not say where that cluster's images are to be pushed")
    return go_part("kubernetes")


def own_cluster() -> Path:
    """The program of the Kubernetes that the tests start themselves, where this machine can run one."""
    from tests.cluster import machine

    if os.environ.get("MCP_PACK_TEST_KUBECONFIG"):
        raise MissingPartError("MCP_PACK_TEST_KUBECONFIG names another cluster, whose Pods are not to be reached")
    lacking = machine.lacks()
    if lacking:
        raise MissingPartError(lacking)
    for part in ("pause", "coredns", "metrics-server"):
        go_part(part)
    return go_part("kubernetes")


def balancers() -> Path:
    """The nginx that stands for load balancers, with the modules it needs and ports of its own."""
    for pattern, package in (
        ("nginx/modules/ngx_http_lua_module.so", "libnginx-mod-http-lua"),
        ("*/lua/5.1/cjson.so", "lua-cjson"),
    ):
        if not any(Path("/usr/lib").glob(pattern)):
            raise MissingPartError(f"no {Path(pattern).name}; install {package}")
    for port in (80, 443):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.10.1", port))
            except OSError as error:
                raise MissingPartError(f"port {port} of 127.0.10.1 is not to be had: {error}") from error
    return nginx()


def checker(name: str) -> Path:
    """A program that judges what is made, in an environment of its own that :func:`install` made."""
    found = checkers.installed(cache(), name)
    if found is None:
        raise MissingPartError(f"{name} is not installed: make parts")
    return found


def lambda_emulator() -> Path:
    """The folder with AWS's emulator of Lambda, and its runtime for each Python."""
    from tests.lambda_ import emulator

    found = emulator.installed(cache())
    if found is None:
        raise MissingPartError("the emulator of Lambda is not installed: make parts")
    return found


def podman() -> Path:
    """The ``podman`` program with what it needs to run containers as the tests do, which only root can."""
    if os.geteuid():
        raise MissingPartError("podman's own folders need root")
    for name, package in (("runc", "runc"), ("catatonit", "catatonit")):
        _program(name, f"install {package}")
    if not Path("/usr/lib/podman/netavark").is_file():
        raise MissingPartError("no netavark; install netavark and aardvark-dns")
    return _program("podman", "install podman")


def git() -> Path:
    """The ``git`` program."""
    return _program("git", "install git")


def pythons() -> tuple[Path, ...]:
    """The interpreters that :func:`install` brought, which nobody would find on PATH."""
    found = (debian_pythons.installed(cache(), minor) for minor in debian_pythons.SUITES)
    return tuple(program for program in found if program)


def python(minor: str) -> Path:
    """An interpreter of a minor version such as ``3.13``: named, on PATH, in pyenv's versions folder, unpacked here."""
    for name in _interpreters(minor):
        if _python_minor(name) == minor:
            return name
    raise MissingPartError(f"no Python {minor}; install it, or name it in MCP_PACK_PYTHONS")


PARTS: Mapping[str, Callable[[], Path]] = MappingProxyType(
    {
        "arm64-image": arm64_image,
        "bash": lambda: _program("bash", "install bash"),
        "balancers": balancers,
        "base-image": base_image,
        "cfn-lint": lambda: checker("cfn-lint"),
        "check-jsonschema": lambda: checker("check-jsonschema"),
        "checkov": lambda: checker("checkov"),
        "cluster": cluster,
        "coredns": lambda: go_part("coredns"),
        "cosign": lambda: go_part("cosign"),
        "docker-compose": lambda: _program("docker-compose", "install docker-compose"),
        "database-image": database_image,
        "docker-registry": lambda: _program("docker-registry", "install docker-registry"),
        "dockerd": dockerd,
        "fish": lambda: _program("fish", "install fish"),
        "git": git,
        "hadolint": lambda: checker("hadolint"),
        "helm": lambda: go_part("helm"),
        "kubernetes": lambda: go_part("kubernetes"),
        "kubernetes-validate": lambda: checker("kubernetes-validate"),
        "metrics-server": lambda: go_part("metrics-server"),
        "lambda-emulator": lambda_emulator,
        "nginx": nginx,
        "node": node,
        "node-modules": node_modules,
        "node22": node22,
        "own-cluster": own_cluster,
        "pause": lambda: go_part("pause"),
        "podman": podman,
        "podman-compose": lambda: checker("podman-compose"),
        "postgres": postgres,
        "prometheus": lambda: _program("prometheus", "install prometheus"),
        "promtool": lambda: _program("promtool", "install prometheus"),
        "python3.12": lambda: python("3.12"),
        "python3.13": lambda: python("3.13"),
        "python3.14": lambda: python("3.14"),
        "qemu-aarch64": lambda: _program("qemu-aarch64-static", "install qemu-user-static"),
        "redis": redis,
        "referrers-registry": lambda: go_part("referrers-registry"),
        "sam": lambda: checker("sam"),
        "skopeo": lambda: _program("skopeo", "install skopeo"),
        "systemd": systemd,
        "umoci": lambda: _program("umoci", "install umoci"),
        "zsh": lambda: _program("zsh", "install zsh"),
    }
)
"""Every part by the name that the ``real`` marker uses."""


@functools.cache
def missing(part: str) -> str | None:
    """Why the part cannot be had here, or ``None`` where it can.

    Raises:
        KeyError: no such part is known; the marker is misspelt.
    """
    find = PARTS[part]
    try:
        find()
    except MissingPartError as error:
        return str(error)
    return None


def install() -> None:
    """Install what can be: node packages, programs in Go and Python; on Debian, Pythons of its other suites and images.

    Raises:
        MissingPartError: there is no npm.
        subprocess.CalledProcessError: npm, go, uv or mmdebstrap failed; its own words are on stderr.
    """
    node_parts.install(cache(), _program("npm", "install nodejs and npm"))
    from tests.cluster import machine

    for part in go_parts.PARTS:
        # Kubernetes takes minutes to build, which are spent where it can run.
        wanted = part not in go_parts.CLUSTER or machine.lacks() is None
        if wanted and missing(part) and go_parts.can_install(cache()):
            go_parts.install(cache(), part)
    for part in checkers.PACKAGES:
        if missing(part) and checkers.can_install():
            checkers.install(cache(), part)
    from tests.containers import bases
    from tests.lambda_ import emulator

    if missing("lambda-emulator") and emulator.can_install():
        emulator.install(cache())
    minor = "{}.{}".format(*sys.version_info)
    if minor in bases.SUITES and bases.can_make():
        bases.make(minor)
    for minor in debian_pythons.SUITES:
        if missing(f"python{minor}") and debian_pythons.can_install():
            debian_pythons.install(cache(), minor)


def _program(name: str, fix: str) -> Path:
    found = shutil.which(name)
    if not found:
        raise MissingPartError(f"no {name} on PATH; {fix}")
    return Path(found)


def _node_since(major: int) -> Path:
    found = node_parts.node(cache(), major)
    if found is None:
        raise MissingPartError(
            f"no Node {major} or later on PATH, and the node packages are not installed; run: make parts"
        )
    return found


def _by_number(folder: Path) -> tuple[int, str]:
    digits = "".join(letter for letter in folder.parent.name if letter.isdigit())
    return int(digits or 0), str(folder)


def _interpreters(minor: str) -> list[Path]:
    named = [Path(entry) for entry in os.environ.get("MCP_PACK_PYTHONS", "").split(os.pathsep) if entry]
    on_path = shutil.which(f"python{minor}")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    from_pyenv = sorted(root.glob(f"{minor}.*/bin/python{minor}"), reverse=True)
    unpacked = debian_pythons.installed(cache(), minor)
    return [*named, *([Path(on_path)] if on_path else []), *from_pyenv, *([unpacked] if unpacked else [])]


@functools.cache
def _python_minor(program: Path) -> str:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([program, "-c", ask], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _main(arguments: list[str]) -> int:
    match arguments:
        case ["install"]:
            install()
        case ["list"]:
            for part in sorted(PARTS):
                print(f"{part}: {missing(part) or PARTS[part]()}")
        case _:
            print("usage: python -m tests.real_parts install | list", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
