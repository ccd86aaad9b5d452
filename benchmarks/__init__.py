"""Measures what the project claims. ``make bench``, or ``python -m benchmarks [--quick] [ROW …]``."""
