"""The one signal that printing sends upwards. Alone in its module, so that ``--help`` loads nothing else."""

from __future__ import annotations


class ReaderGoneError(Exception):
    """Whoever read standard output closed it. Not an ``OSError``, so that no service's error is taken for it."""
