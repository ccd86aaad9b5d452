"""What this server can be told from outside: `[env]` and `[secrets]` of mcp-tool.toml."""

from ipaddress import ip_network
from typing import Annotated, TypeAlias

from mcp_tool import Settings
from pydantic import BeforeValidator, Field, SecretStr, field_validator

from web_fetch.addresses import Network


def _listed(value: object) -> object:
    """Split `"a, b"` into its parts: an environment variable can hold nothing but a string."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Listed: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class FetchSettings(Settings):
    """Limits, and the header that selected sites receive.

    Attributes:
        fetch_user_agent: How the server names itself to sites.
        fetch_timeout: Seconds for one fetch as a whole, redirects included.
        fetch_max_bytes: Bytes of a page, after decompression; the rest is cut off.
        fetch_max_redirects: How many redirects are followed.
        fetch_private_networks: Networks that may be reached although they are not public, such as `10.1.0.0/16`.
        fetch_header: The header that carries the token.
        fetch_token: Its value.
        fetch_token_origins: The origins that receive it, such as `https://api.example.com`; no other ever does.
    """

    fetch_user_agent: str = "web-fetch/1.0"
    fetch_timeout: Annotated[float, Field(gt=0, le=300)] = 20.0
    fetch_max_bytes: Annotated[int, Field(ge=1024)] = 5_000_000
    fetch_max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    fetch_private_networks: Listed = ()
    fetch_header: str = "Authorization"
    fetch_token: SecretStr | None = None
    fetch_token_origins: Listed = ()

    @field_validator("fetch_private_networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network)
        return value

    @property
    def private_networks(self) -> list[Network]:
        """The allowed private networks."""
        return [ip_network(network) for network in self.fetch_private_networks]
