"""Signatures by identity: what cosign is asked to sign and to verify, and what is made of its answers.

Sigstore's public service is not asked. A program called cosign stands for it: it notes down what it is asked, and has
the real cosign do the same with a key, so that what goes into the registry and what is read of it are cosign's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_packager.cli.main import run
from mcp_packager.errors import UserError, WorldError
from mcp_packager.image import attach, identity
from mcp_packager.image.identity import Named, Signing, signing_commands, subjects_of, verifying_commands
from mcp_packager.image.ingredients import Source
from mcp_packager.image.signing import IDENTITY
from mcp_packager.image.verifying import verify
from mcp_packager.store import Store
from tests import real_parts
from tests.image.attached import COMMIT, ingredients, pair, pushed
from tests.image.referring import KINDS, either
from tests.image.registries import registry
from tests.image.shelf import EVERY, failures, results

ME = Named("release@example.org", "https://accounts.example.org")
IMAGE = f"registry.example.org/team/words@sha256:{'a' * 64}"

_STANDS_FOR_SIGSTORE = """\
#!{python}
import json, os, sys
asked = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps([*asked, os.environ.get("SIGSTORE_ID_TOKEN")]) + "\\n")
if os.environ.get("SIGSTORE_ID_TOKEN") == "refused":
    sys.exit("Error: signing: getting signer: no provider found for that token\\nand a line more")
offline = ["--key", {private!r}, "--tlog-upload=false", "--use-signing-config=false"]
if asked[0].startswith("verify"):
    offline = ["--key", {public!r}, "--insecure-ignore-tlog=true"]
    for name, wanted in (("--certificate-identity", {identity!r}), ("--certificate-oidc-issuer", {issuer!r})):
        place = asked.index(name)
        if asked[place + 1] != wanted:
            sys.exit("Error: no matching signatures: none of the expected identities matched")
        del asked[place : place + 2]
os.execv({cosign!r}, ["cosign", *asked, *offline])
"""

pytestmark = pytest.mark.usefixtures("alone")


def asked(folder: Path) -> list[list[str]]:
    """What the program was asked, with the token that it found at the end."""
    log = folder / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where `cosign` is the program that stands for sigstore; this process has it too."""
    keys, cosign = pair(tmp_path), str(real_parts.PARTS["cosign"]())
    monkeypatch.setenv("COSIGN_PASSWORD", "of the key")
    imported = str(tmp_path / "imported")
    subprocess.run(
        [cosign, "import-key-pair", "--key", str(keys.private), "--output-key-prefix", imported],
        check=True,
        capture_output=True,
    )
    program = tmp_path / "bin" / "cosign"
    program.parent.mkdir()
    text = _STANDS_FOR_SIGSTORE.format(
        python=sys.executable,
        log=str(tmp_path / "log"),
        private=f"{imported}.key",
        public=str(keys.public),
        identity=ME.identity,
        issuer=ME.issuer,
        cosign=cosign,
    )
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return {**os.environ}


def test_what_cosign_is_asked() -> None:
    files = [Path("/tmp/bill"), Path("/tmp/origin")]
    assert signing_commands(IMAGE, files) == [
        ["sign", "--yes", IMAGE],
        ["attest", "--yes", "--type", "cyclonedx", "--predicate", "/tmp/bill", IMAGE],
        ["attest", "--yes", "--type", "slsaprovenance1", "--predicate", "/tmp/origin", IMAGE],
    ]
    who = ["--certificate-identity", ME.identity, "--certificate-oidc-issuer", ME.issuer]
    assert verifying_commands(IMAGE, ME) == [
        ["verify", *who, IMAGE],
        ["verify-attestation", "--type", "cyclonedx", *who, IMAGE],
        ["verify-attestation", "--type", "slsaprovenance1", *who, IMAGE],
    ]


@pytest.mark.real("cosign")
def test_cosign_has_every_option_of_it() -> None:
    files = [Path("bill"), Path("origin")]
    here = IMAGE.replace("registry.example.org", "127.0.0.1:5000")
    for command in (*signing_commands(here, files), *verifying_commands(here, ME)):
        options = [word for word in command if word.startswith("--")]
        assert {"--allow-http-registry", "--allow-insecure-registry"} <= set(options)
        done = subprocess.run(
            [real_parts.PARTS["cosign"](), command[0], "--help"], capture_output=True, text=True, check=True, timeout=60
        )
        for option in options:
            assert f"{option}=" in done.stdout or f"{option} " in done.stdout, option


