"""One account's functions, and what each operation needs beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_packager.testing.aws.refusals import missing, unlike
from mcp_packager.testing.aws.state import Function, Url

ACCOUNT, REGION = "123456789012", "eu-central-1"
"""moto's own account."""
PRESIGNED = "/presigned/"
"""Below it a zip that was sent can be read back."""
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"

Asked = Mapping[str, Any]
Answer = Mapping[str, Any]
"""What an operation is asked and answers, by the names of the service's model."""


@dataclass(frozen=True)
class Move:
    """One change of an alias: which version it names, and whether that one was called by its number before."""

    alias: str
    number: str
    was_called: bool


@dataclass
class Account:
    """What there is of Lambda in an account.

    Attributes:
        trusted: Whether Lambda may be a role, by the role's ARN.
        opened, closed: Called with a function's URL that is made or goes.
        folder: Where zips are unpacked.
        slow: How many looks find a function still being made or changed.
        shy: How often a new role is said not to be assumable.
        numbers: The highest version of each function there ever was: they are never used again.
        called: Versions that were invoked by their number and did not fail, as ``function:number``.
        moves: Every change of an alias.
        address: Where the account's services are.
        broken_snapshots: Why versions that start from a snapshot fail; empty where they do not.
        registry: Where images are, by the name of its host: ECR, or a registry that stands for it.
    """

    trusted: Callable[[str], bool]
    opened: Callable[[Function, Url], str]
    closed: Callable[[Url], None]
    folder: str
    slow: int = 1
    shy: int = 1
    functions: dict[str, Function] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    refused_roles: Counter[str] = field(default_factory=Counter)
    called: set[str] = field(default_factory=set)
    moves: list[Move] = field(default_factory=list)
    address: str = ""
    broken_snapshots: str = ""
    registry: str = ECR

    def function(self, asked: Asked) -> Function:
        """The function that is meant: by name, by ARN, or by the account's number and name.

        Raises:
            RefusedError: there is none.
        """
        name = named(asked)
        if name not in self.functions:
            raise missing(f"Function not found: {ARN}{name}")
        return self.functions[name]


def named(asked: Asked) -> str:
    """The function's name in what was asked."""
    found = re.fullmatch(r"(?:.*:function:|\d{12}:)?([A-Za-z0-9_-]{1,64})(?::.*)?", asked["FunctionName"])
    if found is None:
        raise unlike(f"Value '{asked['FunctionName']}' at 'functionName' failed to satisfy constraint")
    return found[1]


def page(asked: Asked, items: list[Any], key: str, most: int = 50) -> Answer:
    """One page of a listing: ``Marker`` says where it begins, ``MaxItems`` how long it may be."""
    start = int(asked.get("Marker") or 0)
    end = start + min(int(asked.get("MaxItems") or most), most)
    return {key: items[start:end], **({"NextMarker": str(end)} if end < len(items) else {})}
