"""What the target kubernetes says of a manifest before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_packager.manifest import load
from mcp_packager.manifest.schema import portable_keys
from mcp_packager.target import Exposure, Level
from mcp_targets.kubernetes import target
from mcp_targets.kubernetes.options import Options
from tests.targets.kube.samples import SAMPLES

TOOL = '[tool]\nname = "shop"\nentrypoint = "shop"\n'
REGISTRY = '[target.kubernetes]\nregistry = "registry.example.com/team"\n'
INGRESS = f'{REGISTRY}host = "shop.example.com"\nclass = "nginx"\n'


def told(folder: Path, text: str) -> dict[str, str]:
    """What is wrong, by key."""
    (folder / "mcp-tool.toml").write_text(text if "[tool]" in text else TOOL + text)
    manifest = load(folder, options={"kubernetes": Options})
    problems = target.check(manifest, manifest.targets.get("kubernetes", Options()))
    return {problem.where.key or "": problem.what for problem in problems}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_right_has_no_problem(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, SAMPLES[name]) == {}


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ("", "target.kubernetes.registry", "no place to get the image from"),
        (f'{REGISTRY}host = "a.example"\n', "target.kubernetes.host", "nothing lets clients in at a.example"),
        (f'{INGRESS}gateway = "a/b"\n', "target.kubernetes.gateway", "by a class or by a gateway"),
        (f'{REGISTRY}class = "nginx"\n', "target.kubernetes.class", "there is none"),
        (f'{REGISTRY}path = "/a"\n', "target.kubernetes.path", "there is none"),
        (f'{REGISTRY}cluster = "dev"\n', "target.kubernetes.cluster", "that images are loaded into"),
        (f'{REGISTRY}tls = "cert"\n', "target.kubernetes.tls", "there is none"),
        (f'{REGISTRY}issuer = "ca"\n', "target.kubernetes.issuer", "there is none"),
        (f'{INGRESS}https = false\ntls = "cert"\n', "target.kubernetes.https", "told not to use it"),
        (
            '[target.kubernetes]\nload = "kind"\narchitectures = ["amd64", "arm64"]\n',
            "target.kubernetes.load",
            "of one processor",
        ),
        (f'{REGISTRY}namespace = "kube-system"\n', "target.kubernetes.namespace", "not made for one tool"),
        (f'{REGISTRY}namespace = "default"\n', "target.kubernetes.namespace", "not made for one tool"),
        (f'{REGISTRY}context = "b"\n[pin]\nkube_context = "a"\n', "target.kubernetes.context", "context a alone"),
        (f'{REGISTRY}[secrets.A]\nfrom = "aws-sm:a"\n', "secrets.A.from", "cannot read the secret A from aws-sm"),
        (f'{REGISTRY}[secrets.A]\nfrom = "k8s:other/a/b"\n', "secrets.A.from", "from the namespace other"),
        (f'{REGISTRY}[services.db]\nexternal = "localhost:1"\n', "services.db.external", "the Pod itself"),
        (f'{REGISTRY}[services.db]\nexternal = "[::1]:1"\n', "services.db.external", "the Pod itself"),
        (f"{REGISTRY}[scale]\nmin = 0\nmax = 2\n", "scale.min", "nothing would start the first copy"),
        (f"{REGISTRY}[serve.metrics]\nport = 8000\n", "serve.metrics.port", "where the tool itself is"),
        (f'{REGISTRY}[secrets.R]\n[serve]\nevents = "env:R"\n', "serve.events", "cannot open the way to the Redis"),
        (f"{REGISTRY}[serve.metrics]\nport = 80\n", "serve.metrics.port", "where the tool itself is"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, text: str, key: str, what: str) -> None:
    problems = told(tmp_path, text)
    assert what in problems.get(key, ""), problems
    assert len(problems) == 1


@pytest.mark.parametrize(
    "text",
    [
        f'{REGISTRY}create_namespace = false\nnamespace = "default"\n',
        f'{REGISTRY}secret_store = "aws"\n[secrets.A]\nfrom = "aws-ssm:/team/a"\n',
        f'{REGISTRY}[secrets.A]\nfrom = "k8s:mcp-tools/a/b"\n',
        f'{REGISTRY}[services.db]\nexternal = "localhost:1"\nimage = "redis"\nports = [6379]\n',
        f'{REGISTRY}context = "a"\n[pin]\nkube_context = "a"\n',
        '[target.kubernetes]\nload = "k3s"\n',
        f'{REGISTRY}[secrets.R]\n[serve]\nevents = "env:R"\n[[permissions.egress]]\ncidr = "10.0.0.0/8"\n',
    ],
)
def test_what_looks_alike_and_is_right_is_taken(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text) == {}


@pytest.mark.parametrize(
    ("text", "exposure"),
    [
        (REGISTRY, Exposure.NETWORK),
        (INGRESS, Exposure.INTERNET),
        (f"{INGRESS}internal = true\n", Exposure.NETWORK),
        (f'{REGISTRY}[serve]\npublic_url = "https://shop.example.com"\n', Exposure.INTERNET),
    ],
)
def test_who_can_reach_it_decides_who_is_asked(tmp_path: Path, text: str, exposure: Exposure) -> None:
    (tmp_path / "mcp-tool.toml").write_text(TOOL + text)
    manifest = load(tmp_path, options={"kubernetes": Options})
    assert target.exposure(manifest, manifest.targets["kubernetes"]) is exposure


def test_every_portable_key_has_a_word() -> None:
    support = target.about.support
    assert set(support) == set(portable_keys())
    assert not [key for key, said in support.items() if said.level is Level.MAPS and not said.word]
