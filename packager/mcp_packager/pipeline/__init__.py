"""The stories behind the commands: each takes a frozen request and returns frozen results.

Import the module of the story you need (``pipeline.build``, ``pipeline.deploy``, …); this package
imports nothing by itself, so that a command pays only for what it uses.
"""
