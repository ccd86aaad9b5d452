"""``[target.local]``: how the tool runs on this machine."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from mcp_packager.manifest import Section
from mcp_packager.manifest.units import Duration, Size

_ADDRESS: Final = r"^[0-9A-Fa-f.:]+$"


def _address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise PydanticCustomError(
            "host", "is not an address", {"expected": "an address such as 127.0.0.1, ::1 or 0.0.0.0"}
        ) from None
    return text


Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, StringConstraints(max_length=45, pattern=_ADDRESS), AfterValidator(_address)]


class Options(Section):
    """How the tool runs on this machine. Everything has a default."""

    port: Port | None = Field(None, description="Port to serve on; a free one, kept from then on, where unset")
    host: Host = Field(
        "127.0.0.1", description="Address to serve on: this machine alone by default; 0.0.0.0 for the network it is in"
    )
    keep: Annotated[int, Field(ge=0, le=100)] = Field(5, description="Earlier releases to keep for a rollback")
    log_size: Size = Field(10 * 1024 * 1024, description="Size at which a log file is begun anew")
    log_files: Annotated[int, Field(ge=0, le=100)] = Field(3, description="Earlier log files to keep")
    bundle: bool = Field(
        default=False, description="Whether build also writes the whole bundle as a file, for deploy --artifact"
    )
    install_unit: bool = Field(default=False, description="Start it after a reboot, by a systemd user unit")
    start_timeout: Duration = Field(60.0, description="Longest that the server may take to become ready")

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone reaches the tool."""
        return ip_address(self.host).is_loopback
