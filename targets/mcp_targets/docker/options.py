"""``[target.docker]``: how the tool runs as a container."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mcp_packager.manifest import Many, Section
from mcp_packager.manifest.units import Duration, Size
from mcp_packager.manifest.words import ImageName, Port, RelativePath, Word


def _address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise PydanticCustomError(
            "host", "is not an address", {"expected": "an address such as 127.0.0.1, ::1 or 0.0.0.0"}
        ) from None
    return text


Host = Annotated[str, Field(max_length=45), AfterValidator(_address)]


User = Annotated[str, Field(pattern=r"^[0-9]{1,10}(:[0-9]{1,10})?$")]
Capability = Literal[
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"
]
"""Of those that Docker gives every container by itself, the ones for its own files, processes and ports."""


class Options(Section):
    """How the tool runs as a container. Everything has a default."""

    base: ImageName | None = Field(
        None, description="Image that the tool's layers stand on; python:MINOR-slim where unset"
    )
    dockerfile: RelativePath | None = Field(
        None,
        description="A Dockerfile of the project that describes the image below in place of base: for packages of the "
        "system. Docker or Podman builds it",
    )
    command: Many[Word] = Field(
        (), description="What an image that mcp-pack did not make is told to run, in place of its own command"
    )
    image_port: Port = Field(8000, description="Port at which an image that mcp-pack did not make serves MCP over HTTP")
    image_user: User | None = Field(
        None, description="User that such an image runs as, as UID or UID:GID; the one that it names where unset"
    )
    image_writable: bool = Field(
        default=False, description="Whether such an image may write to its own files, and not to /tmp alone"
    )
    image_capabilities: Many[Capability] = Field(
        (), description="Capabilities that such an image keeps, such as SETUID and SETGID to leave root by itself"
    )
    architectures: Many[Literal["amd64", "arm64"]] = Field(
        (),
        description="What images are made for, to be pushed as one; this machine's own where unset. "
        "The daemon gets the one for this machine",
    )
    port: Port | None = Field(None, description="Port to publish; a free one, kept from then on, where unset")
    host: Host = Field(
        "127.0.0.1",
        description="Address to publish on: this machine alone by default; 0.0.0.0 for the network it is in",
    )
    front: bool = Field(
        default=True,
        description="Whether a small container of its own holds the port, so that no redeploy closes it; "
        "otherwise the tool's container publishes it",
    )
    keep: Annotated[int, Field(ge=0, le=100)] = Field(5, description="Earlier releases to keep for a rollback")
    pids: Annotated[int, Field(ge=16, le=100_000)] = Field(256, description="Most processes and threads of the tool")
    restart: Literal["unless-stopped", "on-failure", "no"] = Field(
        "unless-stopped", description="When the daemon starts the tool again"
    )
    log_size: Size = Field(10 * 1024 * 1024, description="Size at which a log file is begun anew")
    log_files: Annotated[int, Field(ge=1, le=100)] = Field(3, description="Log files to keep")
    start_timeout: Duration = Field(60.0, description="Longest that the server may take to become ready")

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone reaches the tool."""
        return ip_address(self.host).is_loopback
