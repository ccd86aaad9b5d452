"""Broken pipes told apart. Alone in its module, so that ``--help`` loads nothing else."""

from __future__ import annotations


class ReaderGoneError(Exception):
    """Whoever read standard output closed it. Not an ``OSError``, so that no service's error is taken for it."""


class ServicePipeError(Exception):
    """A pipe or socket broke inside the work of a command: a fault, where standard output's would be none."""
