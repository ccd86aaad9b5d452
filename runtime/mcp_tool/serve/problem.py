"""A start that cannot go on, told in one line: what is wrong, and how to mend it."""

import json
import sys


class StartProblem(Exception):  # noqa: N818 - named for what the reader sees: a problem with its fix
    """The server cannot start.

    Attributes:
        what: What is wrong, in one sentence, without any secret value.
        fix: What to do about it.
        traceback: The author's own frames, where it was their code that failed.
    """

    def __init__(self, what: str, fix: str, traceback: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.traceback = traceback

    def report(self) -> None:
        """Write the problem to standard error as one line of JSON."""
        record = {"level": "error", "msg": self.what, "fix": self.fix}
        if self.traceback is not None:
            record["traceback"] = self.traceback
        sys.stderr.write(json.dumps(record, ensure_ascii=False) + "\n")
        sys.stderr.flush()
