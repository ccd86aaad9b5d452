"""The support table: what each target does with each portable manifest key, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mcp_packager.errors import Place, Problem
from mcp_packager.target import Level, Support, Target


@dataclass(frozen=True, slots=True)
class Row:
    """One key of the manifest and what each target does with it."""

    key: str
    targets: Mapping[str, Support]

    def as_json(self) -> dict[str, object]:
        """Plain data, for ``--json``."""
        return {
            "key": self.key,
            "targets": {
                name: {"level": support.level.value, "word": support.word} for name, support in self.targets.items()
            },
        }


def table(targets: Mapping[str, Target], keys: Iterable[str]) -> tuple[Row, ...]:
    """One row a key, in the order of the keys.

    Raises:
        KeyError: a target says nothing of a key; the target suite finds that before a user does.
    """
    return tuple(Row(key, {name: target.about.support[key] for name, target in targets.items()}) for key in keys)


def refusals(target: Target, used: Iterable[str]) -> tuple[Problem, ...]:
    """A problem for each key that the manifest sets and the target refuses."""
    about = target.about
    return tuple(
        Problem(
            f"target {about.name} cannot honour this key: {about.support[key].word}",
            "remove it, or set it in a stage that does not deploy there",
            Place(key=key),
        )
        for key in used
        if key in about.support and about.support[key].level is Level.REFUSES
    )
