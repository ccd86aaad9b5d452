"""AWS Signature Version 4 (IAM user guide, "Create a signed AWS API request"), for one POST with a JSON body."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Whose request it is. `token` is there where the credentials are for a time only."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def sign(
    url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials, region: str, service: str, moment: str
) -> dict[str, str]:
    """All headers of a signed POST.

    Args:
        url: Absolute, without a query.
        headers: Beside those that the signature needs; all are signed.
        body: As it is sent.
        credentials: Whose request it is.
        region: Where the service is, such as "eu-central-1".
        service: As the signature spells it, such as "ssm".
        moment: The time in UTC as `20150830T123600Z`; the service takes it five minutes off at most.
    """
    place = urlsplit(url)
    given = {**headers, "Host": place.netloc, "X-Amz-Date": moment}
    if credentials.token is not None:
        given["X-Amz-Security-Token"] = credentials.token
    plain = {name.lower(): " ".join(value.split()) for name, value in given.items()}
    signed = ";".join(sorted(plain))
    lines = "".join(f"{name}:{plain[name]}\n" for name in sorted(plain))
    digest = hashlib.sha256(body).hexdigest()
    canonical = f"POST\n{place.path or '/'}\n\n{lines}\n{signed}\n{digest}"
    day = moment[:8]
    within = f"{day}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{moment}\n{within}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    who = f"Credential={credentials.access_key}/{within}, SignedHeaders={signed}, Signature={signature}"
    return {**given, "Authorization": f"{_ALGORITHM} {who}"}
