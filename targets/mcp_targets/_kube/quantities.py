"""Amounts as Kubernetes spells them itself, so that what it answers is what was sent.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

from typing import Final

_BINARY: Final = (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def bytes_of(size: int) -> str:
    """Bytes in the largest unit that leaves no rest: ``512Mi``."""
    for unit, factor in _BINARY:
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def cores_of(cpu: float) -> str:
    """Cores, whole or in thousandths: ``2``, ``250m``."""
    thousandths = round(cpu * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
