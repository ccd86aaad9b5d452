"""Members read out of archives: what the directory says of them, or a problem that names the file."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_packager.bundle.archives import Archives
from mcp_packager.bundle.install import listed
from mcp_packager.errors import UserError
from mcp_packager.store import Store
from tests.bundle.locks import shelve
from tests.lock.made_wheels import make

TEXT = b"".join(b"%d," % number for number in range(3000))
NAME = "alpha/text.txt"


def _wheel(folder: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = make(folder, "alpha", files={})
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(NAME, TEXT)
    return path


def _central(data: bytes) -> int:
    """Where the last record of the directory begins, which is that of the text."""
    return data.rindex(b"PK\x01\x02")


def _local(data: bytes) -> int:
    return int(struct.unpack_from("<L", data, _central(data) + 42)[0])


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _other_content(data: bytes) -> bytes:
    """A stream that inflates without an error, to something else of the same length."""
    at = _local(data) + 30 + len(NAME)
    size = struct.unpack_from("<L", data, _central(data) + 20)[0]
    making = zlib.compressobj(9, zlib.DEFLATED, -15)
    other = making.compress(b"x" * len(TEXT)) + making.flush()
    return _patched(data, at, other.ljust(size, b"\0"))


def _bomb(data: bytes) -> bytes:
    """The directory says that ten bytes come out."""
    return _patched(data, _central(data) + 24, struct.pack("<L", 10))


def _cut_off(data: bytes) -> bytes:
    """The directory says that the stream goes on beyond the file's end."""
    return _patched(data, _central(data) + 20, struct.pack("<L", 1 << 30))


def _garbled(data: bytes) -> bytes:
    return _patched(data, _local(data) + 30 + len(NAME), b"\xff" * 8)


def _renamed(data: bytes) -> bytes:
    return _patched(data, _local(data) + 30, b"alpha/evil.txt")


def _elsewhere(data: bytes) -> bytes:
    return _patched(data, _central(data) + 42, struct.pack("<L", _local(data) + 1))


def _encrypted(data: bytes) -> bytes:
    return _patched(data, _central(data) + 8, b"\x01\x00")


def _unknown(data: bytes) -> bytes:
    data = _patched(data, _central(data) + 10, struct.pack("<H", 97))
    return _patched(data, _local(data) + 8, struct.pack("<H", 97))


DAMAGE = [_other_content, _bomb, _cut_off, _garbled, _renamed, _elsewhere, _encrypted, _unknown]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_whatever_python_can_read_is_read(tmp_path: Path, method: int) -> None:
    assert Archives().data(_wheel(tmp_path, method), NAME) == TEXT


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_as_the_directory_says_is_a_problem(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = _wheel(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"alpha-1\.0-py3-none-any\.whl cannot be read: .*alpha/text\.txt"):
        Archives().data(path, NAME)


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_such_wheel_is_listed(tmp_path: Path, store: Store, damage: Callable[[bytes], bytes]) -> None:
    path = _wheel(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"alpha-1\.0-py3-none-any\.whl is not a wheel: .*alpha/text\.txt"):
        listed(shelve(path, store), store)


def test_an_empty_member_is_empty(tmp_path: Path) -> None:
    path = make(tmp_path, "alpha", files={"alpha.py": ""})
    assert Archives().data(path, "alpha.py") == b""
