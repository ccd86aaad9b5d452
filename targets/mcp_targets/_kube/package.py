"""The ``kubernetes`` package, loaded when it is first needed, by one thread.

Its modules import each other: a second thread that comes meanwhile would find half of one.
"""

from __future__ import annotations

import threading
from typing import Any

_LOADING = threading.Lock()


def loaded() -> Any:
    """The package with ``client`` and ``config``; its functions carry few types."""
    with _LOADING:
        import kubernetes.client
        import kubernetes.config

        return kubernetes
