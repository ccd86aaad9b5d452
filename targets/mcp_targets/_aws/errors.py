"""What AWS's refusals mean for a person: missing rights by action and resource, stale credentials, what passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from mcp_packager.errors import PackError, Problem, WorldError
from mcp_packager.target import TransientError

_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "Forbidden"}
)
_STALE: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
# botocore's own list of what throttles (botocore/retries/standard.py), and what IAM and EKS say of a lost race.
_PASSING: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConcurrentModification",
        "EC2ThrottledException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_ACTION: Final = re.compile(r"not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9*]+)(?: on resource: (\S+))?")
LOG_IN: Final = "log in to AWS (aws sso login, or set AWS_PROFILE to a profile that works)"
"""How to mend credentials."""


def code_of(error: Any) -> str:
    """The code of a ``ClientError``, such as ``NoSuchEntity``; empty where AWS gave none."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def speaking(to: str) -> Iterator[None]:
    """Turn what boto3 raises into a problem for people; ``to`` names what was being done, as "read the role x".

    Raises:
        TransientError: throttled, a fault of AWS's own, or no answer: worth another try.
        WorldError: AWS refuses, and goes on refusing.
    """
    from botocore import exceptions

    try:
        yield
    except PackError:
        raise
    except exceptions.ClientError as error:
        raise _refused(to, error) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise WorldError(Problem(f"AWS: cannot {to}: there are no credentials", LOG_IN)) from error
    except exceptions.ProfileNotFound as error:
        raise WorldError(
            Problem(f"AWS: cannot {to}: {error}", "set AWS_PROFILE to a profile of ~/.aws/config")
        ) from error
    except exceptions.NoRegionError as error:
        raise WorldError(Problem(f"AWS: cannot {to}: no region is set", "set the target's option region")) from error
    except (
        exceptions.CredentialRetrievalError,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
    ) as error:
        raise WorldError(Problem(f"AWS: cannot {to}: {error}", LOG_IN)) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise TransientError(
            Problem(f"AWS: cannot {to}: {error}", "see that this machine reaches AWS, then run the same command again")
        ) from error
    except exceptions.BotoCoreError as error:
        raise WorldError(Problem(f"AWS: cannot {to}: {error}", "mend what it names")) from error


def _refused(to: str, error: Any) -> WorldError:
    code = code_of(error)
    said = str(error.response.get("Error", {}).get("Message", "")).strip() or code
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    if code in _STALE:
        return WorldError(Problem(f"AWS: cannot {to}: the credentials are not valid (any more)", LOG_IN, found=said))
    if code in _DENIED:
        return WorldError(_denied(to, error, said))
    if code in _PASSING or status >= 500:
        return TransientError(
            Problem(f"AWS: cannot {to} now: {code}", "run the same command again in a minute", found=said)
        )
    return WorldError(Problem(f"AWS: cannot {to}: {code or 'refused'}", "mend what AWS names", found=said))


def _denied(to: str, error: Any, said: str) -> Problem:
    named = _ACTION.search(said)
    service = str(getattr(error, "operation_name", ""))
    action = named[1] if named else service
    resource = f" on {named[2].rstrip('.')}" if named and named[2] else ""
    return Problem(
        f"AWS: may not {to}: {action}{resource} is not allowed",
        f"have {action} allowed; `mcp-pack doctor` for that target prints the policy that a deployer needs",
        found=said,
    )
