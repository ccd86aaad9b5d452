"""What a function is made of, from a manifest alone, and the files that make the same without mcp-pack."""

from __future__ import annotations

import base64
import json
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from mcp_packager.bundle.entries import Bundle, inline
from mcp_packager.errors import UserError
from mcp_packager.manifest import Manifest, load
from mcp_packager.platforms import Platform
from mcp_packager.target import (
    Artifact,
    BuildInput,
    DesiredInput,
    Exposure,
    Key,
    Lifetime,
    Phase,
    Ref,
    Resource,
    base_config,
    identity_of,
)
from mcp_targets._aws import iam
from mcp_targets.aws_lambda import building, doors, render
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.settings import CONFIG, MOST_VARIABLES, packed
from mcp_targets.aws_lambda.support import SUPPORT
from mcp_targets.aws_lambda.target import LambdaTarget
from mcp_tool.config import parse
from tests import real_parts

ACCOUNT, REGION = "123456789012", "eu-central-1"
DIGEST = "sha256:" + "ab" * 32
LISTENER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:told"
PLATFORM = Platform("3.13", "aarch64-manylinux_2_34")
TARGET = LambdaTarget()
BEARER = '[serve.auth]\nmode = "bearer"\nkeys = ["KEY"]\n[secrets.KEY]\nfrom = "env:KEY"\n'


_BOTH = frozenset({"cloudformation", "terraform_json"})
_TERRAFORM = frozenset({"terraform_json"})
UNDONE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "CKV_AWS_115": _BOTH,  # reserving is an option: it takes from what the account's other functions may have
        "CKV_AWS_116": _BOTH,  # nothing invokes it asynchronously; dead_letters is there for whoever does
        "CKV_AWS_117": _BOTH,  # a network is an option: a tool that reaches nothing private needs none
        "CKV_AWS_149": _BOTH,  # AWS's own key encrypts it; a key of one's own costs, and nobody asked for it
        "CKV_AWS_158": _BOTH,  # the same
        "CKV_AWS_173": _BOTH,  # variables hold no secret, only where secrets stand
        "CKV_AWS_272": _TERRAFORM,  # signing takes a profile of the account's, which is somebody else's to make
        "CKV_AWS_338": _TERRAFORM,  # how long lines are kept is an option
        "CKV2_AWS_57": _TERRAFORM,  # the key seals questions that are minutes old; who wants a new one replaces it
    }
)
"""Checks of checkov that the files do not pass, in which of them, each with its reason."""


