"""Tests of the dashboard and the alert rules that are made from a contract."""
