"""What Lambda does not take, told before anything is built or sent. Each limit is of the Lambda developer guide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mcp_packager.errors import Place, Problem
from mcp_targets._aws.place import unplaced
from mcp_targets.aws_lambda import image
from mcp_targets.aws_lambda.options import RETENTIONS, Options
from mcp_targets.aws_lambda.settings import LONGEST, longest_call, most_body, timeout

if TYPE_CHECKING:
    from mcp_packager.manifest import Manifest

_MIB: Final = 2**20
_MEMORY: Final = (128, 10_240)
_STORAGE: Final = (512, 10_240)
_DEAD_LETTERS: Final = tuple(
    f"arn:{partition}:{service}:" for partition in ("aws", "aws-cn", "aws-us-gov") for service in ("sqs", "sns")
)
_READ: Final = frozenset({"env", "file", "aws-sm", "aws-ssm"})


def problems(manifest: Manifest, options: Options) -> Iterator[Problem]:
    """Everything at once."""
    yield from unplaced(manifest, options, "lambda")
    yield from _sizes(manifest, options)
    yield from _times(manifest, options)
    yield from _services(manifest)
    yield from _secrets(manifest)
    yield from _snapshots(manifest, options)
    yield from _fronts(manifest, options)
    yield from _told(manifest, options)
    yield from image.problems(manifest, options)


def _sizes(manifest: Manifest, options: Options) -> Iterator[Problem]:
    for key, bytes_, (low, high) in (
        ("memory", options.memory, _MEMORY),
        ("storage", options.storage, _STORAGE),
    ):
        if bytes_ % _MIB or not low <= bytes_ // _MIB <= high:
            yield _problem(
                manifest,
                key,
                f"a function cannot have that much {key}",
                f'say for example {key} = "{max(low, 512)}Mi"',
                expected=f"whole Mi between {low}Mi and {high}Mi",
                found=f"{bytes_ / _MIB:g}Mi",
            )
    most = most_body(options)
    if manifest.serve.max_body > most and "serve.max_body" in manifest.written:
        balanced = options.front == "alb"
        yield Problem(
            "a load balancer passes on no request that large" if balanced else "Lambda takes no request that large",
            f"let max_body be {'900Ki' if balanced else '6Mi'} or less in the stage that is deployed there",
            Place(str(manifest.path), key="serve.max_body"),
            expected=f"{most} bytes at most",
            found=f"{manifest.serve.max_body} bytes",
        )
    if options.retention not in RETENTIONS:
        days = ", ".join(map(str, RETENTIONS))
        yield _problem(
            manifest, "retention", "CloudWatch Logs cannot keep lines for that many days", "choose one", expected=days
        )


def _times(manifest: Manifest, options: Options) -> Iterator[Problem]:
    if manifest.serve.timeout > LONGEST:
        yield Problem(
            "Lambda ends every invocation after 900 s",
            "let a call take less: timeout under [serve] of the stage that is deployed there",
            Place(str(manifest.path), key="serve.timeout"),
            expected="900 s at most",
            found=f"{manifest.serve.timeout:g} s",
        )
    elif manifest.serve.timeout > (longest := longest_call(options)) and "serve.timeout" in manifest.written:
        yield Problem(
            "an HTTP API gives up after 30 s, and a call may take longer",
            f'say timeout = "{longest:g}s" or less under [serve]; or set front = "url" under [target.lambda], where a '
            "call may take 900 s",
            Place(str(manifest.path), key="serve.timeout"),
            expected=f"{longest:g} s at most, so that the tool's own answer says what was too slow",
            found=f"{manifest.serve.timeout:g} s",
        )
    elif timeout(manifest, options) > LONGEST or timeout(manifest, options) < min(manifest.serve.timeout, longest):
        yield _problem(
            manifest,
            "timeout",
            "the function's time and that of a call do not fit together",
            "leave timeout away: it is 5 s more than that of [serve]",
            expected=f"between {min(manifest.serve.timeout, longest):g} s and 900 s",
            found=f"{timeout(manifest, options)} s",
        )


def _services(manifest: Manifest) -> Iterator[Problem]:
    for name, service in manifest.services.items():
        if service.external is None:
            yield Problem(
                f"a function starts no containers, and service {name} has no external address",
                f'say where it runs: external = "host:port" under [services.{name}] or its stage',
                Place(str(manifest.path), key=f"services.{name}"),
            )


def _secrets(manifest: Manifest) -> Iterator[Problem]:
    for name, secret in manifest.secrets.items():
        scheme, _ = secret.source(name)
        if scheme not in _READ:
            yield Problem(
                f"a function cannot read the secret {name} from {scheme}",
                'use from = "aws-sm:ID", "aws-ssm:NAME", "env:NAME" or "file:PATH" in the stage that is deployed there',
                Place(str(manifest.path), key=f"secrets.{name}.from"),
            )


def _snapshots(manifest: Manifest, options: Options) -> Iterator[Problem]:
    if not options.snap_start:
        return
    reasons = {
        "package": options.package == "image",
        "storage": options.storage > _STORAGE[0] * _MIB,
        "concurrency": options.concurrency.provisioned is not None,
    }
    for key, stands_against in reasons.items():
        if stands_against:
            yield _problem(
                manifest,
                key,
                f"a function that starts from a snapshot cannot have this {key}",
                f"leave {key} away, or snap_start",
            )


def _told(manifest: Manifest, options: Options) -> Iterator[Problem]:
    """Who is told when something fails."""
    if options.alarm_actions and not options.alarms and options.strategy != "canary":
        yield _problem(
            manifest,
            "alarm_actions",
            "there is somebody to tell, and no alarm that would",
            "set alarms = true, or leave alarm_actions away",
        )
    letters = options.dead_letters
    if letters is None:
        return
    if not letters.startswith(_DEAD_LETTERS):
        yield _problem(
            manifest,
            "dead_letters",
            "only a queue or a topic takes dead letters",
            "name the ARN of a queue of SQS or a topic of SNS",
            found=letters,
        )
    elif letters.endswith(".fifo"):
        yield _problem(
            manifest,
            "dead_letters",
            "no queue or topic in order takes dead letters",
            "name a standard queue or topic: one whose name does not end with .fifo",
            found=letters,
        )


def _fronts(manifest: Manifest, options: Options) -> Iterator[Problem]:
    if options.front != "url" and options.streaming:
        yield _problem(
            manifest,
            "streaming",
            "only the function's own URL passes on answers as they are made",
            'leave streaming away, or set front = "url"',
            found=f'front = "{options.front}"',
        )
    if options.front != "alb" and options.alb is not None:
        yield _problem(
            manifest, "alb", "there is a load balancer, and it is not the front", 'set front = "alb", or leave it away'
        )
    if options.front == "alb" and options.alb is None:
        yield _problem(
            manifest,
            "front",
            "which load balancer is the front is not said",
            'name the listener that is to lead there: listener = "arn:…" under [target.lambda.alb]',
        )
    if options.front == "alb" and manifest.serve.public_url is None:
        yield Problem(
            "a load balancer has many names, and which of them is this tool's is not said",
            'say where clients call: public_url = "https://HOST" under [serve]',
            Place(str(manifest.path), key="serve.public_url"),
        )


def _problem(
    manifest: Manifest, key: str, what: str, fix: str, *, expected: str | None = None, found: str | None = None
) -> Problem:
    return Problem(what, fix, Place(str(manifest.path), key=f"target.lambda.{key}"), expected=expected, found=found)
