"""Which stored file stays, and what keeps others from joining it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import pytest

from runworthy.model.records import replace
from runworthy.model.storage import Bar, Copies, Owner, Place, Spare, StoredFile, Together, Traits
from runworthy.storage.planning import Ground, Plan, Wish, spares_of

Answer = Literal["no", "yes", "unknown", "not-asked"]


def _file(number: int, *names: str, links: int = 0, mode: int = 0o644, uid: int = 0, mtime: int = 1) -> StoredFile:
    return StoredFile(
        device=1,
        inode=number,
        size=100_000,
        allocated=102_400,
        mode=0o100000 | mode,
        uid=uid,
        gid=0,
        links=links or len(names),
        mtime=mtime,
        ctime=1,
        names=names,
    )


_PLACE = Place(path="/", filesystem="ext4:8:1", device=1, type="ext4", mount=20)


def _ground(
    *,
    answers: Mapping[tuple[str, str], Answer] | None = None,
    places: Mapping[str, Place] | None = None,
    attributes: Mapping[int, str] | None = None,
    reflinks: Literal["extents", "clone", ""] = "",
    loadable: bool = True,
    refused: Callable[[StoredFile, bool], Bar | Literal[""]] = lambda _file, _replaced: "",
    nocow: Sequence[int] = (),
) -> Ground:
    """A ground on which the environment of a file is its first directory, and all else as is said."""
    return Ground(
        owner=lambda name: Owner(environment="/" + name.split("/")[1]),
        environment=lambda name: "/" + name.split("/")[1],
        place=lambda name: (places or {}).get("/" + name.split("/")[1], _PLACE),
        traits=lambda file: Traits((attributes or {}).get(file.inode, ""), copied_on_write=file.inode not in nocow),
        loadable=lambda _file: loadable,
        together=lambda _environment, one, other: Together(
            answer=(answers or {}).get((one, other), "no"), why=(f"{one} and {other}",)
        ),
        kept_apart=lambda name: name.endswith("/RECORD"),
        exclusive=lambda file: file.allocated - 4096,
        reflinks=lambda _place: reflinks,
        refused=refused,
    )


def _plan(*files: StoredFile, ground: Ground | None = None, how: Plan = "auto", within: bool = False) -> list[Spare]:
    copies = Copies(size=100_000, filesystem="ext4:8:1", files=files)
    return spares_of([copies], ground or _ground(), Wish(how=how, within_env=within))


def _told(spares: list[Spare]) -> list[tuple[int, int, str, int]]:
    return [(one.file.inode, one.kept.inode, one.bar or one.how, one.frees) for one in spares]


def test_the_one_with_the_most_names_stays() -> None:
    spares = _plan(_file(1, "/a/x"), _file(2, "/b/x", "/c/x"), _file(3, "/d/x"))
    assert _told(spares) == [(1, 2, "hardlink", 102_400), (3, 2, "hardlink", 102_400)]


def test_names_that_nobody_knows_keep_it_from_being_freed() -> None:
    spares = _plan(_file(1, "/a/x", links=3), _file(2, "/b/x", links=2))
    assert _told(spares) == [(2, 1, "links-outside", 0)]


def test_shared_extents_are_those_of_all_names() -> None:
    spares = _plan(_file(1, "/a/x", links=3), _file(2, "/b/x", links=2), ground=_ground(reflinks="extents"))
    assert _told(spares) == [(2, 1, "extents", 98_304)]
    assert _told(_plan(_file(1, "/a/x"), _file(2, "/b/x"), how="reflink")) == [(2, 1, "no-reflinks", 0)]


def test_a_clone_replaces_known_names_alone() -> None:
    ground = _ground(reflinks="clone")
    assert _told(_plan(_file(1, "/a/x", links=3), _file(2, "/b/x", links=2), ground=ground))[0][2] == "links-outside"
    assert _told(_plan(_file(1, "/a/x"), _file(2, "/b/x", mode=0o755), ground=ground))[0][2] == "clone"


@pytest.mark.parametrize(
    ("other", "bar"),
    [
        (_file(2, "/b/x", mode=0o755), "mode-differs"),
        (_file(2, "/b/x", uid=1000), "owner-differs"),
        (_file(2, "/b/x", mode=0o4644), "set-id"),
        (_file(2, "/b/RECORD"), "kept-apart"),
        (_file(2, "/b/x.py", mtime=2), "source-times"),
    ],
)
def test_an_inode_has_one_set_of_all_that_is_not_bytes(other: StoredFile, bar: str) -> None:
    assert _told(_plan(_file(1, "/a/x", "/a/y"), other)) == [(2, 1, bar, 0)]


def test_attributes_are_compared() -> None:
    ground = _ground(attributes={2: "security.capability"})
    assert _told(_plan(_file(1, "/a/x"), _file(2, "/b/x"), _file(3, "/c/x"), ground=ground)) == [
        (2, 1, "attributes-differ", 0),
        (3, 1, "hardlink", 102_400),
    ]


def test_what_may_not_join_the_first_joins_one_like_itself() -> None:
    files = (_file(1, "/a/x"), _file(2, "/b/x", mode=0o755), _file(3, "/c/x", mode=0o755))
    assert _told(_plan(*files)) == [(2, 1, "mode-differs", 0), (3, 2, "hardlink", 102_400)]


@pytest.mark.parametrize(
    ("place", "bar"),
    [
        (replace(_PLACE, mount=21), "other-mount"),
        (replace(_PLACE, device=2), "other-mount"),
        (replace(_PLACE, read_only=True), "read-only"),
        (replace(_PLACE, type="overlay"), "image-layer"),
    ],
)
def test_places_that_no_link_leads_to(place: Place, bar: str) -> None:
    ground = _ground(places={"/b": place})
    assert _told(_plan(_file(1, "/a/x"), _file(2, "/b/x"), ground=ground)) == [(2, 1, bar, 0)]


def test_other_file_systems_keep_what_they_have() -> None:
    there = replace(_PLACE, filesystem="xfs:8:2", device=2)
    ground = _ground(places={"/b": there, "/c": there})
    files = (_file(1, "/a/x"), _file(2, "/b/x"), _file(3, "/c/x"))
    assert _told(_plan(*files, ground=ground)) == [(2, 1, "other-filesystem", 0), (3, 2, "hardlink", 102_400)]
    assert _told(_plan(*files, ground=ground, how="symlink")) == [
        (2, 1, "symlink", 102_400),
        (3, 1, "symlink", 102_400),
    ]


def test_links_are_counted() -> None:
    many = _file(1, *(f"/a/{number}" for number in range(64_999)))
    assert _told(_plan(many, _file(2, "/b/x"), _file(3, "/c/x"))) == [
        (2, 1, "hardlink", 102_400),
        (3, 1, "too-many-links", 0),
    ]


@pytest.mark.parametrize("answer", ["yes", "unknown"])
def test_two_libraries_of_a_process_stay_two(answer: Answer) -> None:
    """The case of one package's library at two paths of each of two environments, each a file of its own."""
    pairs = {(f"/{env}/y", f"/{env}/x"): answer for env in "ab"}
    files = (_file(1, "/a/x"), _file(2, "/a/y"), _file(3, "/b/x"), _file(4, "/b/y"))
    assert _told(_plan(*files, ground=_ground(answers=pairs))) == [
        (2, 1, "one-library", 0),
        (3, 1, "hardlink", 102_400),
        (4, 2, "hardlink", 102_400),
    ]
    assert [row[2] for row in _told(_plan(*files, ground=_ground(answers=pairs), within=True))] == ["hardlink"] * 3
    shared = _plan(*files, ground=_ground(answers=pairs, reflinks="extents"))
    assert [one.how for one in shared] == ["extents"] * 3


