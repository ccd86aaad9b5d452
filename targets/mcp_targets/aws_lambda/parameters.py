"""A deployment's part of Parameter Store: everything below its path, and nothing else.

Each parameter's description is a JSON document that says whose it is and what is to be known of its value; it changes
with the value (AWS Systems Manager API reference, PutParameter and DescribeParameters).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcp_packager.errors import Problem, WorldError
from mcp_packager.target import Identity
from mcp_targets._aws.errors import code_of, speaking
from mcp_targets._aws.names import listed, tags
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.place import parameters

MOST: Final = 4096
"""Bytes of one value of the tier that costs nothing."""
_OURS: Final = "mcp-pack"
_AT_ONCE: Final = 10
"""Names that one call takes (GetParameters, DeleteParameters)."""
_TAKEN: Final = "ParameterAlreadyExists"
_GONE: Final = frozenset({"ParameterNotFound", "ParameterVersionNotFound"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name below the deployment's path, its newest version, and what its description says."""

    name: str
    version: int
    notes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Past:
    """One version of a parameter, with its value. Shown nowhere."""

    version: int
    value: str
    notes: Mapping[str, Any]


class Parameters:
    """The parameters of one deployment."""

    def __init__(self, aws: Aws, identity: Identity) -> None:
        self._aws = aws
        self._identity = identity
        self.root: Final = parameters(identity)

    def listing(self) -> tuple[Parameter, ...]:
        """All of them, without values."""
        wanted = [{"Key": "Path", "Option": "Recursive", "Values": [self.root]}]
        with speaking(f"list the parameters below {self.root}"):
            pages = self._ssm.get_paginator("describe_parameters").paginate(ParameterFilters=wanted)
            found = [one for page in pages for one in page["Parameters"]]
        made = ((one, _notes(one.get("Description", ""))) for one in found)
        return tuple(
            Parameter(one["Name"].removeprefix(f"{self.root}/"), int(one["Version"]), notes)
            for one, notes in made
            if notes is not None
        )

    def below(self, folder: str) -> dict[str, str]:
        """The plain values below a folder, by name below it."""
        path = f"{self.root}/{folder}"
        with speaking(f"read the parameters below {path}"):
            pages = self._ssm.get_paginator("get_parameters_by_path").paginate(
                Path=path, Recursive=True, WithDecryption=False
            )
            return {
                one["Name"].removeprefix(f"{path}/"): str(one["Value"]) for page in pages for one in page["Parameters"]
            }

    def create(self, name: str, value: str, notes: Mapping[str, Any], *, secret: bool = False) -> int | None:
        """Put a value under a name that nobody has; its version, or ``None`` where the name is taken.

        Of two that try, one gets it.
        """
        from botocore.exceptions import ClientError

        with speaking(f"make the parameter {self.root}/{name}"):
            try:
                answer = self._put(name, value, notes, secret=secret, Tags=listed(tags(self._identity)))
            except ClientError as error:
                if code_of(error) == _TAKEN:
                    return None
                raise
            return int(answer["Version"])

    def change(self, name: str, value: str, notes: Mapping[str, Any]) -> int:
        """Put a further version of a secret value under a name; the number of it."""
        with speaking(f"change the parameter {self.root}/{name}"):
            return int(self._put(name, value, notes, secret=True, Overwrite=True)["Version"])

    def history(self, name: str) -> tuple[Past, ...]:
        """The versions of a parameter of ours that are kept, the oldest first; none where there is none."""
        from botocore.exceptions import ClientError

        with speaking(f"read the versions of the parameter {self.root}/{name}"):
            try:
                pages = self._ssm.get_paginator("get_parameter_history").paginate(
                    Name=f"{self.root}/{name}", WithDecryption=True
                )
                found = [one for page in pages for one in page["Parameters"]]
            except ClientError as error:
                if code_of(error) in _GONE:
                    return ()
                raise
        made = ((one, _notes(one.get("Description", ""))) for one in found)
        kept = [Past(int(one["Version"]), str(one["Value"]), notes) for one, notes in made if notes is not None]
        if found and not kept:
            raise WorldError(
                Problem(
                    f"the parameter {self.root}/{name} is there already and is not mcp-pack's, so it is left alone",
                    "remove or rename it",
                )
            )
        return tuple(sorted(kept, key=lambda one: one.version))

    def remove(self, names: Sequence[str]) -> None:
        """Remove parameters; those that are gone are fine."""
        full = [f"{self.root}/{name}" for name in names]
        for start in range(0, len(full), _AT_ONCE):
            with speaking(f"remove parameters below {self.root}"):
                self._ssm.delete_parameters(Names=full[start : start + _AT_ONCE])

    def _put(self, name: str, value: str, notes: Mapping[str, Any], *, secret: bool, **asked: Any) -> Any:
        return self._ssm.put_parameter(
            Name=f"{self.root}/{name}",
            Value=value,
            Type="SecureString" if secret else "String",
            Description=json.dumps({_OURS: self._identity.stage, **notes}, sort_keys=True, separators=(",", ":")),
            **asked,
        )

    @property
    def _ssm(self) -> Any:
        return self._aws.client("ssm")


def _notes(description: str) -> Mapping[str, Any] | None:
    """What a description of ours says; ``None`` of somebody else's."""
    try:
        found = json.loads(description)
    except ValueError:
        return None
    return found if isinstance(found, dict) and _OURS in found else None


def numbered(names: Iterator[str]) -> list[int]:
    """The numbers among names."""
    return [int(name) for name in names if name.isdecimal()]
