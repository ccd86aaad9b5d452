"""``[target.local]``: how the tool runs on this machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcp_packager.manifest import Section
from mcp_packager.manifest.units import Duration, Size

Port = Annotated[int, Field(ge=1, le=65535)]


class Options(Section):
    """How the tool runs on this machine. Everything has a default."""

    port: Port | None = Field(None, description="Port to serve on; a free one, kept from then on, where unset")
    host: Literal["127.0.0.1", "::1"] = Field(
        "127.0.0.1", description="Address to serve on: this machine alone, since nothing here asks who is calling"
    )
    keep: Annotated[int, Field(ge=0, le=100)] = Field(5, description="Earlier releases to keep for a rollback")
    log_size: Size = Field(10 * 1024 * 1024, description="Size at which a log file is begun anew")
    log_files: Annotated[int, Field(ge=0, le=100)] = Field(3, description="Earlier log files to keep")
    install_unit: bool = Field(default=False, description="Start it after a reboot, by a systemd user unit")
    start_timeout: Duration = Field(60.0, description="Longest that the server may take to become ready")
