"""The doors that are there: where clients reach the alias, and which services of AWS are asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from mcp_packager.target import Identity, Key, Observed, Release, Resource, Value
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.api import Apis
from mcp_targets.aws_lambda.balancer import Balancers
from mcp_targets.aws_lambda.doors import (
    API,
    DEFAULT_STAGE,
    LIVE,
    OF_A_BALANCER,
    OF_AN_API,
    PERMISSION,
    RULE,
    STAGE,
    URL,
    public_address,
)
from mcp_targets.aws_lambda.options import Options

KINDS: Final = OF_AN_API | OF_A_BALANCER
"""Kinds of what stands beside the function; its URL belongs to it."""

_SIGNED_FOR: Final = {URL: "lambda", API: "execute-api"}
"""Under which name a service is signed for where it asks who calls (IAM user guide, "Create a signed request")."""


class Entrance:
    """The doors of one deployment. Services that no door of it needs are not asked at all."""

    def __init__(self, aws: Aws, identity: Identity, function: str, account: str, options: Options | None) -> None:
        self._function = function
        self._options = options
        balancer = None if options is None or options.alb is None else options.alb.listener
        self._apis = Apis(aws, identity, function, account)
        self._balancers = Balancers(aws, identity, balancer)

    def observe(self, found: Iterable[Observed], releases: Iterable[Release]) -> Iterator[Observed]:
        """What is there beside the function.

        Looked for where the manifest wants it, where the alias's rights (``found``) name it, and where one of
        ``releases`` had it: the rights are gone when the function is.
        """
        kinds = {key.kind for release in releases for key in (one.key for one in release.intent.resources)}
        rights = {one.name for one in found if one.kind == PERMISSION}
        front = None if self._options is None else self._options.front
        if front == "http-api" or "api" in rights or API in kinds:
            yield from self._apis.observe()
        if front == "alb" or "alb" in rights or RULE in kinds:
            yield from self._balancers.observe()

    def rehearse(self, resource: Resource, seconds: float) -> None:
        """Hold that what stands in front waits for a call that takes so long.

        Raises:
            UserError: it does not.
        """
        if resource.kind == RULE:
            self._balancers.patient(str(resource.fields["ListenerArn"]), seconds)

    def apply(self, resource: Resource) -> Mapping[str, Value]:
        """Make one, or set it right."""
        if resource.kind in OF_AN_API:
            return self._apis.apply(resource)
        return self._balancers.apply(resource)

    def remove(self, kind: str, name: str) -> None:
        """Remove one; what is gone is fine."""
        if kind in OF_AN_API:
            self._apis.remove(kind, name)
        else:
            self._balancers.remove(kind, name)

    def address(self, observed: Mapping[Key, Observed], path: str, public_url: str | None) -> tuple[str, str] | None:
        """Where clients call, and under which name requests are signed for there; ``None``: no door is open.

        Of two, of which one is on its way out, the one that the manifest wants.
        """
        open_ = {
            "url": self._of(observed, Key(URL, LIVE), "url", path),
            "http-api": self._of(observed, Key(API, self._function), "endpoint", path)
            if Key(STAGE, DEFAULT_STAGE) in observed
            else None,
            "alb": public_address(public_url, path) if Key(RULE, LIVE) in observed and public_url else None,
        }
        wanted = "url" if self._options is None else self._options.front
        for front in (wanted, *open_):
            if (url := open_[front]) is not None:
                return url, _SIGNED_FOR[API if front == "http-api" else URL]
        return None

    @staticmethod
    def _of(observed: Mapping[Key, Observed], key: Key, field: str, path: str) -> str | None:
        there = observed.get(key)
        return None if there is None else f"{str(there.fields[field]).rstrip('/')}{path}"
