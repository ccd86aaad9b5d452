"""Asking the client: the words an author uses. Works the same in both protocol eras.

    def confirm(count: int) -> Ask[Sure] | Sure:
        return Ask(f"Delete {count} notes?", Sure) if count > 10 else Sure(yes=True)

    @tool
    def delete(count: int, sure: Annotated[Sure, Resolve(confirm)]) -> str: ...

A parameter of the type itself gets the answer, and the call fails where the user declines. A parameter of
`Accepted[T] | Declined | Cancelled` gets the outcome and decides for itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resolve:
    """`Annotated[T, Resolve(function)]`: the parameter is filled by the function, not by the caller.

    The function may take the tool's arguments by name, a `Context`, provided values, and other resolved parameters.
    It runs at most once in a round of a call, and again in each round.

    Attributes:
        function: Returns the value, or a question: `Ask`, `Sample`, `ListRoots`.
        key: Names the question on the wire; default module and name of the function.
    """

    function: Callable[..., Any]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """A form for the user.

    Attributes:
        message: The question.
        form: A pydantic model whose fields are text, numbers, booleans or choices.
        default: The answer where the client has no way to be asked.
    """

    message: str
    form: type[T]
    default: T | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A request to the client's language model.

    Attributes:
        messages: The text of one user message, or messages in wire form.
        max_tokens: How long the answer may be.
        system_prompt: Instructions for the model.
        options: Further params in wire form, such as `temperature` or `tools`.
    """

    messages: str | Sequence[Mapping[str, Any]]
    max_tokens: int
    system_prompt: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    default: "Sampled | None" = None


@dataclass(frozen=True, slots=True)
class ListRoots:
    """A request for the folders the client works in; answered with a list of `Root`."""

    default: "tuple[Root, ...] | None" = None


Question: TypeAlias = Ask[Any] | Sample | ListRoots

QUESTIONS = (Ask, Sample, ListRoots)


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """The user answered."""

    data: T


@dataclass(frozen=True, slots=True)
class Declined:
    """The user said no."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The user turned away."""


Outcome: TypeAlias = Accepted[T] | Declined | Cancelled


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the client's model answered. `content` holds blocks in wire form."""

    role: str
    content: tuple[Mapping[str, Any], ...]
    model: str
    stop_reason: str | None = None

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        return "".join(block["text"] for block in self.content if block.get("type") == "text")


@dataclass(frozen=True, slots=True)
class Root:
    """A folder or file the client works in."""

    uri: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class InputRequired:
    """Returned by hand instead of a result: questions for the client, which calls again with the answers.

    Only for protocol version 2026-07-28 and later; `Resolve` works everywhere. On the next round the answers are
    in `Context.answers` and `state` in `Context.state`.

    Attributes:
        questions: By key: a question, or a request in wire form.
        state: Text to get back; the transport seals it.
    """

    questions: Mapping[str, "Question | Mapping[str, Any]"] = field(default_factory=dict)
    state: str | None = None
