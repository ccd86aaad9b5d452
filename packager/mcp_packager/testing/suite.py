"""What every target must do, as a base class. A target's test file subclasses it and gives a few facts.

    class TestMine(TargetSuite):
        target = "mine"

        @classmethod
        def strike(cls, pack): ...      # take away, behind mcp-pack's back, what serves
        @classmethod
        def leftovers(cls, pack): ...   # what is still there after a destroy

Each test brings the deployment to where it needs it and can be run alone. Needs pytest.
"""
# ruff: noqa: S101, D102  # assertions are how a suite fails; a test is named for what it holds

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from mcp_packager import registry
from mcp_packager.manifest.schema import portable_keys
from mcp_packager.target import TARGET_API, Level
from mcp_packager.testing.client import calling, greeting, let_in
from mcp_packager.testing.pack import Pack
from mcp_packager.testing.project import Project
from mcp_packager.verify import Era


class TargetSuite:
    """The promises of a target. ``options`` are the TOML lines below ``[target.NAME]``."""

    target: ClassVar[str] = ""
    options: ClassVar[str] = ""
    platform_asks: ClassVar[bool] = False
    """Whether the platform asks who is calling unless the manifest says that everybody may."""
    kill_moments: ClassVar[Sequence[float]] = (0.35, 0.6, 0.85)
    """When a deploy is killed, as shares of the time that an undisturbed one takes."""

    @classmethod
    def strike(cls, pack: Pack) -> None:
        """Take away, behind mcp-pack's back, what serves the deployment."""
        raise NotImplementedError

    @classmethod
    def leftovers(cls, pack: Pack) -> Sequence[str]:
        """Whatever of the deployment is still there after a destroy, records and lock included."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def project(cls, tmp_path_factory: pytest.TempPathFactory) -> Project:
        """The tool project, at version 1.0.0."""
        folder = tmp_path_factory.mktemp("project") / "suite"
        made = Project(folder, cls.target, cls.options, unasked=cls.platform_asks)
        made.write("1.0.0")
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def pack(cls, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
        """``mcp-pack`` with a home of its own; whatever is deployed at the end is destroyed."""
        home = tmp_path_factory.mktemp("home")
        pack = Pack(project.folder, cls.target, {"MCP_PACK_HOME": str(home)})
        yield pack
        project.write("1.0.0")
        for stage in ("default", "second"):
            pack.at(stage).run("destroy", "--yes", "--data")
            assert list(cls.leftovers(pack.at(stage))) == []

    def test_declares_itself(self) -> None:
        about = registry.load(self.target).about
        assert (about.name, about.api) == (self.target, TARGET_API)
        assert about.summary
        about.options.model_json_schema()

    def test_says_something_of_every_portable_key(self) -> None:
        support = registry.load(self.target).about.support
        assert set(support) == set(portable_keys())
        assert [key for key, said in support.items() if said.level is not Level.HONOURS and not said.word] == []

    def test_deploys_and_answers_in_both_eras(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        done = pack.deploy()
        assert done["version"] == "1.0.0"
        assert any("modern era" in line for line in done["verified"])
        assert any("legacy era" in line for line in done["verified"])
        for era in Era:
            assert greeting(done["endpoint"]["url"], era) == "hello, you! This is 1.0.0."

    def test_again_does_nothing_and_says_so(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        first = pack.deploy()
        again = pack.deploy()
        assert again["changed"] is False
        assert again["release"] == first["release"]
        assert pack.run("plan", "--exit-code").code == 0
        assert pack.run("drift").code == 0

    def test_an_edit_is_planned_and_reaches_clients_who_notice_nothing(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        first = pack.deploy()
        project.write("1.1.0")
        pack.run("plan", "--exit-code", expect=(4,))
        with calling(first["endpoint"]["url"]) as calls:
            second = pack.deploy()
        assert second["endpoint"] == first["endpoint"]
        assert second["release"] > first["release"]
        assert calls.failures == []
        assert calls.answers[0].endswith("1.0.0.")
        assert greeting(second["endpoint"]["url"]).endswith("1.1.0.")

    def test_what_is_taken_away_behind_our_back_is_drift_and_comes_back(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        release = pack.deploy()["release"]
        self.strike(pack)
        assert pack.run("drift", expect=(4,)).document
        mended = pack.deploy()
        assert mended["changed"] is True
        assert mended["release"] == release
        assert greeting(mended["endpoint"]["url"]).endswith("1.0.0.")
        assert pack.run("drift").code == 0

    def test_a_version_that_does_not_start_leaves_the_old_one_serving(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        url = pack.deploy()["endpoint"]["url"]
        project.write("2.0.0")
        project.break_start()
        with calling(url) as calls:
            answer = pack.run("deploy", "--yes", expect=(1, 3))
        assert "no such thing as a free start" in answer.told
        assert "as before" in answer.told
        assert calls.failures == []
        assert set(calls.answers) == {"hello, you! This is 1.0.0."}

    def test_a_version_that_answers_wrongly_leaves_the_old_one_serving(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        url = pack.deploy()["endpoint"]["url"]
        project.write("2.0.0", expected="something else")
        with calling(url) as calls:
            answer = pack.run("deploy", "--yes", expect=(3,))
        assert "does not contain 'something else'" in answer.told
        assert set(calls.answers) == {"hello, you! This is 1.0.0."}
        assert calls.failures == []
        project.write("1.0.0")
        assert pack.run("plan", "--exit-code").code == 0

    def test_rolls_back_without_a_client_noticing(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        pack.deploy()
        project.write("1.1.0")
        url = pack.deploy()["endpoint"]["url"]
        with calling(url) as calls:
            (back,) = pack.run("rollback", "--yes").document["deployments"]
        assert back["version"] == "1.0.0"
        assert calls.failures == []
        assert greeting(url).endswith("1.0.0.")
        assert len(pack.run("history").document) > 0

    def test_killed_at_any_moment_a_rerun_reaches_the_same_end(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        url = pack.deploy()["endpoint"]["url"]
        project.write("3.0.0")
        began = time.monotonic()
        pack.deploy()
        whole = time.monotonic() - began
        for number, moment in enumerate(self.kill_moments):
            version = f"3.{number + 1}.0"
            project.write(version)
            with calling(url) as calls:
                killed = pack.start("deploy", "--yes")
                with killed:
                    time.sleep(whole * moment)
                    killed.kill()
                assert calls.failures == [], f"clients lost their server when the deploy was killed at {moment:.0%}"
            pack.run("unlock", "--yes")
            done = pack.deploy()
            assert done["version"] == version
            assert greeting(url).endswith(f"{version}.")
            assert pack.run("drift").code == 0

    def test_callers_are_asked_and_a_change_of_keys_shuts_nobody_out(self, project: Project, pack: Pack) -> None:
        if registry.load(self.target).about.support["serve.auth"].level is Level.REFUSES:
            pytest.skip("this target refuses [serve.auth]")
        old, new, newest = (f"{word}-key-of-a-caller" for word in ("old", "new", "newest"))
        keyed = pack.having(OLD_KEY=old, NEW_KEY=new)
        project.write("1.0.0", keys=["OLD_KEY"])
        done = keyed.deploy()
        url = done["endpoint"]["url"]
        assert done["endpoint"]["auth"] == "bearer"
        assert any("a caller without a token is refused" in line for line in done["verified"])
        assert any("modern era" in line for line in done["verified"])
        assert [let_in(url, key) for key in (None, old, new)] == [False, True, False]
        with calling(url, old) as before:
            project.write("1.0.0", keys=["OLD_KEY", "NEW_KEY"])
            keyed.deploy()
        with calling(url, new) as after:
            project.write("1.0.0", keys=["NEW_KEY"])
            keyed.deploy()
        assert before.failures == after.failures == []
        assert [let_in(url, key) for key in (old, new)] == [False, True]
        (pushed,) = keyed.having(NEW_KEY=newest).run("secrets push", "NEW_KEY").document["pushed"]
        assert pushed["secrets"] == ["NEW_KEY"]
        assert [let_in(url, key) for key in (new, newest)] == [False, True]
        assert keyed.run("drift").code == 0

    def test_stages_live_side_by_side(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        first, second = pack.deploy(), pack.at("second").deploy()
        assert first["endpoint"] != second["endpoint"]
        assert greeting(first["endpoint"]["url"]).startswith("hello")
        assert greeting(second["endpoint"]["url"]).startswith("good evening")
        pack.at("second").run("destroy", "--yes")
        assert greeting(first["endpoint"]["url"]).startswith("hello")
        assert list(self.leftovers(pack.at("second"))) == []

    def test_destroy_leaves_nothing_and_can_be_repeated(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        pack.deploy()
        pack.run("destroy", "--yes", "--data")
        assert list(self.leftovers(pack)) == []
        (status,) = pack.run("status").document["deployments"]
        assert status["state"] == "absent"
        pack.run("destroy", "--yes")

    def test_a_second_deployer_is_told_who_is_at_work(self, project: Project, pack: Pack) -> None:
        project.write("1.0.0")
        pack.deploy()
        project.write("1.2.0")
        processes = [pack.start("deploy", "--yes") for _ in range(2)]
        said = [process.communicate() for process in processes]
        codes = sorted(process.returncode for process in processes)
        told = "".join(part for pair in said for part in pair)
        assert codes in ([0, 0], [0, 3]), told
        assert codes == [0, 0] or "holds the lock for deploy since" in told, told
        assert greeting(pack.url()).endswith("1.2.0.")
