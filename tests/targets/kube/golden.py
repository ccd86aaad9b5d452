"""The objects of each sample as they were last looked at. ``python -m tests.targets.kube.golden`` writes them anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mcp_packager.yaml import yaml_text
from tests.targets.kube.samples import SAMPLES, made

FOLDER = Path(__file__).parent / "golden"


def text(name: str, folder: Path) -> str:
    """Everything that is made of a sample, one object after another, the candidate last."""
    found = made(folder, SAMPLES[name])
    candidate = next(item.fields["object"] for item in found.resources if item.kind == "candidate")
    labels = {key: value for key, value in candidate["metadata"]["labels"].items() if "instance" in key}
    told = yaml_text({"candidate": candidate["metadata"]["name"], "labels": labels})
    return "---\n".join([*(yaml_text(item) for item in found.objects), told])


if __name__ == "__main__":
    for sample in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            (FOLDER / f"{sample}.yaml").write_text(text(sample, Path(folder)), encoding="utf-8")
