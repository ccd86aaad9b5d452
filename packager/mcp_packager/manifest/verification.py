"""``[[verify.call]]``: calls that a deploy makes before it lets clients in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mcp_packager.manifest.section import Many, Section
from mcp_packager.manifest.units import Duration
from mcp_packager.manifest.words import Text, Word


def _plain(value: Any) -> Any:
    """Refuse what JSON has no form for: dates, times, infinities."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as table:
                waiting.extend(table.values())
            case list() as array:
                waiting.extend(array)
            case float() as number if number - number != 0:
                raise PydanticCustomError("json", "is not finite", {"expected": "a value that JSON can hold"})
            case str() | int() | float() | bool() | None:
                pass
            case other:
                raise PydanticCustomError(
                    "json",
                    "has no form in JSON",
                    {"expected": "a value that JSON can hold", "fix": f"Write the {type(other).__name__} as a string"},
                )
    return value


Json = Annotated[Any, AfterValidator(_plain)]


class Expect(Section):
    """What the answer must be. Without anything: not an error."""

    error: bool = Field(default=False, description="Whether the tool is to answer with an error")
    contains: Text | None = Field(None, description="Text that the answer's text must contain")
    structured: Json = Field(None, description="What the structured answer must hold: every key given here, equal")


class VerifyCall(Section):
    """One call."""

    tool: Word = Field(description="Tool to call; one that changes nothing")
    arguments: Annotated[dict[str, Json], Field()] = Field({}, description="Its arguments")
    expect: Expect = Field(Expect.model_construct(), description="What the answer must be")
    timeout: Duration = Field(30.0, description="Longest to wait for the answer")


class Verify(Section):
    """``[verify]``."""

    via: Literal["public", "cluster", "invoke"] | None = Field(
        None,
        description="The one way to look at what is deployed: public, cluster or invoke; as clients do, "
        "else from inside, where unset",
    )
    call: Many[VerifyCall] = Field((), description="Calls that must succeed before clients are let in")
