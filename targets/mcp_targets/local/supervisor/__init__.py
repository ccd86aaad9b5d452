"""Keeps one deployment's server running. Copied beside the deployment and run there, by a bare interpreter.

It holds the listening socket and hands it to the server it starts, so that a new server takes over while the old one
finishes what it has, and no connection is refused in between. What it should run stands in ``want.json``; what it
does stands in ``state.json``; SIGHUP tells it to look again. Its own life is the flock on ``supervisor.lock``.

    want.json   {"schema": 1, "generation": 7, "slots": {"server": SPEC | null, "candidate": SPEC | null}}
    SPEC        {"revision", "argv": [...], "host", "port" (0: private only), "ready": "/healthz", "env": {...},
                 "log", "log_bytes", "log_files", "start_seconds", "stop_seconds", "fields": {...}}
    state.json  {"schema": 1, "pid", "birth", "since", "generation", "slots": {NAME: SLOT}}
    SLOT        {"revision", "state": "starting|running|crashed|failed|stopped", "pid", "birth", "since", "port",
                 "private_port", "restarts", "error", "failed", "exit", "lines", "yielding", "going", "coming",
                 "fields", "spec" (of what runs), "public_fd" (the listening socket's number in it)}

``exit`` and ``lines`` tell how the last server that died ended and what it wrote last.
``failed`` holds the revision that did not become ready, ``error`` says why; an older one, if there was one, goes on
serving and is what the rest of the slot describes. ``yielding`` counts servers that were told to stop and still
take new connections: only at 0 has every client moved.

A supervisor that is killed leaves its server, which goes on serving. The next one takes that on: it is given a copy of
the listening socket where the system allows it, starts a server of its own on it, and only then ends the one it found.
Where it is not allowed to, the server must go before the port can be had again: clients are kept waiting for the next
one from the moment the port is free, and those who come in the moment before are refused.

Standard library only: nothing else is there to import.
"""
