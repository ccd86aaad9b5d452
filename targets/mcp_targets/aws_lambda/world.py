"""An account's region as a world: everything of one deployment there, by names and tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final
from urllib.parse import urlsplit

from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.target import (
    PROBE,
    Action,
    Auth,
    Endpoint,
    Glance,
    Key,
    Observed,
    Phase,
    Plan,
    Resource,
    State,
    Status,
    Step,
    Value,
    Via,
    WorldInput,
)
from mcp_targets._aws import ecr, iam
from mcp_targets._aws.session import Aws, Wanted
from mcp_targets.aws_lambda import image
from mcp_targets.aws_lambda.alarms import Alarms
from mcp_targets.aws_lambda.canary import Canary
from mcp_targets.aws_lambda.code import Code
from mcp_targets.aws_lambda.doors import LIVE, PERMISSION, URL
from mcp_targets.aws_lambda.entrance import KINDS as DOORS
from mcp_targets.aws_lambda.entrance import Entrance
from mcp_targets.aws_lambda.functions import Functions, Look
from mcp_targets.aws_lambda.kept import Kept
from mcp_targets.aws_lambda.kinds import KINDS
from mcp_targets.aws_lambda.live import Live
from mcp_targets.aws_lambda.logs import Logs
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.parameters import Parameters
from mcp_targets.aws_lambda.place import where
from mcp_targets.aws_lambda.reaching import SCHEME, address, invoked, signed, signer
from mcp_targets.aws_lambda.records import ParameterLock, ParameterRecords
from mcp_targets.aws_lambda.render import (
    ALIAS,
    FUNCTION,
    PROVISIONED,
    RESERVED,
    VERSION,
    alarm_names,
)
from mcp_targets.aws_lambda.waiting import Waiting

SETTLES: Final = 30.0
"""Seconds in which a new URL may not be known everywhere, or a moved alias may lead to what it led to before."""
_LED: Final = frozenset({ALIAS, URL, PERMISSION, RESERVED, PROVISIONED})
_FUNCTION: Final = _LED | {FUNCTION, VERSION}


class LambdaWorld:
    """One deployment in one account and region."""

    def __init__(self, request: WorldInput) -> None:
        options = request.options or Options()
        manifest, identity = request.manifest, request.identity
        place = where(manifest, options)
        glance = request.glance or Glance()
        wanted = Wanted(place.region, place.account)
        self._request = request
        self._account = place.account
        self._aws = aws = glance.once((Aws, place.account, place.region), lambda: Aws(wanted))
        project = None if manifest is None else manifest.project
        # A rollback brings no artifact along; the one that was built last may be of the release that it goes back to.
        self._output = request.output or (None if project is None else project / "dist" / "lambda")
        self._waiting = Waiting()
        self._parameters = Parameters(aws, identity)
        self._roles = iam.Roles(aws, identity)
        self._repositories = ecr.Repositories(
            aws, identity, image.repository(identity, options, place).partition("/")[2]
        )
        self._kept = Kept(self._parameters, request.environ, project)
        self._logs = Logs(aws, identity, self._waiting)
        self._functions = Functions(aws, identity, self._waiting, Code(aws, identity, self._output, options.bucket))
        self._alarms = Alarms(aws, identity, self._functions.name)
        watch = Canary(
            aws,
            self._waiting,
            request.progress,
            alarm_names(self._functions.name),
            options.canary.steps,
            options.canary.hold,
        )
        canary = watch if options.strategy == "canary" else None
        self._entrance = Entrance(aws, identity, self._functions.name, place.account, request.options)
        self._live = Live(aws, self._functions, self._parameters, self._waiting, canary)
        self.kinds = KINDS
        self.records = ParameterRecords(self._parameters)
        self.lock = ParameterLock(self._parameters)

    def observe(self) -> Mapping[Key, Observed]:
        """Everything of this deployment that is there; the services of AWS are asked side by side."""
        self._waiting.calm()
        _ = self._aws.caller  # the pin is held before anything else is asked
        looks = (
            lambda: list(self._roles.observe()),
            lambda: list(self._logs.observe()),
            lambda: list(self._kept.observe(self._parameters.listing())),
            self._function,
            lambda: list(self._alarms.observe()),
            self._images,
        )
        with ThreadPoolExecutor(len(looks)) as pool:
            found = [one for each in pool.map(lambda look: look(), looks) for one in each]
        return {one.key: one for one in found}

    def _function(self) -> list[Observed]:
        look = self._functions.look()
        if look is None:
            return list(self._entrance.observe((), self.records.listing()))
        found = [*self._functions.observed(look), *self._live.observe(look, self._account)]
        return [*found, *self._entrance.observe(found, ())]

    def _images(self) -> list[Observed]:
        """The repository, and the images of releases that it still has."""
        if self._request.options is not None and not image.is_image(self._request.options):
            return []
        found = list(self._repositories.observe())
        if not found:
            return []
        wanted = {
            one.key: one
            for release in self.records.listing()
            for one in release.intent.resources
            if one.kind == image.KIND
        }
        uri, environ = found[0].fields.get("uri"), self._request.environ
        seen = (image.observed(one, uri, environ) for one in wanted.values())
        return [*found, *(one for one in seen if one is not None)]

    def apply(self, step: Step) -> Mapping[str, Value]:
        """Make one change. Lambda takes one change of a function at a time."""
        if step.key.kind in _FUNCTION:
            with self._functions.turn:
                return self._applied(step)
        return self._applied(step)

    def _applied(self, step: Step) -> Mapping[str, Value]:
        if step.resource is None or step.action is Action.DELETE:
            self._delete(step)
            return {}
        return self._made(step, step.resource)

    def _made(self, step: Step, resource: Resource) -> Mapping[str, Value]:
        match resource.kind:
            case iam.ROLE_KIND | iam.POLICY_KIND:
                return self._roles.apply(step)
            case "log-group":
                return self._logs.put(resource)
            case "secret":
                return self._kept.secret(resource)
            case "key":
                return self._kept.key(resource)
            case ecr.KIND:
                return self._repositories.apply(step)
            case image.KIND:
                return image.push(resource, self._output, self._request.environ)
            case _:
                return self._started(step, resource)

    def _started(self, step: Step, resource: Resource) -> Mapping[str, Value]:
        """What runs, and how it is reached."""
        match resource.kind:
            case "function":
                return self._functions.function(resource)
            case "version":
                return self._functions.version(resource)
            case "alarm":
                return self._alarms.put(resource)
            case kind if kind in _LED:
                return self._live.apply(resource, step.observed, self._account)
            case kind if kind in DOORS:
                return self._entrance.apply(resource)
            case kind:
                raise _unknown(kind)

    def _delete(self, step: Step) -> None:
        kind, name = step.key
        match kind:
            case iam.ROLE_KIND | iam.POLICY_KIND:
                self._roles.apply(step)
            case "log-group":
                self._logs.remove()
            case "secret" | "key":
                self._kept.delete(step.key)
            case ecr.KIND:
                self._repositories.apply(step)
            case image.KIND:
                pass  # goes by the repository's own lifecycle
            case "function":
                self._functions.remove()
            case "version":
                self._functions.remove_version(name)
            case "alarm":
                self._alarms.remove(name)
            case _ if kind in _LED:
                self._live.remove(kind, name)
            case _ if kind in DOORS:
                self._entrance.remove(kind, name)
            case _:
                raise _unknown(kind)

    def rehearse(self, plan: Plan) -> tuple[str, ...]:
        """Hold that the function stays what it can only be made as, and that a new door fits.

        Raises:
            UserError: a zip is to become an image, or the other way round; what stands in front gives up before a call.
        """
        for change in plan.changes:
            if change.resource is not None and self._request.manifest is not None:
                self._entrance.rehearse(change.resource, self._request.manifest.serve.timeout)
            if change.key.kind != FUNCTION or change.resource is None or change.observed is None:
                continue
            had, wanted = change.observed.fields["PackageType"], change.resource.fields["PackageType"]
            if had != wanted:
                raise UserError(
                    Problem(
                        "a function that was made as a zip cannot become an image, nor the other way round",
                        "deploy it as another stage, move clients there, and destroy this one",
                        expected=str(had),
                        found=str(wanted),
                    )
                )
        return ()

    def hurry(self) -> None:
        """Nobody needs what is waited for any more."""
        self._waiting.hurry()

    def endpoint(self, phase: Phase, observed: Mapping[Key, Observed]) -> Endpoint | None:
        """The new version by direct invocation, or the URL that clients use."""
        match phase:
            case Phase.CANDIDATE:
                found = next((one for key, one in observed.items() if key.kind == VERSION), None)
                if found is None:
                    return None
                path, auth = _asked(found.fields["made_of"]["config"])
                url = address(self._functions.name, found.fields["number"], path)
                return Endpoint(url=url, auth=auth, via=Via.INVOKE)
            case Phase.SWITCH:
                return self._opened(observed)
            case Phase.PREPARE | Phase.RETIRE:
                return None

    def _opened(self, observed: Mapping[Key, Observed]) -> Endpoint | None:
        """Where clients reach the alias."""
        function = observed.get(Key(FUNCTION, self._functions.name))
        if function is None:
            return None
        config = function.fields["config"]
        path, auth = _asked(config)
        found = self._entrance.address(observed, path, _public_url(config))
        if found is None:
            return None
        url, service = found
        command = signer(url, self._aws.region, service) if auth is Auth.IAM else ()
        return Endpoint(url=url, command=command, auth=auth, settles=SETTLES)

    def inside(self, endpoint: Endpoint) -> AbstractContextManager[Endpoint] | None:
        """The version that the endpoint names, or what the alias leads to, by direct invocation."""
        parts = urlsplit(endpoint.url or "")
        if parts.scheme == SCHEME:
            qualifier, _, rest = parts.path.removeprefix("/").partition("/")
            # Who published it may have been ended before it was ready.
            self._functions.await_version(qualifier)
            return invoked(self._aws, endpoint, parts.netloc, qualifier, f"/{rest}")
        return invoked(self._aws, endpoint, self._functions.name, LIVE, parts.path)

    def signed(self, endpoint: Endpoint) -> AbstractContextManager[Endpoint]:
        """The URL, where AWS asks who is calling, with each request signed on its way."""
        return signed(self._aws, endpoint)

    def status(self) -> Status:
        """How the deployment is now. A function that nobody called for a while sleeps, and is well."""
        look = self._functions.look()
        if look is None:
            left = any(self._kept.observe(self._parameters.listing()))
            return Status(State.STOPPED, detail=("the function is gone",)) if left else Status(State.ABSENT)
        version = look.live
        if version is None:
            return Status(State.STOPPED, detail=("nothing serves clients",))
        observed = {one.key: one for one in self._function()}
        endpoint = self.endpoint(Phase.SWITCH, observed)
        detail = () if endpoint is not None else ("nothing leads clients to the function",)
        return Status(
            _state(version) if endpoint is not None else State.CRASHED,
            endpoint=endpoint,
            replicas=_led_to(look),
            detail=(*detail, *((str(version["StateReason"]),) if version.get("State") == "Failed" else ())),
        )

    def logs(self, *, lines: int, follow: bool) -> Iterator[str]:
        """The function's log."""
        _ = self._aws.caller
        return self._logs.read(lines=lines, follow=follow)

    def probe_key(self) -> bytes | None:
        """What the deploy's probe tokens are signed with; ``None`` where it is not made yet."""
        text = self._kept.value(PROBE)
        try:
            return None if text is None else bytes.fromhex(text)
        except ValueError:
            return None


def _asked(config: Value) -> tuple[str, Auth]:
    """Path and way of asking callers, of a server with this config."""
    serve = (config or {}).get("serve") or {}
    auth = serve.get("auth")
    return str(serve.get("path", "/mcp")), Auth.NONE if auth is None else Auth(auth["mode"])


def _public_url(config: Value) -> str | None:
    """The address that clients of a server with this config use, where it is said."""
    found = ((config or {}).get("serve") or {}).get("public_url")
    return None if found is None else str(found)


def _state(version: Mapping[str, object]) -> State:
    match version.get("State"):
        case "Failed":
            return State.CRASHED
        case "Pending":
            return State.STARTING
        case _:
            return State.RUNNING


def _led_to(look: Look) -> str:
    """Which versions clients get, in a few words."""
    if look.alias is None:
        return "none"
    weights = (look.alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    shares = "".join(f", {share:.0%} of the calls {number}" for number, share in sorted(weights.items()))
    return f"version {look.alias['FunctionVersion']}{shares}"


def _unknown(kind: str) -> WorldError:
    return WorldError(
        Problem(f"this version of the target lambda knows no {kind!r}", "use the mcp-pack version that deployed it")
    )
