"""What is attached is found: where the registry lists it, and where a tag must; what others put there stays."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mcp_packager.errors import UserError, WorldError
from mcp_packager.image import Reference, Registry, attach, parse, push, referrers, signer
from mcp_packager.image.reading import said_about
from mcp_packager.image.referrers import Artifact, Piece, Subject, artifact, listed, tagged
from mcp_packager.image.registry import MANIFEST
from mcp_packager.store import Store
from tests.image.attached import Keys, enter, images, ingredients, pair, pushed, put
from tests.image.referring import KINDS, either, paging
from tests.image.registries import proxy

pytestmark = [pytest.mark.real("docker-registry", "referrers-registry"), pytest.mark.usefixtures("alone")]


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with either(request.param, tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return pair(tmp_path_factory.mktemp("keys"))


def kinds(registry: Registry, digest: str) -> list[str]:
    """The artifact types that refer to an image, by whichever way this registry has."""
    found = listed(registry, digest)
    entries = found if found is not None else tagged(registry, Subject(digest, MANIFEST, 0).fallback)
    manifests = [registry.manifest(entry["digest"]) for entry in entries]
    return sorted(one.document["artifactType"] for one in manifests if one is not None)


def test_the_two_registries_differ(place: str, request: pytest.FixtureRequest, store: Store) -> None:
    (one,), target = pushed(place, "team/differ", store)
    lists = listed(Registry(target), one.digest) is not None
    assert lists == (request.node.callspec.params["place"] == "lists")


def test_bill_and_provenance_are_found_from_the_image(place: str, store: Store) -> None:
    (one,), target = pushed(place, "team/plain", store)
    done = attach([one], target, ingredients(), store=store)
    registry = Registry(target)
    assert kinds(registry, one.digest) == ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]
    assert done.tagged == (listed(registry, one.digest) is None)
    assert done.artifacts == 2
    said = said_about(registry, one.digest)
    assert (len(said.bills), len(said.statements), said.envelopes, said.broken) == (1, 1, [], [])


def test_signed_it_is_found_by_list_and_by_cosigns_tags(place: str, store: Store, keys: Keys) -> None:
    (one,), target = pushed(place, "team/signed", store)
    attach([one], target, ingredients(), key=signer(str(keys.private)), store=store)
    registry = Registry(target)
    assert kinds(registry, one.digest) == [
        "application/vnd.cyclonedx+json",
        "application/vnd.dev.cosign.artifact.att.v1+json",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        *["application/vnd.dev.sigstore.bundle.v0.3+json"] * 3,
        "application/vnd.in-toto+json",
    ]
    for name in ("sig", "att"):
        found = registry.manifest(Subject(one.digest, MANIFEST, 0).tagged(name))
        assert found is not None
        assert found.document["subject"]["digest"] == one.digest
    said = said_about(registry, one.digest)
    assert (len(said.envelopes), len(said.signatures)) == (3, 1)  # each once, though found twice and in two forms


def test_an_index_and_each_image_in_it_have_their_own(place: str, store: Store) -> None:
    both, target = pushed(place, "team/both", store, "amd64", "arm64")
    done = attach(both, target, ingredients("amd64", "arm64"), store=store)
    assert len(done.subjects) == 3
    for digest in done.subjects:
        assert len(kinds(Registry(target), digest)) == 2


def test_beside_the_push_in_any_order(place: str, store: Store) -> None:
    found = images(place, store, files={"app/name.txt": b"beside"})
    target = parse(f"{place}/team/beside:1")
    done = attach(found, target, ingredients(), store=store)  # the repository is not even there
    with ThreadPoolExecutor(2) as pool:
        again = pool.submit(attach, found, parse(f"{place}/team/beside2:1"), ingredients(), store=store)
        pool.submit(push, found, parse(f"{place}/team/beside2:1"), store=store).result()
    assert done.artifacts == again.result().artifacts == 2
    push(found, target, store=store)
    assert len(kinds(Registry(target), found[0].digest)) == 2


def test_a_second_time_sends_nothing(place: str, store: Store, keys: Keys) -> None:
    (one,), target = pushed(place, "team/again", store)
    key = signer(str(keys.private))
    attach([one], target, ingredients(), key=key, store=store)
    with proxy(place) as (front, seen):
        elsewhere = parse(f"{front}/team/again:1")
        attach([one], elsewhere, ingredients(), key=key, store=store)
        # Another machine does not know: it signs and sends again, to the same manifests under the same names.
        before = len(kinds(Registry(target), one.digest))
        seen.requests.clear()
        attach([one], elsewhere, ingredients(), key=key, store=store)
    assert {method for method, _ in seen.requests} == {"GET"}
    assert len(kinds(Registry(target), one.digest)) in {before, 7}


def foreign(subject: Subject, text: bytes) -> Artifact:
    return artifact("application/vnd.corp.note", subject, [Piece("text/plain", text)])


def test_what_others_have_entered_stays(place: str, store: Store, keys: Keys) -> None:
    (one,), target = pushed(place, "team/others", store)
    registry, subject = Registry(target), Subject(one.digest, MANIFEST, len(one.manifest))
    note = foreign(subject, b"ours too")
    put(registry, note)
    enter(registry, subject, note)
    theirs = Piece("application/vnd.dev.cosign.simplesigning.v1+json", b"{}", {"who": "somebody"})
    put(registry, artifact("x", subject, [theirs], tag=subject.tagged("sig")))
    attach([one], target, ingredients(), key=signer(str(keys.private)), store=store)
    assert "application/vnd.corp.note" in kinds(registry, one.digest)
    found = registry.manifest(subject.tagged("sig"))
    assert found is not None
    assert [layer.get("annotations", {}).get("who") for layer in found.document["layers"]] == ["somebody", None]


def test_another_key_signs_beside_the_first(place: str, store: Store) -> None:
    (one,), target = pushed(place, "team/two-keys", store)
    registry = Registry(target)
    for number in (1, 2):
        folder = store.root.parent / f"key{number}"
        folder.mkdir()
        attach([one], target, ingredients(), key=signer(str(pair(folder).private)), store=store)
    said = said_about(registry, one.digest)
    assert (len(said.signatures), len(said.envelopes)) == (2, 6)
    # The tag's list does not keep the manifests that were replaced.
    if listed(registry, one.digest) is None:
        assert len(kinds(registry, one.digest)) == 10


def test_writers_at_the_same_time_lose_nothing(address: str, store: Store) -> None:
    (one,), target = pushed(address, "team/at-once", store)
    registry, subject = Registry(target), Subject(one.digest, MANIFEST, len(one.manifest))
    notes = [foreign(subject, str(number).encode()) for number in range(3)]
    late = foreign(subject, b"late")
    for note in (*notes, late):
        put(registry, note)
    slipped = False

    def slip(method: str, path: str, _before: int) -> None:
        """Somebody else writes between our look and our word, once."""
        nonlocal slipped
        if method == "PUT" and path.endswith(subject.fallback) and not slipped:
            slipped = True
            enter(registry, subject, late)

    with proxy(address, slip) as (front, _):
        enter(Registry(parse(f"{front}/team/at-once:1")), subject, *notes[:1])
        enter(Registry(parse(f"{front}/team/at-once:1")), subject, *notes[1:])
    there = {entry["digest"] for entry in tagged(registry, subject.fallback)}
    assert {note.digest for note in notes} <= there


def test_a_list_that_keeps_nothing_is_told(address: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,), target = pushed(address, "team/forgets", store)
    monkeypatch.setattr(referrers, "tagged", lambda *_: [])
    with pytest.raises(WorldError, match="does not keep"):
        attach([one], target, ingredients(), store=store)


def test_a_tag_that_is_something_else_is_not_overwritten(address: str, store: Store) -> None:
    (one,), target = pushed(address, "team/taken", store)
    registry, subject = Registry(target), Subject(one.digest, MANIFEST, len(one.manifest))
    registry.put_manifest(one.manifest, MANIFEST, subject.fallback)
    with pytest.raises(WorldError, match="is no list of referrers"):
        attach([one], target, ingredients(), store=store)
    found = registry.manifest(subject.fallback)
    assert found is not None
    assert found.digest == one.digest


def test_a_registry_that_wants_the_image_first_is_asked_again(address: str, store: Store) -> None:
    found = images(address, store, files={"app/name.txt": b"first"})
    there = False

    def rule(method: str, path: str, _before: int) -> int | None:
        return 404 if method == "PUT" and "/manifests/" in path and not there else None

    with proxy(address, rule) as (front, _):
        target = parse(f"{front}/team/first:1")
        with pytest.raises(WorldError, match="404"):
            attach(found, target, ingredients(), store=store)
        done: Future[Reference] = Future()

        class Push(Future[Reference]):
            def exception(self, timeout: float | None = None) -> BaseException | None:
                nonlocal there
                push(found, parse(f"{address}/team/first:1"), store=store)
                there = True
                return done.exception(timeout)

        done.set_result(target)
        assert attach(found, target, ingredients(), pushed=Push(), store=store).artifacts == 2


def test_a_push_that_failed_is_not_waited_out(address: str, store: Store) -> None:
    found = images(address, store, files={"app/name.txt": b"failed"})
    failed: Future[None] = Future()
    failed.set_exception(WorldError(()))

    def rule(method: str, path: str, _before: int) -> int | None:
        return 404 if method == "PUT" and "/manifests/" in path else None

    with proxy(address, rule) as (front, _), pytest.raises(WorldError, match="404"):
        attach(found, parse(f"{front}/team/failed:1"), ingredients(), pushed=failed, store=store)


def test_a_tag_that_must_not_change_is_told(address: str, store: Store, keys: Keys) -> None:
    (one,), _ = pushed(address, "team/immutable", store)

    def rule(method: str, path: str, _before: int) -> int | None:
        return 409 if method == "PUT" and path.endswith(".sig") else None

    with proxy(address, rule) as (front, _):
        target = parse(f"{front}/team/immutable:1")
        with pytest.raises((UserError, WorldError), match=r"\.sig"):
            attach([one], target, ingredients(), key=signer(str(keys.private)), store=store)


def test_pages_of_a_long_list_are_followed() -> None:
    names = [f"sha256:{number:064x}" for number in range(3)]
    with paging(names) as front:
        found = listed(Registry(parse(f"{front}/team/pages:1")), "sha256:" + "0" * 64)
    assert [entry["digest"] for entry in found or ()] == names


def test_an_answer_that_is_no_list_counts_as_none() -> None:
    with paging(None) as front:
        assert listed(Registry(parse(f"{front}/team/pages:1")), "sha256:" + "0" * 64) is None
