"""The account as a world, against the fake: what is kept in it, what a canary does, who is not written over.

Nothing is invoked here; that is the shared suite's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mcp_packager import engine
from mcp_packager.errors import PackError, UserError
from mcp_packager.target import (
    Action,
    DesiredInput,
    Endpoint,
    Holder,
    Intent,
    Key,
    Outcome,
    Phase,
    RecordTakenError,
    Release,
    Step,
    Verification,
    base_config,
    identity_of,
)
from mcp_packager.testing.aws.others import write_line
from mcp_targets._aws.rights import actions
from mcp_targets.aws_lambda import target
from mcp_targets.aws_lambda.doors import LIVE, URL
from mcp_targets.aws_lambda.examine import NEEDED, needed_for
from mcp_targets.aws_lambda.options import Options
from mcp_targets.aws_lambda.render import ALIAS, FUNCTION, VERSION, alarm_names
from mcp_targets.aws_lambda.settings import CONFIG
from tests.lambda_.deployer import Deployer, account, function
from tests.lambda_.fake import Cloud

pytestmark = pytest.mark.timeout(600)
SECRET = "[secrets.TOKEN]\n"
CANARY = 'strategy = "canary"\n[target.lambda.canary]\nsteps = [10, 50]\nhold = "1ms"\n'


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with account(tmp_path, monkeypatch) as made:
        yield made


def test_a_deploy_is_whole_again_is_nothing_and_a_destroy_leaves_nothing(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    first = deployer.deploy(manifest)
    world = deployer.world(manifest)
    endpoint = world.endpoint(Phase.SWITCH, world.observe())
    assert endpoint is not None
    assert endpoint.as_json() == first.release.endpoint.as_json()
    assert not engine.plan(deployer.intent(manifest, "one"), deployer.world(manifest)).due
    calls = len(cloud.faults.asked)
    assert not deployer.deploy(manifest).changed
    assert cloud.faults.writes(calls) == []
    engine.destroy(deployer.world(manifest))
    assert cloud.left() == []


def test_nothing_is_sent_again_to_go_back(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    deployer.deploy(manifest, "one")
    deployer.deploy(manifest, "two")
    calls = len(cloud.faults.asked)
    back = engine.rollback(deployer.world(manifest), verify=deployer.verify)
    assert back.release.rollback_of == 1
    made = [one for one in cloud.faults.writes(calls) if one.startswith("lambda")]
    assert made == ["lambda UpdateAlias"]
    assert function(cloud).aliases[LIVE].number == "1"


def test_a_failure_leaves_the_alias_and_takes_the_version_away(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    deployer.deploy(manifest, "one")

    def refuse(endpoint: Endpoint, intent: Intent) -> Verification:
        raise UserError(())

    deployer.verify = refuse
    with pytest.raises(PackError):
        deployer.deploy(manifest, "two")
    assert function(cloud).aliases[LIVE].number == "1"
    assert list(function(cloud).versions) == ["1"]
    assert not engine.drift(deployer.world(manifest)).drifted


def test_who_moved_the_alias_meanwhile_is_not_written_over(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    deployer.deploy(manifest, "one")
    deployer.deploy(manifest, "two")
    world = deployer.world(manifest)
    observed = world.observe()
    intent = deployer.intent(manifest, "one")
    (alias,) = [one for one in intent.resources if one.kind == ALIAS]
    wanted = replace(alias, fields={**alias.fields, "FunctionVersion": "1"})
    aws = cloud.client("lambda")
    aws.publish_version(FunctionName=function(cloud).name)
    cloud.account.functions[function(cloud).name].aliases[LIVE].number = "1"
    cloud.account.functions[function(cloud).name].aliases[LIVE].weights = {"2": 0.5}
    with pytest.raises(PackError, match="changed by somebody else"):
        world.apply(Step(Action.UPDATE, alias.key, wanted, observed[Key(ALIAS, LIVE)]))


def test_a_secret_that_is_pushed_is_another_version_and_a_failed_push_is_undone(
    cloud: Cloud, deployer: Deployer
) -> None:
    manifest = deployer.manifest(more=SECRET)
    deployer.deploy(manifest, TOKEN="old")
    key = Key("secret", "TOKEN")
    intent = deployer.intent(manifest, "one")
    anew = frozenset({key})
    world = deployer.world(manifest, TOKEN="new")
    engine.deploy(intent, world, verify=deployer.verify, anew=anew)
    assert function(cloud).aliases[LIVE].number == "2"
    assert not engine.drift(world).drifted

    def refuse(endpoint: Endpoint, _: Intent) -> Verification:
        if not refused:
            refused.append(str(endpoint.url))
            return Verification()  # the candidate is well; what clients get is not
        if len(refused) == 1:
            refused.append(str(endpoint.url))
            raise UserError(())
        return Verification()

    refused: list[str] = []
    with pytest.raises(PackError):
        engine.deploy(intent, deployer.world(manifest, TOKEN="bad"), verify=refuse, anew=anew)
    assert function(cloud).aliases[LIVE].number == "2"
    assert world.observe()[key].fields["parameter"].endswith("/secrets/TOKEN:2")
    assert not engine.drift(world).drifted
    store = cloud.client("ssm")
    name = "/mcp-pack/notes/notes/default/secrets/TOKEN"
    assert store.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "new"
    variables = function(cloud).versions["2"].settings["Environment"]["Variables"]
    assert list(variables) == [CONFIG]
    assert "new" not in str(variables)


def test_a_push_after_a_failed_update_takes_the_code_out_of_the_version_that_has_it(
    cloud: Cloud, deployer: Deployer
) -> None:
    manifest = deployer.manifest(more=SECRET)
    deployer.deploy(manifest, "one", TOKEN="old")
    first = deployer.intent(manifest, "one")

    def refuse(endpoint: Endpoint, intent: Intent) -> Verification:
        raise UserError(())

    looked, deployer.verify = deployer.verify, refuse
    with pytest.raises(PackError):
        deployer.deploy(manifest, "two", TOKEN="old")
    deployer.built("two")
    anew = frozenset({Key("secret", "TOKEN")})
    engine.deploy(first, deployer.world(manifest, TOKEN="new"), verify=looked, anew=anew)
    live = function(cloud).versions[function(cloud).aliases[LIVE].number]
    assert live.code == function(cloud).versions["1"].code
    assert live.number != "1"


def test_a_canary_goes_by_steps_and_back_when_an_alarm_fires(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest(CANARY)
    deployer.deploy(manifest, "one")
    calls = len(cloud.faults.asked)
    deployer.deploy(manifest, "two")
    assert cloud.faults.writes(calls).count("lambda UpdateAlias") == 3
    alias = function(cloud).aliases[LIVE]
    assert (alias.number, alias.weights) == ("2", {})
    watch = cloud.client("cloudwatch")
    for name in alarm_names(function(cloud).name):
        watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test says so")
    with pytest.raises(PackError, match="is firing already"):
        deployer.deploy(manifest, "three")
    alias = function(cloud).aliases[LIVE]
    assert (alias.number, alias.weights) == ("2", {})
    # Going back is one call, whatever the alarms say.
    calls = len(cloud.faults.asked)
    engine.rollback(deployer.world(manifest), verify=deployer.verify)
    assert cloud.faults.writes(calls).count("lambda UpdateAlias") == 1


def test_an_alarm_that_fires_on_the_way_takes_the_share_away(
    cloud: Cloud, deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_targets.aws_lambda.canary import Canary

    manifest = deployer.manifest(CANARY)
    deployer.deploy(manifest, "one")
    shares: list[dict[str, float]] = []
    looked = Canary._firing

    def firing(self: Canary) -> list[str]:
        alias = function(cloud).aliases[LIVE]
        shares.append(dict(alias.weights))
        if alias.weights.get("2") == 0.5:
            name, _ = alarm_names(function(cloud).name)
            cloud.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="calls fail")
        return looked(self)

    monkeypatch.setattr(Canary, "_firing", firing)
    with pytest.raises(PackError, match="fired while version 2 had 50% of the calls"):
        deployer.deploy(manifest, "two")
    alias = function(cloud).aliases[LIVE]
    assert (alias.number, alias.weights) == ("1", {})
    assert {"2": 0.1} in shares
    assert not engine.drift(deployer.world(manifest)).drifted


def test_a_release_larger_than_a_parameter_is_split_and_its_number_is_taken_once(
    cloud: Cloud, deployer: Deployer
) -> None:
    manifest = deployer.manifest()
    records, intent = deployer.world(manifest).records, deployer.intent(manifest, "one")
    long = {"hash": "c" * 64, "tools": [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(400)]}
    release = Release(
        1, replace(intent, contract=long), Endpoint(url="http://127.0.0.1/mcp"), "me", "2026-11-21T00:00:00Z"
    )
    records.add(release)
    records.add(release)  # an answer that was lost
    (read,) = records.listing()
    assert read.as_json() == release.as_json()
    assert sum("/parts/1/" in one for one in cloud.left()) > 2
    with pytest.raises(RecordTakenError):
        records.add(replace(release, outcome=Outcome.FAILED))
    assert [one.outcome for one in records.listing()] == [Outcome.DEPLOYED]
    records.remove(1)
    assert cloud.left() == []


def test_of_two_who_take_the_lock_one_gets_it(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    mine, theirs = deployer.world(manifest).lock, deployer.world(manifest).lock
    holder = Holder("me", "deploy", "aa", 0.0, 4e9)
    other = replace(holder, who="you", token="bb")
    assert mine.swap(None, holder)
    assert not theirs.swap(None, other)
    assert theirs.read() == holder
    later = replace(holder, expires=5e9)
    assert mine.swap(holder, later)
    assert not mine.swap(holder, None)
    assert mine.swap(later, None)
    assert mine.read() is None
    assert cloud.left() == []


def test_what_is_there_under_our_name_and_is_not_ours_is_left_alone(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    group = next(one for one in deployer.intent(manifest, "one").resources if one.kind == "log-group")
    cloud.client("logs").create_log_group(logGroupName=group.name)
    with pytest.raises(PackError, match="not this deployment's"):
        deployer.deploy(manifest)
    assert cloud.left() != []
    assert [one for one in cloud.left() if not one.startswith(("log group", "parameter"))] == []


def test_a_zip_that_needs_a_bucket_says_so_before_anything_is_sent(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    artifact = deployer.built("one")
    artifact = replace(artifact, facts={**artifact.facts, "through_s3": True})
    options = manifest.targets["lambda"]
    config = base_config(manifest, "lambda", target.exposure(manifest, options))
    with pytest.raises(UserError, match="larger than 50 MB"):
        target.desired(DesiredInput(manifest, options, identity_of(manifest), artifact, config))
    assert cloud.faults.asked == []


def test_an_artifact_that_was_built_before_is_taken_where_it_fits(deployer: Deployer) -> None:
    manifest, artifact = deployer.manifest(), replace(deployer.built("one"), path="function.zip")
    options = manifest.targets["lambda"]
    assert target.taken(artifact, manifest, options) == artifact
    for wrong in (
        replace(artifact, path=None),
        replace(artifact, target="docker"),
        replace(artifact, kind="image"),
        replace(artifact, facts={**artifact.facts, "architecture": "x86_64"}),
    ):
        with pytest.raises(UserError):
            target.taken(wrong, manifest, options)


def test_a_url_that_aws_guards_comes_with_what_signs(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    deployer.deploy(manifest)
    world = deployer.world(manifest)
    observed = world.observe()
    endpoint = world.endpoint(Phase.SWITCH, observed)
    assert endpoint is not None
    assert endpoint.url == f"{observed[Key(URL, LIVE)].fields['url']}mcp"
    assert endpoint.command[:3] == ("uvx", "mcp-proxy-for-aws@1.7.0", endpoint.url)
    candidate = world.endpoint(Phase.CANDIDATE, observed)
    assert candidate is not None
    assert candidate.url == f"lambda://{function(cloud).name}/1/mcp"
    assert {key.kind for key in observed} >= {FUNCTION, VERSION, ALIAS, URL}


def test_later_lines_are_followed_and_earlier_ones_told_once(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    deployer.deploy(manifest)
    world, group = deployer.world(manifest), f"/aws/lambda/{function(cloud).name}"
    wrapped = '{"timestamp": "2026-11-21T00:00:00Z", "level": "INFO", "message": "printed"}'
    for line in ("first", "second", wrapped):
        write_line(group, "one", line)
    told = world.logs(lines=2, follow=True)
    assert [next(told), next(told)] == ["second", "printed"]
    write_line(group, "one", "third")
    assert next(told) == "third"
    assert list(world.logs(lines=0, follow=False)) == []


def test_every_call_that_is_made_is_among_the_rights_of_a_deployer(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest(CANARY, SECRET)
    deployer.deploy(manifest, "one", TOKEN="old")
    deployer.deploy(manifest, "two", TOKEN="old")
    world = deployer.world(manifest)
    world.status()
    list(world.logs(lines=1, follow=False))
    engine.rollback(world, verify=deployer.verify)
    engine.destroy(world)
    made = {one.replace("monitoring ", "cloudwatch ").replace(" ", ":") for one in cloud.faults.asked}
    assert made - {"sts:GetCallerIdentity"} <= set(actions(NEEDED))


def test_what_deployers_need_depends_on_how_the_tool_is_shipped() -> None:
    zipped, imaged = (set(actions(needed_for(Options(package=each)))) for each in ("zip", "image"))
    assert "ecr:PutImage" in imaged - zipped
    assert "s3:PutObject" in set(actions(needed_for(Options(bucket="a-bucket")))) - zipped


def test_an_answer_that_is_lost_is_no_reason_to_fail(cloud: Cloud, deployer: Deployer) -> None:
    manifest = deployer.manifest()
    made = "CreateRole CreateLogGroup CreateFunction CreateAlias CreateFunctionUrlConfig AddPermission PutParameter"
    cloud.faults.lost.update(made.split())
    deployer.deploy(manifest, "one")
    cloud.faults.lost.update(["UpdateFunctionCode", "PublishVersion", "UpdateAlias"])
    deployer.deploy(manifest, "two")
    assert not engine.drift(deployer.world(manifest)).drifted
    assert list(function(cloud).versions) == ["1", "2"]
    cloud.faults.lost.update(["DeleteFunction", "DeleteAlias", "DeleteFunctionUrlConfig", "RemovePermission"])
    cloud.faults.lost.update(["DeleteRole", "DeleteLogGroup", "DeleteParameters"])
    engine.destroy(deployer.world(manifest))
    assert +cloud.faults.lost == Counter()
    assert cloud.left() == []
