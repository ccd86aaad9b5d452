"""Fetch web pages as text, with limits on where, how long and how much."""