def written(folder: Path, options: str = "", more: str = "") -> Manifest:
    """The manifest of a tool; `options` are lines of `[target.lambda]`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(
        [
            '[tool]\nname = "notes"\nversion = "1.2.3"\nentrypoint = "notes"',
            more,
            f'[target.lambda]\nregion = "{REGION}"\naccount = "{ACCOUNT}"',
            options,
        ]
    )
    (folder / "mcp-tool.toml").write_text(text)
    return load(folder, options={"lambda": Options})


def desired(manifest: Manifest, digest: str = DIGEST) -> dict[Key, Resource]:
    """Everything that a deploy of it wants."""
    options = manifest.targets["lambda"]
    facts = {"architecture": "arm64", "runtime": "python3.13"}
    artifact = Artifact("lambda", "zip", "notes", "1.2.3", digest, 1000, "c" * 64, "function.zip", facts=facts)
    config = base_config(manifest, "lambda", TARGET.exposure(manifest, options))
    made = TARGET.desired(DesiredInput(manifest, options, identity_of(manifest), artifact, config))
    return {one.key: one for one in made}


def only(resources: Mapping[Key, Resource], kind: str) -> Resource:
    """The one resource of a kind."""
    (found,) = [one for key, one in resources.items() if key.kind == kind]
    return found


def statements(resources: Mapping[Key, Resource]) -> dict[str, list[str]]:
    """By action, on what."""
    found: dict[str, list[str]] = {}
    for one in only(resources, iam.POLICY_KIND).fields["document"]["Statement"]:
        for action in one["Action"]:
            found.setdefault(action, []).extend(one["Resource"])
    return found


def problems(folder: Path, options: str = "", more: str = "") -> list[str]:
    manifest = written(folder, options, more)
    return [problem.what for problem in TARGET.check(manifest, manifest.targets["lambda"])]


class TestResources:
    def test_the_new_version_runs_before_the_alias_moves(self, tmp_path: Path) -> None:
        made = desired(written(tmp_path))
        version, alias = only(made, render.VERSION), only(made, render.ALIAS)
        assert (version.phase, version.lifetime) == (Phase.CANDIDATE, Lifetime.RELEASE)
        assert alias.phase is Phase.SWITCH
        assert alias.fields["FunctionVersion"] == Ref(version.key, "number")
        assert only(made, render.FUNCTION).key in version.needs

    def test_the_same_again_is_the_same_version_and_other_code_another(self, tmp_path: Path) -> None:
        first = only(desired(written(tmp_path)), render.VERSION)
        assert only(desired(written(tmp_path)), render.VERSION) == first
        others = [
            only(desired(written(tmp_path), "sha256:" + "cd" * 32), render.VERSION),
            only(desired(written(tmp_path, 'memory = "1Gi"')), render.VERSION),
            only(desired(written(tmp_path, more='[env]\nA = "1"')), render.VERSION),
        ]
        assert len({first.name, *(one.name for one in others)}) == 4

    def test_aws_asks_who_calls_where_nobody_else_does(self, tmp_path: Path) -> None:
        made = desired(written(tmp_path))
        url, right = made[Key(doors.URL, "live")], made[Key(doors.PERMISSION, "url")]
        assert (url.fields["AuthType"], url.fields["InvokeMode"]) == ("AWS_IAM", "BUFFERED")
        assert right.fields["Principal"] == ACCOUNT
        assert made[Key(doors.PERMISSION, "invoke")].fields["InvokedViaFunctionUrl"] is True
        assert only(made, render.FUNCTION).fields["config"]["serve"]["auth"] == {"mode": "iam"}

    def test_everybody_may_come_where_the_runtime_asks(self, tmp_path: Path) -> None:
        made = desired(written(tmp_path, "streaming = true", BEARER))
        url, right = made[Key(doors.URL, "live")], made[Key(doors.PERMISSION, "url")]
        assert (url.fields["AuthType"], url.fields["InvokeMode"]) == ("NONE", "RESPONSE_STREAM")
        assert right.fields["Principal"] == "*"
        function = only(made, render.FUNCTION).fields
        assert function["variables"] == {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/mcp-stream"}
        reference = {"aws-ssm": Ref(Key("secret", "KEY"), "parameter")}
        assert function["config"]["serve"]["auth"]["keys"] == [reference]
        assert Key("key", "probe") in made

    def test_the_role_may_do_what_is_declared_and_nothing_else(self, tmp_path: Path) -> None:
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/"
        found = statements(desired(written(tmp_path)))
        assert set(found) == {"logs:CreateLogStream", "logs:PutLogEvents", "ssm:GetParameters"}
        assert all(one.startswith(group) and one.endswith(":*") for one in found["logs:PutLogEvents"])
        below = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/mcp-pack/notes/notes/default/"
        assert sorted(found["ssm:GetParameters"]) == [f"{below}keys/probe", f"{below}keys/state"]
        more = """
