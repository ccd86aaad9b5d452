"""A deployer of a tool whose zip says one word, without any bundle: for tests that invoke nothing."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcp_packager import engine
from mcp_packager.manifest import Manifest, load
from mcp_packager.target import (
    Artifact,
    DesiredInput,
    Endpoint,
    Intent,
    Verification,
    WorldInput,
    base_config,
    identity_of,
)
from mcp_targets.aws_lambda import target
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.world import LambdaWorld
from tests.lambda_.fake import ACCOUNT, REGION, Cloud, running


@contextlib.contextmanager
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, slow: int = 0, **more: str) -> Iterator[Cloud]:
    """An account that this process's clients reach, and more in the environment; `slow` as the fake takes it."""
    folder = tmp_path / "aws"
    folder.mkdir()
    with running(folder, slow=slow, shy=0) as made:
        for name, value in {**made.environ, **more}.items():
            monkeypatch.setenv(name, value)
        yield made


def function(cloud: Cloud) -> Any:
    """The one function of an account."""
    (found,) = cloud.account.functions.values()
    return found


@dataclass
class Deployer:
    """Deploys a tool whose zip says a word; verification is a function of the test's."""

    folder: Path
    verify: Callable[[Endpoint, Intent], Verification] = lambda *_: Verification(("looked at",))

    def manifest(self, options: str = "", more: str = "") -> Manifest:
        text = (
            '[tool]\nname = "notes"\nversion = "1.2.3"\nentrypoint = "notes"\n'
            f'{more}[target.lambda]\nregion = "{REGION}"\naccount = "{ACCOUNT}"\n{options}'
        )
        (self.folder / "mcp-tool.toml").write_text(text)
        return load(self.folder, options={"lambda": Options})

    def built(self, word: str) -> Artifact:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr(zipfile.ZipInfo("mcp_handler.py"), f"SAYS = {word!r}\n")
        output = self.folder / "dist" / "lambda"
        output.mkdir(parents=True, exist_ok=True)
        (output / "function.zip").write_bytes(made.getvalue())
        digest = hashlib.sha256(made.getvalue()).hexdigest()
        facts = {"architecture": "arm64", "runtime": "python3.13"}
        return Artifact(
            "lambda", "zip", "notes", "1.2.3", f"sha256:{digest}", len(made.getvalue()), "c" * 64, facts=facts
        )

    def intent(self, manifest: Manifest, word: str) -> Intent:
        options, artifact = manifest.targets["lambda"], self.built(word)
        config = base_config(manifest, "lambda", target.exposure(manifest, options))
        made = target.desired(DesiredInput(manifest, options, identity_of(manifest), artifact, config))
        return Intent(identity_of(manifest), "lambda", artifact, config, {"hash": "c" * 64}, made)

    def world(self, manifest: Manifest, **environ: str) -> LambdaWorld:
        options = manifest.targets["lambda"]
        return target.world(WorldInput(identity_of(manifest), options, manifest, environ=environ))

    def deploy(self, manifest: Manifest, word: str = "one", **environ: str) -> engine.Deployed:
        return engine.deploy(self.intent(manifest, word), self.world(manifest, **environ), verify=self.verify)
