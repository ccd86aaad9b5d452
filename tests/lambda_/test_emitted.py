"""The files that make a function without mcp-pack, held property by property against what a deploy sends."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from botocore.client import BaseClient

from mcp_packager.bundle.entries import Bundle, inline
from mcp_packager.manifest import Manifest
from mcp_packager.target import (
    Action,
    Artifact,
    BuildInput,
    DesiredInput,
    Key,
    Ref,
    Resource,
    Step,
    WorldInput,
    base_config,
    identity_of,
)
from mcp_packager.target.values import Generated, resolve
from mcp_targets.aws_lambda import alone, building, cloudformation, image, terraform
from mcp_targets.aws_lambda.world import LambdaWorld
from tests import real_parts
from tests.lambda_.configured import configured
from tests.lambda_.doors import listener
from tests.lambda_.emitted import NOTHING, Calls, called, differing, templated
from tests.lambda_.fake import running
from tests.lambda_.test_render import ACCOUNT, BEARER, DIGEST, PLATFORM, REGION, TARGET, UNDONE, written
from tests.sampling import sampled, whole

SECRETS = """
[secrets.A]
from = "env:A"
[secrets.B]
from = "aws-sm:prod/b"
[[permissions.aws]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::notes/*"]
[env]
LEVEL = "${high}"
"""
NETWORK = f"""
dead_letters = "arn:aws:sqs:{REGION}:{ACCOUNT}:failed"
boundary = "arn:aws:iam::{ACCOUNT}:policy/bound"
storage = "1Gi"
[target.lambda.vpc]
subnets = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
security_groups = ["sg-0a1b2c3d"]
[target.lambda.concurrency]
reserved = 7
provisioned = 2
"""
ALARMS = f'alarms = true\nalarm_actions = ["arn:aws:sns:{REGION}:{ACCOUNT}:told"]'
BALANCED = 'front = "alb"\n[target.lambda.alb]\nlistener = "LISTENER"\npriority = 9\n'
PUBLIC = f'[serve]\npublic_url = "https://tools.example.com"\n{BEARER}'
A_LISTENER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
CASES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "as it comes": ("", ""),
        "open to everybody, streaming": ("streaming = true\nsnap_start = true", BEARER),
        "in a network": (NETWORK, SECRETS),
        "behind an HTTP API, with alarms": (f'front = "http-api"\n{ALARMS}', SECRETS),
        "behind a load balancer": (BALANCED, PUBLIC),
        "x86_64, by steps": ('architecture = "x86_64"\nstrategy = "canary"\nretention = 7', ""),
        "an image": ('package = "image"\nstreaming = true\nmemory = "2Gi"', SECRETS),
    }
)
IN_CONFIG = "CreateFunction > Environment > Variables > MCP_TOOL_CONFIG_DATA > serve > "
RIGHTS = "PutRolePolicy > PolicyDocument > "
OTHERWISE: Mapping[str, str] = MappingProxyType(
    {
        f"{IN_CONFIG}state_keys": "a secret that AWS makes, in the place of a key that the deploy makes",
        f"{IN_CONFIG}probe": "nobody asks with a probe",
        f"{IN_CONFIG}probe > audience": "the same",
        f"{IN_CONFIG}probe > key > aws-ssm": "the same",
        f"{RIGHTS}secretsmanager:GetSecretValue": "the secret with that key is read",
        f"{RIGHTS}ssm:GetParameters": "the deploy's own keys are not there",
        f"{RIGHTS}secretsmanager:BatchGetSecretValue": "with that key two secrets are read at once, where it was one",
    }
)
"""In what the files and the calls may differ, with the reason."""
UNLOGGED = frozenset({("cloudformation", "CKV_AWS_95"), ("terraform_json", "CKV_AWS_76")})
"""Checks of checkov for an API's own access log: the function's log has a line for each request already."""
OF_AN_IMAGE: Mapping[str, str] = MappingProxyType(
    {"PublishVersion > CodeSha256": "the variable takes that digest alone"}
)
"""In what Terraform's file for an image may differ beside that."""


@dataclass(frozen=True)
class Case:
    """What a deploy of one tool sent, and what its files say."""

    name: str
    calls: Calls
    template: Mapping[str, Any]
    configuration: Mapping[str, Any]


def deployed(resources: Sequence[Resource], world: LambdaWorld) -> None:
    """Make each resource in the fake of AWS, in the order in which they stand, which is that of their needs."""
    there: dict[Key, Mapping[str, Any]] = {}
    for one in resources:

        def known(leaf: Ref | Generated) -> Any:
            return there[leaf.resource][leaf.field] if isinstance(leaf, Ref) else leaf

        resource = replace(one, fields={name: resolve(value, known) for name, value in one.fields.items()})
        if one.kind == image.KIND:
            # The registry of the fake takes no images; that they are put there is held elsewhere.
            there[one.key] = {"uri": f"{resource.fields['repository']}@{resource.fields['digest']}"}
        else:
            there[one.key] = world.apply(Step(Action.CREATE, one.key, resource, None))


@pytest.fixture(scope="module", params=sampled(list(CASES), 3, of="what makes a function without us"))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """One tool of :data:`CASES`."""
    folder = tmp_path_factory.mktemp("emitted")
    options, more = CASES[request.param]
    raw: list[tuple[str, Mapping[str, Any]]] = []
    make = BaseClient._make_api_call

    def record(self: Any, operation: str, arguments: Mapping[str, Any]) -> Any:
        sent = copy.deepcopy(dict(arguments))  # boto3 puts what it needs itself into the arguments
        answer = make(self, operation, arguments)
        raw.append((operation, sent))
        return answer

    with running(tmp_path_factory.mktemp("aws"), slow=0, shy=0) as cloud, pytest.MonkeyPatch.context() as patch:
        for name, value in {**cloud.environ, "A": "a", "KEY": "k"}.items():
            patch.setenv(name, value)
        manifest, artifact, output = made(folder, options.replace("LISTENER", listener(cloud)), more)
        config = base_config(manifest, "lambda", TARGET.exposure(manifest, manifest.targets["lambda"]))
        chosen, identity = manifest.targets["lambda"], identity_of(manifest)
        wanted = TARGET.desired(DesiredInput(manifest, chosen, identity, artifact, config))
        inputs = WorldInput(identity, chosen, manifest, artifact, output=output, environ=dict(os.environ))
        patch.setattr(BaseClient, "_make_api_call", record)
        deployed(wanted, LambdaWorld(inputs))
    return Case(request.param, called(raw), *files(manifest, artifact))


def files(manifest: Manifest, artifact: Artifact) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The template, and Terraform's file."""
    without = alone.alone(manifest, manifest.targets["lambda"], artifact, "lambda")
    both = cloudformation.template(without, artifact, REGION), terraform.configuration(without, artifact, REGION)
    template, configuration = json.loads(json.dumps(both))
    return template, configuration


def made(folder: Path, options: str, more: str) -> tuple[Manifest, Artifact, Path]:
    """A manifest, its artifact, and the artifact's folder."""
    manifest = written(folder / "project", options, more)
    chosen, output = manifest.targets["lambda"], folder / "out"
    output.mkdir()
    if image.is_image(chosen):
        facts = {"architecture": chosen.architecture, "reference": "registry/notes:1.2.3-abc"}
        return (
            manifest,
            Artifact("lambda", "image", "notes", "1.2.3", DIGEST, 1000, "c" * 64, "image", facts=facts),
            output,
        )
    bundle = Bundle((inline("app/notes.py", b"pass\n"),), PLATFORM, None)
    return manifest, TARGET.build(BuildInput(manifest, chosen, {PLATFORM: bundle}, {"hash": "c" * 64}, output)), output


def test_the_template_is_what_a_deploy_sends(case: Case) -> None:
    judge(case, templated(case.template), OTHERWISE)


def test_terraform_s_file_is_what_a_deploy_sends(case: Case) -> None:
    judge(case, configured(case.configuration), {**OTHERWISE, **(OF_AN_IMAGE if case.name == "an image" else {})})


def judge(case: Case, other: Calls, otherwise: Mapping[str, str]) -> None:
    """Hold two against each other: in what they differ is named, and of rights what makes the difference."""
    found = differing(case.calls, other)
    assert set(found) <= set(otherwise), {path: pair for path, pair in found.items() if path not in otherwise}
    assert f"{IN_CONFIG}state_keys" in found
    read, reads = found[f"{RIGHTS}ssm:GetParameters"]
    assert [one for one in read if "/keys/" not in one] == ([] if reads == NOTHING else reads)
    secret, secrets = found[f"{RIGHTS}secretsmanager:GetSecretValue"]
    assert [one for one in secrets if "/state-key-" not in one] == ([] if secret == NOTHING else secret)


def test_a_zip_that_is_too_large_to_be_sent_comes_out_of_s3(tmp_path: Path) -> None:
    manifest, artifact, _ = made(tmp_path, 'bucket = "code-of-tools"', "")
    large = replace(artifact, facts={**artifact.facts, "through_s3": True})
    _, configuration = files(manifest, large)
    found = configuration["resource"]["aws_lambda_function"]["tool"]
    assert (found["s3_bucket"], found["s3_key"]) == ("${var.code_bucket}", "${var.code_key}")
    assert "filename" not in found
    assert set(configuration["variable"]) == {"code_bucket", "code_key"}
    configured(configuration)


def without_us(folder: Path, name: str) -> Path:
    """A folder with the files of one of :data:`CASES`."""
    manifest, artifact, output = made(folder, *(each.replace("LISTENER", A_LISTENER) for each in CASES[name]))
    template, configuration = files(manifest, artifact)
    (output / building.TEMPLATE).write_text(json.dumps(template))
    (output / building.TERRAFORM).write_text(json.dumps(configuration))
    return output


@pytest.mark.real("cfn-lint")
@pytest.mark.parametrize("name", sampled(list(CASES), 2, of="templates for the linter"))
def test_the_linter_finds_nothing(tmp_path: Path, name: str) -> None:
    template = without_us(tmp_path, name) / building.TEMPLATE
    line = [str(real_parts.checker("cfn-lint")), "--regions", REGION, "--", str(template)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.real("sam")
@pytest.mark.parametrize("name", sampled(list(CASES), 1, of="templates for SAM"))
def test_sam_takes_the_template(tmp_path: Path, name: str) -> None:
    template = without_us(tmp_path, name) / building.TEMPLATE
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0"}
    line = [str(real_parts.checker("sam")), "validate", "--lint", "--region", REGION, "--template", str(template)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout


@pytest.mark.real("sam")
@pytest.mark.skipif(not whole(), reason="that its yes says something is held in the whole run")
def test_sam_would_see_what_is_wrong(tmp_path: Path) -> None:
    template = without_us(tmp_path, "as it comes") / building.TEMPLATE
    template.write_text(template.read_text().replace('"MemorySize": 512', '"MemorySize": 64'))
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0"}
    line = [str(real_parts.checker("sam")), "validate", "--lint", "--region", REGION, "--template", str(template)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1
    assert "64" in done.stdout + done.stderr


@pytest.mark.real("checkov")
@pytest.mark.skipif(not whole(), reason="the zip's files are held to it each time; those of others in the whole run")
@pytest.mark.parametrize("name", ["an image", "behind an HTTP API, with alarms", "behind a load balancer"])
def test_nothing_fails_of_others_that_has_no_reason(tmp_path: Path, name: str) -> None:
    output = without_us(tmp_path, name)
    line = [str(real_parts.checker("checkov")), "--compact", "--quiet", "--skip-download", "--output", "json"]
    named = [part for name in (building.TEMPLATE, building.TERRAFORM) for part in ("--file", name)]
    done = subprocess.run([*line, *named], cwd=output, capture_output=True, text=True, check=False)
    found = {
        (report["check_type"], failed["check_id"])
        for report in json.loads(done.stdout)
        for failed in report["results"]["failed_checks"]
    }
    assert found <= {(kind, check) for check, kinds in UNDONE.items() for kind in kinds} | UNLOGGED
