"""The way to AWS: one account, one region, clients made when they are first needed, nothing before the pin is held."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_targets._aws.errors import LOG_IN, speaking

_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60
_ATTEMPTS: Final = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a deployment belongs: a region and, where it is known, an account; ``place`` is what says so."""

    region: str
    account: str | None = None
    place: Place = Place()


def plain_client(
    service: str,
    region: str,
    *,
    session: Any = None,
    read_seconds: int = _READ_SECONDS,
    attempts: int = _ATTEMPTS,
) -> Any:
    """A boto3 client with this project's patience. Credentials are boto3's own matter (AWS_PROFILE and the like).

    ``session`` is boto3's, for clients that are made one after the other: each new one reads its models anew.
    """
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=read_seconds, retries=retries)
    made = boto3.session.Session() if session is None else session
    return made.client(service, region_name=region, config=config)


class Aws:
    """AWS for one deployment. Thread-safe. The first call of all asks whose the credentials are."""

    def __init__(self, wanted: Wanted, client: Callable[[str, str], Any] | None = None) -> None:
        self._wanted = wanted
        self._make = client
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()

    @property
    def region(self) -> str:
        """The region's name."""
        return self._wanted.region

    @cached_property
    def caller(self) -> Caller:
        """Whose the credentials are.

        Raises:
            UserError: another account's than the deployment's.
            WorldError: there are none, or they are not valid.
        """
        with self._lock:
            sts = self._client("sts")
            with speaking("ask whose the credentials are"):
                answer = sts.get_caller_identity()
            caller = Caller(str(answer["Account"]), str(answer["Arn"]))
            if self._wanted.account not in {None, caller.account}:
                raise UserError(
                    Problem(
                        "the AWS credentials at hand are another account's; nothing was done",
                        "set AWS_PROFILE to a profile of that account, or deploy another stage",
                        self._wanted.place,
                        expected=f"account {self._wanted.account}",
                        found=f"account {caller.account} ({caller.arn})",
                    )
                )
            return caller

    @cached_property
    def credentials(self) -> Any:
        """The credentials at hand, as botocore has them: for what is signed by hand."""
        with self._lock, speaking("find credentials"):
            found = self._session.get_credentials()
        if found is None:
            raise WorldError(Problem("AWS: there are no credentials", LOG_IN))
        return found

    def client(self, service: str) -> Any:
        """The client of a service, in the deployment's region, once the account is known to be the right one."""
        with self._lock:
            _ = self.caller
            return self._client(service)

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.session.Session()

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            with speaking(f"reach {service}"):
                self._clients[service] = (
                    plain_client(service, self.region, session=self._session)
                    if self._make is None
                    else self._make(service, self.region)
                )
        return self._clients[service]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose the credentials are."""

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self.arn.split(":", 2)[1]
