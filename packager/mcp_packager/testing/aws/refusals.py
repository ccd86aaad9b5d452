"""What the fake refuses, in AWS's words: codes and statuses of the Lambda API reference, "Errors" of each action."""

from __future__ import annotations


class RefusedError(Exception):
    """An answer that is an error.

    Attributes:
        status: Of HTTP.
        code: Such as ``ResourceConflictException``.
        message: In AWS's words.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> RefusedError:
    """A parameter that AWS does not take."""
    return RefusedError(400, "InvalidParameterValueException", message)


def unlike(message: str) -> RefusedError:
    """A parameter outside of what the API's model allows."""
    return RefusedError(400, "ValidationException", f"1 validation error detected: {message}")


def conflict(message: str) -> RefusedError:
    """Something is there already, or is being changed."""
    return RefusedError(409, "ResourceConflictException", message)


def missing(message: str) -> RefusedError:
    """There is no such thing."""
    return RefusedError(404, "ResourceNotFoundException", message)


def outdated() -> RefusedError:
    """Somebody else changed it meanwhile (Lambda API reference, ``RevisionId`` of UpdateFunctionCode and others)."""
    return RefusedError(
        412,
        "PreconditionFailedException",
        "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve "
        "the latest RevisionId for your resource.",
    )
