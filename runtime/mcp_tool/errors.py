"""What can go wrong, as types: in an author's code, in a contract, at the start, on the wire."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ToolError(Exception):
    """A failure the author saw coming: the client gets its message in a result marked as an error.

    Every other exception is a crash: the client reads only the tool's name, the log holds the traceback.
    """


class ResourceNotFoundError(Exception):
    """Raised by a resource function where the URI matches its template but names nothing."""


class RpcError(Exception):
    """Answers the request with a JSON-RPC error instead of a result.

    Attributes:
        code: JSON-RPC error code, such as -32602 for invalid params.
        message: One sentence for the client.
        data: Anything JSON, or None.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return self.message


class Place(NamedTuple):
    """A line of the author's code; `line` is 0 where only the file is known."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class ContractProblem(NamedTuple):
    """One thing to mend before the tool can be published.

    Attributes:
        place: Where in the author's code.
        what: What is wrong, naming function and parameter.
        fix: What to write instead.
    """

    place: Place
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}\n  fix: {self.fix}"

    def as_json(self) -> dict[str, Any]:
        """The record as the `contract` command reports it."""
        return {"file": self.place.file, "line": self.place.line, "what": self.what, "fix": self.fix}


class ContractError(Exception):
    """All the problems of a contract at once."""

    def __init__(self, problems: Sequence[ContractProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class EntrypointError(Exception):
    """The author's module cannot be imported, or does not hold what the entrypoint names.

    Attributes:
        what: What happened.
        fix: What to do about it.
        trace: The traceback, cut down to the author's frames; empty where the author's code was not reached.
    """

    def __init__(self, what: str, fix: str, trace: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.trace = trace


class SettingsError(Exception):
    """Settings that cannot be filled. Names the values, never their content.

    Attributes:
        missing: What is missing or wrong, by name, with the reason.
    """

    def __init__(self, missing: Mapping[str, str]) -> None:
        lines = (f"{name}: {reason}" for name, reason in missing.items())
        super().__init__("the settings are not complete\n  " + "\n  ".join(lines))
        self.missing = dict(missing)