@pytest.mark.real("cosign", "docker-registry", "referrers-registry")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_signed_by_identity_holds_for_that_one_alone(
    kind: str, environ: dict[str, str], store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with either(kind, tmp_path / "registry") as address:
        (one,), target = pushed(address, "team/known", store)
        made = ingredients(source=Source(COMMIT))
        attach([one], target, made, store=store)
        found = verify(target, named=ME, environ=environ)
        assert failures(found).keys() == {"sbom", "provenance", "signature"}
        signed = subjects_of([one], target, made)
        identity.sign(signed, Signing("cosign", "a-token-of-mine"), environ=environ, store=store, anew=True)
        found = verify(target, named=ME, require=EVERY, environ=environ)
        assert found.holds, found.findings
        assert "signed by the identity" in {item.about: item.said for item in found.findings}["sbom"]
        name, who = str(target), ["--identity", ME.identity, "--issuer", ME.issuer]
        assert run(["verify-image", name, *who, "--require", "sbom,provenance,signature"]) == 0
        assert f"by {ME.identity}, says cosign" in capsys.readouterr().out
        assert run(["verify-image", name, "--identity", "somebody@example.org", *who[2:]]) == 1
        assert "none of the expected identities matched" in capsys.readouterr().out
        assert results(verify(target, environ=environ))["sbom"] == "holds"  # as before, where nobody is named
    assert [words[-1] for words in asked(tmp_path) if words[0] in {"sign", "attest"}] == ["a-token-of-mine"] * 3


@pytest.mark.real("cosign", "docker-registry")
def test_it_is_signed_once(environ: dict[str, str], store: Store, tmp_path: Path) -> None:
    """Every signature is an entry in a public log."""
    with registry(tmp_path / "registry") as address:
        images, target = pushed(address, "team/both", store, "amd64", "arm64")
        made = ingredients("amd64", "arm64")
        signed, who = subjects_of(images, target, made), Signing("cosign")
        identity.sign(signed, who, environ=environ, store=store, anew=False)
        digests = [words[-2].partition("@")[2] for words in asked(tmp_path) if words[0] == "sign"]
        assert digests[:2] == [one.digest for one in images]
        assert len(digests) == 3  # and the index
        identity.sign(signed, who, environ=environ, store=store, anew=False)
        assert len(asked(tmp_path)) == 9
        identity.sign(signed[:1], who, environ=environ, store=store, anew=True)
        assert len(asked(tmp_path)) == 12
        with pytest.raises(WorldError) as refused:
            identity.sign(signed[:1], Signing("cosign", "refused"), environ=environ, store=store, anew=True)
        (problem,) = refused.value.problems
        assert problem.found == "Error: signing: getting signer: no provider found for that token"


def test_who_signs_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "cosign").touch(mode=0o755)
    environ = {"PATH": str(tmp_path), "MY_TOKEN": "of-this-job"}
    assert identity.configured(environ) is None
    ambient = identity.configured({**environ, IDENTITY: "ambient"})
    assert ambient == Signing(str(tmp_path / "cosign"))
    named = identity.configured({**environ, IDENTITY: "env:MY_TOKEN"})
    assert named == Signing(str(tmp_path / "cosign"), "of-this-job")
    assert "of-this-job" not in repr(named)
    for wrong in ("of-this-job", "env:NOT_SET"):
        with pytest.raises(UserError, match="names no token"):
            identity.configured({**environ, IDENTITY: wrong})
    with pytest.raises(UserError, match="need cosign"):
        identity.configured({IDENTITY: "ambient", "PATH": str(tmp_path / "none")})


def test_an_identity_is_asked_for_whole() -> None:
    assert run(["verify-image", IMAGE, "--identity", ME.identity]) == 2
    assert run(["verify-image", IMAGE, "--issuer", ME.issuer]) == 2
