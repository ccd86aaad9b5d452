"""Tests of the client settings."""
