"""A target in a distribution of its own: it uses the target SDK and nothing else of the packager."""

from .target import ShedTarget

target = ShedTarget()

__all__ = ["target"]
