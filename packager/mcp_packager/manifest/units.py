"""Numbers with units: ``60s``, ``512Mi``, ``250m``.

Written here because no library at hand fits: pydantic's ``ByteSize`` does not know ``512Mi`` and reads ``250m``
as mega, ``kubernetes.utils.quantity`` costs the import of the whole client, pint is larger than this project.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

DURATION: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
SIZE: Final = r"^[0-9]+(\.[0-9]+)?(B|k|M|G|T|kB|MB|GB|TB|Ki|Mi|Gi|Ti|KiB|MiB|GiB|TiB)$"
CPU: Final = r"^([0-9]+m|[0-9]+(\.[0-9]+)?)$"

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DECIMAL: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_LONGEST: Final = 40


def seconds(value: object) -> float:
    """A duration in seconds: ``"60s"``, ``"1m30s"``, ``"250ms"``, or a plain number of seconds.

    Raises:
        ValueError: it is none of these, is negative or is not finite.
    """
    match value:
        case bool():
            pass
        case int() | float() if value >= 0 and math.isfinite(value):
            return float(value)
        case str() if len(value) <= _LONGEST and re.fullmatch(DURATION, value, re.ASCII):
            parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", value)
            return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
        case _:
            pass
    raise ValueError("not a duration")


def size(value: object) -> int:
    """A size in bytes: ``"512Mi"``, ``"1.5GB"``, or a plain number of bytes.

    ``Ki Mi Gi Ti`` count by 1024, ``k M G T`` by 1000, as Kubernetes does; a trailing ``B`` changes nothing.

    Raises:
        ValueError: it is none of these or is negative.
    """
    match value:
        case bool():
            pass
        case int() if value >= 0:
            return value
        case str() if len(value) <= _LONGEST and re.fullmatch(SIZE, value, re.ASCII):
            number = value.rstrip("BKkMGTi")
            return round(float(number) * (_DECIMAL | _BINARY)[value.removeprefix(number).removesuffix("B")])
        case _:
            pass
    raise ValueError("not a size")


def cores(value: object) -> float:
    """A share of CPU in cores: ``"250m"`` is 0.25, ``"2"``, ``1.5``.

    Raises:
        ValueError: it is none of these, is negative or is not finite.
    """
    match value:
        case bool():
            pass
        case int() | float() if value >= 0 and math.isfinite(value):
            return float(value)
        case str() if len(value) <= _LONGEST and re.fullmatch(CPU, value, re.ASCII):
            return int(value[:-1]) / 1000 if value.endswith("m") else float(value)
        case _:
            pass
    raise ValueError("not an amount of CPU")


def _unit(
    parse: Callable[[object], float], schema: dict[str, object], *, what: str, low: float, high: float, span: str
) -> tuple[BeforeValidator, WithJsonSchema]:
    """Reader and JSON Schema of a number with a unit between ``low`` and ``high``."""

    def check(value: Any) -> float:
        try:
            number = parse(value)
        except (ValueError, OverflowError):
            raise PydanticCustomError("unit", "is not {expected}", {"expected": what}) from None
        if not low <= number <= high:
            raise PydanticCustomError("unit_range", "is out of range", {"expected": f"{what}, {span}"})
        return number

    return BeforeValidator(check), WithJsonSchema(schema)


_LENGTH: Final = {"anyOf": [{"type": "string", "pattern": DURATION, "maxLength": 40}, {"type": "number", "minimum": 0}]}
_BYTES: Final = {"anyOf": [{"type": "string", "pattern": SIZE, "maxLength": 40}, {"type": "integer", "minimum": 0}]}
_CORES: Final = {"anyOf": [{"type": "string", "pattern": CPU, "maxLength": 40}, {"type": "number", "minimum": 0}]}
_A_DURATION: Final = 'a duration such as "30s", "1m30s" or a number of seconds'

Duration = Annotated[
    float,
    *_unit(seconds, _LENGTH, what=_A_DURATION, low=0.001, high=86400 * 7, span="between 1ms and 7d"),
]
"""Seconds, more than nothing, a week at most."""

Delay = Annotated[
    float,
    *_unit(seconds, _LENGTH, what=_A_DURATION, low=0.0, high=86400, span="between 0 and 1d"),
]
"""Seconds, may be nothing, a day at most."""

Size = Annotated[
    int,
    *_unit(size, _BYTES, what='a size such as "512Mi" or "2Gi"', low=2**20, high=2**50, span="between 1Mi and 1024Ti"),
]
"""Bytes."""

Body = Annotated[
    int,
    *_unit(size, _BYTES, what='a size such as "512KiB" or "4MiB"', low=2**10, high=2**30, span="between 1Ki and 1Gi"),
]
"""Bytes of a message: from a kibibyte to a gibibyte."""

Cpu = Annotated[
    float,
    *_unit(
        cores, _CORES, what='an amount of CPU such as "250m" or 1.5', low=0.01, high=1024, span="between 10m and 1024"
    ),
]
"""Cores."""
