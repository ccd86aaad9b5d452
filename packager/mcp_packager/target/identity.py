"""One function makes every name, so that what a lost answer created is found again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alphabet:
    """What a platform allows in a name: at most ``length`` characters of a-z, 0-9 and ``separator``."""

    length: int = 63
    separator: str = "-"
    upper: bool = False


DNS = Alphabet(63)
"""An RFC 1123 label, as Kubernetes and Docker host names want it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a resource is: the project's id, the tool and the stage."""

    project: str
    tool: str
    stage: str = "default"

    def name(self, *parts: str, alphabet: Alphabet = DNS) -> str:
        """A name for this deployment, or for a part of it, within the alphabet.

        The name is readable and ends in a short hash over the exact identity and parts, so that two identities
        that look alike after clean-up or cutting never share one.
        """
        exact = (self.project, self.tool, self.stage, *parts)
        mark = hashlib.sha256("\0".join(exact).encode()).hexdigest()[:8]
        words = [self.tool, *([] if self.stage == "default" else [self.stage]), *parts]
        if self.project != self.tool:
            words.insert(0, self.project)
        plain = alphabet.separator.join(_clean(word, alphabet) for word in words)
        room = alphabet.length - len(mark) - 1
        head = plain[:room].strip(alphabet.separator) or "t"
        if not head[0].isalpha():
            head = f"t{head}"[:room]
        return f"{head}{alphabet.separator}{mark}"

    @property
    def audience(self) -> str:
        """Which deployment a probe token is for: ``project/tool/stage``."""
        return f"{self.project}/{self.tool}/{self.stage}"

    def labels(self) -> dict[str, str]:
        """What proves ownership, as labels or tags. Nothing without them is adopted or deleted."""
        return {"mcp-pack/project": self.project, "mcp-pack/tool": self.tool, "mcp-pack/stage": self.stage}

    def as_json(self) -> dict[str, str]:
        """Plain data, for release records."""
        return {"project": self.project, "tool": self.tool, "stage": self.stage}

    def __str__(self) -> str:
        return (
            f"{self.tool} ({self.stage})" if self.project == self.tool else f"{self.project}/{self.tool} ({self.stage})"
        )


def _clean(word: str, alphabet: Alphabet) -> str:
    plain = word if alphabet.upper else word.lower()
    allowed = "a-zA-Z0-9" if alphabet.upper else "a-z0-9"
    return re.sub(f"[^{allowed}]+", alphabet.separator, plain).strip(alphabet.separator)