def test_only_what_loaders_take_is_asked_about() -> None:
    pairs: dict[tuple[str, str], Answer] = {("/a/y", "/a/x"): "not-asked"}
    files = (_file(1, "/a/x"), _file(2, "/a/y"))
    assert _told(_plan(*files, ground=_ground(answers=pairs))) == [(2, 1, "not-asked", 0)]
    assert _told(_plan(*files, ground=_ground(answers=pairs, loadable=False))) == [(2, 1, "hardlink", 102_400)]


def test_names_that_are_linked_already_are_asked_about_too() -> None:
    """Each environment is linked to an entry of its own in the cache: joining the entries joins what is inside."""
    pairs: dict[tuple[str, str], Answer] = {("/a/y", "/a/x"): "yes"}
    files = (_file(1, "/a/x", "/b/x", "/cache/x"), _file(2, "/a/y", "/b/y", "/cache/y"))
    assert _told(_plan(*files, ground=_ground(answers=pairs))) == [(2, 1, "one-library", 0)]
    assert _plan(*files, ground=_ground(answers=pairs))[0].why == ("/a/y and /a/x",)
    assert _told(_plan(*files)) == [(2, 1, "hardlink", 102_400)]
    assert _plan(*files)[0].why == ()


def test_symbolic_links_take_the_place_of_no_program() -> None:
    files = (_file(1, "/a/x"), _file(2, "/b/x"))
    assert _told(_plan(*files, how="symlink")) == [(2, 1, "symlink", 102_400)]
    programs = (_file(1, "/a/x", mode=0o755), _file(2, "/b/x", mode=0o755))
    assert _told(_plan(*programs, how="symlink")) == [(2, 1, "program", 0)]