[secrets.A]
from = "env:A"
[secrets.B]
from = "aws-sm:prod/b#key"
[secrets.C]
from = "aws-sm:prod/c"
[[permissions.aws]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::notes/*"]
"""
        found = statements(desired(written(tmp_path, more=more)))
        assert f"{below}secrets/A" in found["ssm:GetParameters"]
        names = [one.rpartition(":")[2] for one in found["secretsmanager:GetSecretValue"]]
        assert names == ["prod/b-??????", "prod/c-??????"]
        assert found["secretsmanager:BatchGetSecretValue"] == ["*"]
        assert found["s3:GetObject"] == ["arn:aws:s3:::notes/*"]

    def test_the_runtime_reads_the_config(self, tmp_path: Path) -> None:
        more = '[secrets.A]\nfrom = "aws-ssm:/a"\n[secrets.B]\nfrom = "env:B"\n[serve]\nmetrics = { port = 9000 }'
        config = only(desired(written(tmp_path, more=more)), render.FUNCTION).fields["config"]
        known = json.loads(json.dumps(config, default=lambda ref: f"/kept/{ref.resource.name}:3"))
        variables = packed(known, {})
        read = parse(json.loads(zlib.decompress(base64.b64decode(variables[CONFIG]))))
        assert str(read.secrets["A"]) == "parameter /a of Parameter Store"
        assert str(read.secrets["B"]) == "parameter /kept/B:3 of Parameter Store"
        assert (read.serve.listen, read.metrics, read.emf is None) == (False, None, False)
        assert read.target == "lambda"

    def test_what_does_not_fit_into_the_variables_is_refused(self) -> None:
        noise = base64.b85encode(bytes(number * number % 251 for number in range(8000))).decode()
        with pytest.raises(UserError, match="larger than Lambda takes"):
            packed({"secrets": {}, "env": {str(at): noise[at : at + 60] for at in range(0, len(noise), 7)}}, {})
        assert len(packed({"secrets": {}, "env": {"A": "a" * 100_000}}, {})[CONFIG]) < MOST_VARIABLES

    def test_a_canary_has_alarms_to_be_watched_by(self, tmp_path: Path) -> None:
        made = desired(written(tmp_path, 'strategy = "canary"'))
        alarms = [one for key, one in made.items() if key.kind == render.ALARM]
        assert {one.fields["Namespace"] for one in alarms} == {"McpTools", "AWS/Lambda"}
        assert not [key for key in desired(written(tmp_path)) if key.kind == render.ALARM]

    def test_behind_an_api_calls_are_shorter_and_behind_a_balancer_requests_smaller(self, tmp_path: Path) -> None:
        function = only(desired(written(tmp_path, 'front = "http-api"')), render.FUNCTION).fields
        assert (function["config"]["serve"]["timeout"], function["settings"]["Timeout"]) == (29.0, 34)
        options = f'front = "alb"\n[target.lambda.alb]\nlistener = "{LISTENER}"'
        manifest = written(tmp_path, options, f'[serve]\npublic_url = "https://a.example.com"\n{BEARER}')
        made = desired(manifest)
        assert only(made, render.FUNCTION).fields["config"]["serve"]["max_body"] == 1_000_000
        assert TARGET.exposure(manifest, manifest.targets["lambda"]) is Exposure.INTERNET
        assert not {key for key in made if key.kind in {doors.URL, doors.API}}

    def test_alarms_are_kept_without_a_canary_and_tell_somebody(self, tmp_path: Path) -> None:
        def alarms(options: str) -> dict[str, Mapping[str, Any]]:
            made = desired(written(tmp_path, options))
            return {key.name.rpartition("-")[2]: one.fields for key, one in made.items() if key.kind == render.ALARM}

        found = alarms(f'alarms = true\nalarm_actions = ["{TOPIC}"]')
        assert set(found) == {"calls", "invocations", "throttles", "duration"}
        assert all(one["AlarmActions"] == one["OKActions"] == [TOPIC] for one in found.values())
        slow = found["duration"]
        assert (slow["ExtendedStatistic"], slow["Threshold"]) == ("p99", 52_000)  # of 65 s
        assert set(alarms('alarms = ["throttles"]')) == {"throttles"}
        assert set(alarms('alarms = ["throttles"]\nstrategy = "canary"')) == {"calls", "invocations", "throttles"}
        assert alarms("alarms = false") == {}


class TestProblems:
    @pytest.mark.parametrize(
        ("options", "more", "what"),
        [
            ('memory = "64Mi"', "", "a function cannot have that much memory"),
            ('memory = "20Gi"', "", "a function cannot have that much memory"),
            ('storage = "100Mi"', "", "a function cannot have that much storage"),
            ("retention = 4", "", "CloudWatch Logs cannot keep lines for that many days"),
            ("timeout = 10", "", "the function's time and that of a call do not fit together"),
            ("", "[serve]\ntimeout = 1000", "Lambda ends every invocation after 900 s"),
            ("", '[serve]\nmax_body = "8Mi"', "Lambda takes no request that large"),
            (
                "",
                '[services.db]\nimage = "postgres:17"\nports = [5432]',
                "a function starts no containers, and service db has no external address",
            ),
            ("", '[secrets.A]\nfrom = "k8s:a/b"', "a function cannot read the secret A from k8s"),
            (
                'snap_start = true\nstorage = "1Gi"',
                "",
                "a function that starts from a snapshot cannot have this storage",
            ),
            (
                'front = "http-api"',
                "[serve]\ntimeout = 30",
                "an HTTP API gives up after 30 s, and a call may take longer",
            ),
            (
                'front = "http-api"\nstreaming = true',
                "",
                "only the function's own URL passes on answers as they are made",
            ),
            (
                'front = "alb"',
                '[serve]\npublic_url = "https://tools.example.com"',
                "which load balancer is the front is not said",
            ),
            (
                f'front = "alb"\n[target.lambda.alb]\nlistener = "{LISTENER}"',
                "",
                "a load balancer has many names, and which of them is this tool's is not said",
            ),
            (f'[target.lambda.alb]\nlistener = "{LISTENER}"', "", "there is a load balancer, and it is not the front"),
            (
                f'front = "alb"\n[target.lambda.alb]\nlistener = "{LISTENER}"',
                '[serve]\npublic_url = "https://tools.example.com"\nmax_body = "2Mi"',
                "a load balancer passes on no request that large",
            ),
            (f'alarm_actions = ["{TOPIC}"]', "", "there is somebody to tell, and no alarm that would"),
            (f'dead_letters = "{TOPIC}.fifo"', "", "no queue or topic in order takes dead letters"),
            (f'dead_letters = "{TOPIC.replace("sns", "s3")}"', "", "only a queue or a topic takes dead letters"),
        ],
    )
    def test_what_lambda_does_not_take(self, tmp_path: Path, options: str, more: str, what: str) -> None:
        assert problems(tmp_path, options, more) == [what]

    def test_a_service_that_runs_elsewhere_is_taken(self, tmp_path: Path) -> None:
        more = '[services.db]\nimage = "postgres:17"\nports = [5432]\nexternal = "db.example.com:5432"'
        assert problems(tmp_path, more=more) == []

    def test_nothing_is_wrong_with_the_defaults(self, tmp_path: Path) -> None:
        assert problems(tmp_path) == []
        assert TARGET.exposure(written(tmp_path), Options()) is Exposure.PLATFORM

    def test_the_place_must_be_known_and_be_one(self, tmp_path: Path) -> None:
        pin = f'[pin]\naws_account = "{ACCOUNT}"\naws_region = "us-east-1"'
        assert problems(tmp_path, more=pin) == ["[target.lambda] and [pin] name two regions"]


def test_the_support_table_is_whole() -> None:
    from mcp_targets.docker.support import SUPPORT as OTHERS

    assert SUPPORT.keys() == OTHERS.keys()


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder with everything that a build writes."""
    more = f'{BEARER}[secrets.B]\nfrom = "aws-sm:prod/b"\n'
    options = "streaming = true\nsnap_start = true\n[target.lambda.concurrency]\nreserved = 7"
    return build(tmp_path, options, more)


def build(folder: Path, options: str = "", more: str = "") -> Path:
    manifest = written(folder / "project", options, more)
    output = folder / "out"
    output.mkdir()
    bundle = Bundle((inline("app/notes.py", b"pass\n"),), PLATFORM, None)
    request = BuildInput(manifest, manifest.targets["lambda"], {PLATFORM: bundle}, {"hash": "c" * 64}, output)
    artifact = TARGET.build(request)
    assert artifact.digest.startswith("sha256:")
    assert artifact.facts["runtime"] == "python3.13"
    return output


def document(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


class TestBeside:
    def test_the_template_says_what_the_deploy_sends(self, built: Path, tmp_path: Path) -> None:
        resources = document(built, building.TEMPLATE)["Resources"]
        function = dict(resources["Function"]["Properties"])
        sent = only(desired(load(tmp_path / "project", options={"lambda": Options})), render.FUNCTION)
        expected = dict(sent.fields["settings"]) | {
            "FunctionName": sent.name,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Architectures": sent.fields["Architectures"],
            "PackageType": "Zip",
            "ReservedConcurrentExecutions": 7,
        }
        del expected["VpcConfig"], expected["DeadLetterConfig"]
        variables = function.pop("Environment")["Variables"]
        del function["Code"]
        assert function == expected
        assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == "/var/task/mcp-stream"
        config = parse(json.loads(zlib.decompress(base64.b64decode(variables[CONFIG]))))
        assert (
            str(config.serve.state_keys[0])
            == f"secret {resources['StateKey']['Properties']['Name']} of Secrets Manager"
        )
        assert config.serve.probe is None

    def test_terraform_says_the_same(self, built: Path) -> None:
        resources = document(built, building.TEMPLATE)["Resources"]
        function = resources["Function"]["Properties"]
        found = document(built, building.TERRAFORM)["resource"]
        other = found["aws_lambda_function"]["tool"]
        assert (other["memory_size"], other["timeout"]) == (function["MemorySize"], function["Timeout"])
        assert other["environment"]["variables"] == function["Environment"]["Variables"]
        assert other["snap_start"] == {"apply_on": function["SnapStart"]["ApplyOn"]}
        assert other["logging_config"]["log_format"] == function["LoggingConfig"]["LogFormat"]
        role = found["aws_iam_role_policy"]["tool"]["policy"]
        assert json.loads(role) == resources["Role"]["Properties"]["Policies"][0]["PolicyDocument"]
        assert json.loads(role) == document(built, building.RIGHTS)
        assert document(built, building.TRUST) == resources["Role"]["Properties"]["AssumeRolePolicyDocument"]
        assert sorted(found["aws_lambda_permission"]) == ["invoke", "url"]

    def test_the_deploy_s_own_keys_are_nobody_s_there(self, built: Path) -> None:
        text = json.dumps(document(built, building.RIGHTS))
        assert "/keys/" not in text
        assert "state-key-??????" in text
        assert "/secrets/KEY" in document(built, building.TEMPLATE)["Description"]

    @pytest.mark.real("cfn-lint")
    @pytest.mark.parametrize("options", ["", 'streaming = true\nsnap_start = true\narchitecture = "x86_64"'])
    def test_the_linter_finds_nothing(self, tmp_path: Path, options: str) -> None:
        template = build(tmp_path, options) / building.TEMPLATE
        line = [str(real_parts.checker("cfn-lint")), "--regions", REGION, "--", str(template)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr

    @pytest.mark.real("checkov")
    def test_nothing_fails_that_has_no_reason(self, tmp_path: Path) -> None:
        output = build(tmp_path)
        line = [str(real_parts.checker("checkov")), "--compact", "--quiet", "--skip-download", "--output", "json"]
        files = [part for name in (building.TEMPLATE, building.TERRAFORM) for part in ("--file", name)]
        done = subprocess.run([*line, *files], cwd=output, capture_output=True, text=True, check=False)
        found = {
            (report["check_type"], failed["check_id"])
            for report in json.loads(done.stdout)
            for failed in report["results"]["failed_checks"]
        }
        assert found == {(kind, check) for check, kinds in UNDONE.items() for kind in kinds}
