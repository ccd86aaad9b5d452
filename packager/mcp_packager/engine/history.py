"""Releases as the engine uses them: which one is current, what the kept ones need, when one is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_packager.engine.lock import Guard
from mcp_packager.errors import Problem, UserError, WorldError
from mcp_packager.target import Intent, Key, Lifetime, Outcome, Records, RecordTakenError, Release

_TRIES = 20


def current_of(releases: Sequence[Release]) -> Release | None:
    """The release that clients should be getting: the highest that was deployed."""
    return next((release for release in reversed(releases) if release.outcome is Outcome.DEPLOYED), None)


def kept_of(releases: Sequence[Release], intent: Intent | None) -> tuple[Release, ...]:
    """The earlier releases that stay beside the intent (``None``: beside nothing yet), newest last."""
    keep = intent.keep if intent is not None else max((release.intent.keep for release in releases), default=0)
    fingerprint = None if intent is None else intent.fingerprint
    earlier = [
        release
        for release in releases
        if release.outcome is Outcome.DEPLOYED and release.intent.fingerprint != fingerprint
    ]
    return tuple(earlier[-keep:]) if keep else ()


def kept_keys(releases: Sequence[Release], intent: Intent | None) -> frozenset[Key]:
    """What the kept releases need of the world to be rolled back to."""
    return frozenset(
        resource.key
        for release in kept_of(releases, intent)
        for resource in release.intent.resources
        if resource.lifetime is Lifetime.RELEASE
    )


def record(records: Records, release: Release, guard: Guard) -> Release:
    """Keep the release, under the next free number if another writer took its own.

    Raises:
        WorldError: number after number was taken.
    """
    for number in range(release.number, release.number + _TRIES):
        guard.check()
        numbered = release.renumbered(number)
        try:
            records.add(numbered)
        except RecordTakenError:
            continue
        return numbered
    raise WorldError(Problem("no free release number was found", "look at mcp-pack history; another deploy is at work"))


def overdue(releases: Sequence[Release], intent: Intent) -> tuple[int, ...]:
    """The numbers of the releases that are no longer kept."""
    current = current_of(releases)
    kept = {release.number for release in kept_of(releases, intent)}
    oldest = min(kept, default=current.number if current else 0)
    return tuple(
        release.number
        for release in releases
        if release != current
        and release.number not in kept
        and not (release.outcome is Outcome.FAILED and release.number > oldest)
    )


def prune(records: Records, intent: Intent, guard: Guard) -> None:
    """Forget the releases that are no longer kept."""
    for number in overdue(records.listing(), intent):
        guard.check()
        records.remove(number)


def choose(releases: Sequence[Release], to: int | None) -> Release:
    """The release to roll back to: the one named, else the one before the current.

    Raises:
        UserError: there is none, or it cannot be gone back to.
    """
    current = current_of(releases)
    deployed = {release.number: release for release in releases if release.outcome is Outcome.DEPLOYED}
    if current is None:
        raise UserError(Problem("nothing is deployed, so there is nothing to roll back", "run mcp-pack deploy"))
    if to is not None:
        if to not in deployed and current.rollback_of == to:
            return current  # it was gone back to, and the release of then was forgotten since
        if to not in deployed:
            known = ", ".join(str(number) for number in sorted(deployed))
            raise UserError(Problem(f"there is no release {to} to go back to", f"choose one of: {known}"))
        return deployed[to]
    # A rollback of a rollback goes on backwards, instead of to and fro.
    start = current.rollback_of or current.number
    before = [
        release
        for number, release in deployed.items()
        if number < start and release.intent.fingerprint != current.intent.fingerprint
    ]
    if not before:
        raise UserError(
            Problem(
                f"release {current.number} has none before it to go back to", "deploy an earlier version of the tool"
            )
        )
    return max(before, key=lambda release: release.number)