def test_what_is_shared_already_is_no_gain() -> None:
    copies = Copies(size=9, filesystem="btrfs:1", files=(_file(1, "/a/x"), _file(2, "/b/x")), extents=(0, 0))
    assert _told(spares_of([copies], _ground(reflinks="extents"), Wish())) == [(2, 1, "already-shared", 0)]


def test_files_that_share_with_each_other_free_their_storage_once() -> None:
    files = (_file(1, "/a/x", "/e/x"), *(_file(number, f"/{letter}/x") for number, letter in enumerate("bcd", 2)))
    copies = Copies(size=9, filesystem="btrfs:1", files=files, extents=(0, 1, 1, 2))
    assert _told(spares_of([copies], _ground(reflinks="extents"), Wish())) == [
        (2, 1, "extents", 102_400),
        (3, 1, "extents", 0),
        (4, 1, "extents", 98_304),
    ]


def test_the_storage_that_most_have_stays() -> None:
    files = tuple(_file(number, f"/{letter}/x") for number, letter in enumerate("abc", 1))
    copies = Copies(size=9, filesystem="btrfs:1", files=files, extents=(0, 1, 1))
    assert _told(spares_of([copies], _ground(reflinks="extents"), Wish())) == [
        (3, 2, "already-shared", 0),
        (1, 2, "extents", 98_304),
    ]


def test_storage_that_others_use_is_not_freed() -> None:
    """The one that has some of its own goes, whatever it is called; where none has, none does."""
    copies = Copies(size=9, filesystem="btrfs:1", files=(_file(1, "/a/x"), _file(2, "/b/x"), _file(3, "/c/x")))
    held = replace(_ground(reflinks="extents"), exclusive=lambda file: 4096 if file.inode == 1 else 0)
    assert _told(spares_of([copies], held, Wish())) == [(3, 2, "storage-outside", 0), (1, 2, "extents", 4096)]


def test_what_comes_of_links_inside_an_environment_is_told() -> None:
    pairs: dict[tuple[str, str], Answer] = {("/a/y", "/a/x"): "yes"}
    files = (_file(1, "/a/x"), _file(2, "/a/y"), _file(3, "/b/x"))
    found = _plan(*files, ground=_ground(answers=pairs), within=True)
    assert [(one.how, one.why) for one in found] == [("hardlink", ("/a/y and /a/x",)), ("hardlink", ())]


def test_what_no_loader_takes_is_asked_nothing() -> None:
    """Each file was held against all names before it: four thousand equal ones took eight million questions."""

    def asked(_environment: str, _one: str, _other: str) -> Together:
        raise AssertionError

    asks = replace(_ground(loadable=False), together=asked)
    assert _told(_plan(_file(1, "/a/x"), _file(2, "/a/y"), ground=asks)) == [(2, 1, "hardlink", 102_400)]
    with pytest.raises(AssertionError):
        _plan(_file(1, "/a/x"), _file(2, "/a/y"), ground=replace(asks, loadable=lambda _file: True))


def test_nothing_is_planned_that_is_refused() -> None:
    def refused(file: StoredFile, replaced: bool) -> Bar | Literal[""]:  # noqa: FBT001
        return "not-permitted" if file.inode == 2 and replaced else "unchangeable" if file.inode == 3 else ""

    files = _file(1, "/a/x"), _file(2, "/b/x"), _file(3, "/c/x")
    found = _plan(*files, ground=_ground(refused=refused))
    assert _told(found) == [(2, 1, "not-permitted", 0), (3, 1, "unchangeable", 0)]
    found = _plan(*files, ground=_ground(refused=refused, reflinks="extents"))  # each stays where it is
    assert _told(found) == [(2, 1, "extents", 98_304), (3, 1, "unchangeable", 0)]
    assert _told(_plan(*files[1:], ground=_ground(refused=refused, reflinks="extents"))) == [(3, 2, "unchangeable", 0)]


def test_files_that_are_never_copied_on_write_share_with_their_like() -> None:
    """One of them stays first, and keeps nobody else from sharing."""
    files = (_file(1, "/a/x", links=2), _file(2, "/b/x"), _file(3, "/c/x"), _file(4, "/d/x"))
    ground = _ground(reflinks="extents", nocow=(1, 3))
    assert _told(_plan(*files, ground=ground)) == [
        (2, 1, "copying-differs", 0),
        (3, 1, "extents", 98_304),
        (4, 2, "extents", 98_304),
    ]
    alone = _ground(reflinks="extents", nocow=(1,))
    assert [one.how for one in _plan(*files, ground=alone)] == ["", "extents", "extents"]
