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

    def document(self) -> dict[str, str]:
        """The problem as a line of the log has it."""
        record = {"level": "error", "msg": self.what, "fix": self.fix}
        return record if self.traceback is None else {**record, "traceback": self.traceback}

    def report(self) -> None:
        """Write the problem to standard error as one line of JSON."""
        sys.stderr.write(json.dumps(self.document(), ensure_ascii=False) + "\n")
        sys.stderr.flush()
