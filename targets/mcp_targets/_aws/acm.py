"""Certificates: whether one is good for a host."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_packager.errors import PackError, Problem, UserError
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.session import Aws


def covers(names: Sequence[str], host: str) -> bool:
    """Whether one of a certificate's names is the host, or stands for it: ``*`` is one label, the first (RFC 6125)."""
    wanted = host.lower().rstrip(".")
    _, _, parent = wanted.partition(".")
    return any(name.lower().rstrip(".") in {wanted, f"*.{parent}" if parent else ""} for name in names)


def judge(aws: Aws, arns: Sequence[str], host: str) -> str | None:
    """Hold certificates against the host that they are to serve; the line says why one could not be looked at.

    Raises:
        UserError: none of them covers the host, or the one that does is not issued.
    """
    found: dict[str, Sequence[str]] = {}
    for arn in arns:
        try:
            with speaking(f"read the certificate {arn}"):
                certificate = aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        except PackError as error:
            return f"whether the certificate covers {host}: {error.problems[0].what}"
        names = [str(certificate["DomainName"]), *map(str, certificate.get("SubjectAlternativeNames", ()))]
        if covers(names, host) and certificate.get("Status") != "ISSUED":
            raise UserError(
                Problem(
                    f"the certificate for {host} cannot be used: it is {certificate.get('Status', 'unknown')}",
                    "have it issued, or name another one in certificate of [target.eks]",
                    found=arn,
                )
            )
        found[arn] = tuple(dict.fromkeys(names))
    if any(covers(names, host) for names in found.values()):
        return None
    raise UserError(
        Problem(
            f"no certificate of [target.eks] covers the host {host}",
            "name the ARN of one that does, or change the host",
            expected=host,
            found="; ".join(f"{arn}: {', '.join(names)}" for arn, names in found.items()),
        )
    )
