"""Whose signature a request carries (IAM user guide, "Create a signed AWS API request")."""

from __future__ import annotations

import re
from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from mcp_packager.testing.aws.account import REGION

KEY, SECRET = "AKIAEXAMPLEOFTESTS", "example-secret-of-tests"
"""The only credentials that are valid."""
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


def signer(method: str, url: str, headers: Mapping[str, str], body: bytes, service: str) -> str | None:
    """Whose it is; ``None`` where there is none, or one that is not right for this request and service.

    Args:
        method: Of HTTP.
        url: As the client has it, host and query included.
        headers: By name in lower case.
        body: As it came.
        service: Which the signature has to be for.
    """
    found = _SIGNED.fullmatch(headers.get("authorization", ""))
    if found is None or found["service"] != service or found["region"] != REGION or found["key"] != KEY:
        return None
    names = found["names"].split(";")
    if "host" not in names or "x-amz-date" not in names:
        return None
    kept = {name: headers[name] for name in names if name in headers}
    request = AWSRequest(method, url, headers=kept, data=body)
    request.context["timestamp"] = headers.get("x-amz-date", "")
    auth = SigV4Auth(Credentials(KEY, SECRET, headers.get("x-amz-security-token")), service, REGION)
    canonical = auth.canonical_request(request)
    right = auth.signature(auth.string_to_sign(request, canonical), request)
    return found["key"] if right == found["signature"] else None
