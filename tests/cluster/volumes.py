"""Gives each claim of the default storage class a folder of this machine: what a provisioner would. Standard library.

Volumes are of the kind ``local``, which takes a Pod's ``fsGroup`` as disks in a cloud do. A claim that is deleted takes
its folder along.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.api import Api, ApiError

CLASS, PROVISIONER = "standard", "tests/folders"
_TURN = 0.3
_VOLUMES = "/api/v1/persistentvolumes"


def storage_class() -> dict[str, Any]:
    """The default storage class."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def provide(api: Api, folder: Path) -> None:
    """Serve claims with folders below ``folder``, for as long as the process lives."""
    while True:
        # The API server may not be up yet, and a claim may be gone: the next turn sees it anew.
        with contextlib.suppress(ApiError, OSError):
            _turn(api, folder)
        time.sleep(_TURN)


def _turn(api: Api, folder: Path) -> None:
    volumes = api.items(_VOLUMES)
    names = {volume["metadata"]["name"] for volume in volumes}
    for claim in api.items("/api/v1/persistentvolumeclaims"):
        name = f"folder-{claim['metadata']['uid']}"
        annotations = claim["metadata"].get("annotations", {})
        node = annotations.get("volume.kubernetes.io/selected-node")
        if claim["spec"].get("storageClassName") == CLASS and node and name not in names:
            place = folder / name
            place.mkdir(exist_ok=True)
            api.post(_VOLUMES, _volume(name, claim, node, place))
    for volume in volumes:
        if volume["spec"].get("storageClassName") == CLASS and volume["status"]["phase"] == "Released":
            name = volume["metadata"]["name"]
            shutil.rmtree(folder / name, ignore_errors=True)
            api.delete(f"{_VOLUMES}/{name}")


def _volume(name: str, claim: Mapping[str, Any], node: str, place: Path) -> dict[str, Any]:
    metadata = claim["metadata"]
    on_node = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "storageClassName": CLASS,
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {key: metadata[key] for key in ("namespace", "name", "uid")},
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": on_node}]}},
        },
    }
