"""The objects of a deploy as they stand in files: what only the world knows has a name that does not change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from mcp_packager.target import DesiredInput, Ref, Value
from mcp_packager.target.values import resolve
from mcp_targets._kube.names import Names
from mcp_targets._kube.render import objects
from mcp_targets._kube.site import Object, Site

_SORTED: Final = 2
"""Digits in front of a file's name: the order in which tools that go by names apply them."""


def plain_objects(request: DesiredInput, site: Site) -> tuple[Object, ...]:
    """The objects of a deploy, without what only a deploy knows: Secrets have names that stay, and no probe is let in.

    Raises:
        UserError: a patch does not fit.
    """
    names = Names(request.identity)

    def leaf(value: Any) -> Value:
        assert isinstance(value, Ref)  # noqa: S101 - objects hold nothing that is made by the world but names
        return held_name(names, value)

    return tuple(resolve(item, leaf) for item in objects(request, replace(site, probed=False)))


def held_name(names: Names, ref: Ref) -> str:
    """The name under which a Secret is expected that a deploy would make."""
    return names.of(ref.resource.kind, ref.resource.name)


def file_name(number: int, item: Object) -> str:
    """A file's name, by which files sort in the order in which objects are applied."""
    return f"{number:0{_SORTED}}-{item['kind'].lower()}-{item['metadata']['name']}.yaml"
