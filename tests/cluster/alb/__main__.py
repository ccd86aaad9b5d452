"""``python -m tests.cluster.alb FOLDER KUBECONFIG NGINX``: the load balancers, until standard input ends."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from tests.cluster.alb import gates
from tests.cluster.alb.controller import Controller
from tests.cluster.alb.front import Front
from tests.cluster.alb.model import Object
from tests.cluster.api import Api, ApiError


def main(place: Path, kubeconfig: Path, nginx: Path) -> None:
    """Serve, say ``up``, and end with standard input."""
    api, front = Api(kubeconfig), Front(nginx, place)
    front.start()
    try:
        controller = Controller(api, front, place)
        webhook = gates.serve(place, controller.gates)
        _install(api, gates.configuration((place / "ca.crt").read_bytes()))
        controller.turn()
        print("up", flush=True)
        threading.Thread(target=controller.run, daemon=True).start()
        sys.stdin.read()
        webhook.shutdown()
    finally:
        front.stop()


def _install(api: Api, configuration: Object) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    try:
        api.delete(f"{path}/{configuration['metadata']['name']}")
    except ApiError as error:
        if error.status != 404:
            raise
    api.post(path, configuration)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # A terminal's Ctrl-C is for the tests; this ends when they have.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(*map(Path, sys.argv[1:]))
