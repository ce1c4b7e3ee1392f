"""Why files are stored again: each cause by the fact that decides on it, and what it is without that fact."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pytest

from runworthy.model.records import replace
from runworthy.model.storage import CAUSES, Cause
from runworthy.storage.causes import linking_environments
from runworthy.storage.wastes import wastes_of
from tests.rules.storage import findings_of, situation_of, spares_of, wastes_in

_A, _B, _CACHE = "/data/a/.venv", "/data/b/.venv", "/home/me/.cache/uv"
_HERE = {"type": "ext4", "at": "/data", "filesystem": "ext4:1", "device": 1, "mount": 1}
_UV = "uv 0.8.3"


def _facts(
    one: Mapping[str, Any] | None = None,
    other: Mapping[str, Any] | None = None,
    *,
    cache: Mapping[str, Any] | None = None,
    a: Mapping[str, Any] | None = None,
    b: Mapping[str, Any] | None = None,
    **more: object,
) -> dict[str, Any]:
    """Return two environments of uv with one file each out of one package; the file of the first is kept."""
    kept = {"names": [f"{_A}/lib/x.so"], "package": "pkg 1.0", "installer": "uv", **(one or {})}
    spare = {"names": [f"{_B}/lib/x.so"], "package": "pkg 1.0", "installer": "uv", **(other or {})}
    environments: dict[str, Any] = {
        _A: {"kind": "venv", "place": "here", "installer": _UV, **(a or {})},
        _B: {"kind": "venv", "place": "here", "installer": _UV, **(b or {})},
    }
    places: dict[str, Any] = {"here": dict(_HERE)}
    if cache is not None:
        places["there"] = {**_HERE, "at": "/home", **cache}
        environments[_CACHE] = {"kind": "uv-cache", "place": "there"}
    return {"places": places, "environments": environments, "copies": [{"size": 65536, "files": [kept, spare]}], **more}


_OTHER: Mapping[str, Any] = {"filesystem": "xfs:2", "device": 2, "mount": 2}
_BOUND: Mapping[str, Any] = {"mount": 2}
_BTRFS: Mapping[str, Any] = {"here": {**_HERE, "type": "btrfs"}, "there": {**_HERE, "type": "btrfs", "device": 2}}
_ONE_BTRFS: Mapping[str, Any] = {name: {**_HERE, "type": "btrfs"} for name in ("here", "there")}
_OVERLAY: Mapping[str, Any] = {name: {**_HERE, "type": "overlay"} for name in ("here", "there")}
_SAME: Mapping[str, Any] = {}
_COPY: Mapping[str, Any] = {"installer": "uv", "links": "copy", "said": "x"}
_FAR: Mapping[str, Any] = {"installer": "uv", "cache": "far:/far/uv", "cache_said": "x"}
_PIP: Mapping[str, Any] = {"installer": "pip"}
_IN_CACHE = {"names": [f"{_A}/lib/x.so", f"{_CACHE}/1/x.so"]}
_IN_CACHE_TOO = {"names": [f"{_B}/lib/x.so", f"{_CACHE}/2/x.so"]}
_CONDA: Mapping[str, Any] = {"kind": "conda", "installer": "conda 24.9"}

_CASES: Sequence[tuple[str, dict[str, Any], Cause]] = [
    ("cache on another file system", _facts(cache=_OTHER), "other-filesystem"),
    ("cache behind a bind mount", _facts(cache=_BOUND), "bind-mount"),
    ("cache in another subvolume", _facts(cache=_SAME) | {"places": _BTRFS}, "subvolume"),
    ("cache beside, nothing said", _facts(cache=_SAME), "copy-setting"),
    ("no cache known", _facts(), "separate-copies"),
    ("told to copy, no cache known", _facts(settings={_B: [_COPY]}), "copy-setting"),
    (
        "told to make reflinks where there are none",
        _facts(settings={_B: [{**_COPY, "links": "clone"}]}),
        "copy-setting",
    ),
    ("another installer was told to copy", _facts(settings={_B: [{**_COPY, "installer": "pnpm"}]}), "separate-copies"),
    ("pip", _facts(_PIP, _PIP, cache=_OTHER), "copying-installer"),
    ("pip beside uv", _facts(None, _PIP, cache=_SAME), "copying-installer"),
    ("uv, linked, beside pip", _facts(_PIP, _IN_CACHE_TOO, cache=_SAME), "copying-installer"),
    ("pip, another version", _facts(_PIP, {**_PIP, "package": "pkg 1.1"}), "separate-cache-entries"),
    (
        "another version, each linked",
        _facts(_IN_CACHE, {**_IN_CACHE_TOO, "package": "pkg 1.1"}, cache=_SAME),
        "separate-cache-entries",
    ),
    ("another version, not linked", _facts(None, {"package": "pkg 1.1"}, cache=_OTHER), "separate-cache-entries"),
    (
        "another build, each linked",
        _facts({"package": "pkg 1.0 a"}, {"package": "pkg 1.0 b"}, cache=_SAME),
        "separate-cache-entries",
    ),
    ("one package, two entries", _facts(_IN_CACHE, _IN_CACHE_TOO, cache=_SAME), "separate-cache-entries"),
    (
        "two packages of conda",
        _facts({"installer": "conda"}, {"installer": "conda", "package": "other 1.0"}, a=_CONDA, b=_CONDA),
        "separate-cache-entries",
    ),
    (
        "conda and pip",
        _facts({"installer": "conda"}, {**_PIP, "package": "pkg 1.0"}, a=_CONDA),
        "separate-cache-entries",
    ),
    (
        "linked elsewhere, the cache has another",
        _facts(_IN_CACHE, {"names": [f"{_B}/lib/x.so", "/data/c/lib/x.so"]}, cache=_SAME),
        "not-in-cache",
    ),
    ("names outside, the cache has another", _facts(_IN_CACHE, {"links": 2}, cache=_SAME), "not-in-cache"),
    ("names outside, and no cache known", _facts({"links": 2}, {"links": 2}), "separate-copies"),
    ("not linked where others are", _facts(cache=_SAME, linking=[_B]), "not-in-cache"),
    ("patched", _facts({"patched": True}, {"patched": True}, cache=_OTHER), "prefix-patched"),
    ("two packages of wheels", _facts(None, {"package": "other 1.0"}, cache=_OTHER), "vendored"),
    ("two packages of pip", _facts(_PIP, {**_PIP, "package": "other 1.0"}), "vendored"),
    ("one package, one environment", _facts(_PIP, {**_PIP, "names": [f"{_A}/lib/x.so.1"]}), "version-chain"),
    ("installed in place", _facts({"editable": True}, {"editable": True}, cache=_OTHER), "editable"),
    ("installed in place and from a wheel", _facts(None, {"editable": True}), "editable"),
    ("another owner", _facts(_IN_CACHE, {**_IN_CACHE_TOO, "uid": 0}, cache=_SAME), "permissions"),
    ("another mode, not linked", _facts(None, {"mode": 0o100755}, cache=_SAME), "permissions"),
    ("65,000 names", _facts({"links": 65000}, None, cache=_SAME), "too-many-links"),
    ("64,500 names", _facts({"links": 64500}, None, cache=_SAME), "too-many-links"),
    ("60,000 names", _facts({"links": 60000}, None, cache=_SAME), "copy-setting"),
    ("over an overlay", _facts(cache=_SAME) | {"places": _OVERLAY}, "image-layer"),
    ("in a layer", _facts(_PIP, {**_PIP, "names": ["/var/lib/docker/overlay2/0a/diff/x.so"]}), "image-layer"),
    ("in no record", _facts({"package": ""}, {"package": "", "installer": ""}), "separate-copies"),
    ("an installer that nobody knows", _facts({"installer": "own"}, {"installer": "own"}), "separate-copies"),
]


def _cause(facts: Mapping[str, Any]) -> Cause:
    (spare,) = spares_of(facts)
    return spare.cause


@pytest.mark.parametrize(("facts", "cause"), [pytest.param(*row[1:], id=row[0]) for row in _CASES])
def test_a_cause_rests_on_what_is_there(facts: dict[str, Any], cause: Cause) -> None:
    assert _cause(facts) == cause


def test_there_is_a_case_of_each_cause() -> None:
    assert {cause for _, _, cause in _CASES} == set(CAUSES) == set(get_args(Cause))


@pytest.mark.parametrize(("facts", "cause"), [pytest.param(*row[1:], id=row[0]) for row in _CASES])
def test_what_records_say_of_links_changes_nothing(facts: dict[str, Any], cause: Cause) -> None:
    """They say "hard" of plain copies (rattler), so they are no evidence of anything."""
    for link in ("hard", "soft", "copy"):
        changed = copy.deepcopy(facts)
        for file in changed["copies"][0]["files"]:
            file["link"] = link
        assert _cause(changed) == cause


def test_it_is_told_whose_doing_it_is() -> None:
    """Where the other one was copied, though the spare one is linked, it is the other's."""
    (waste,) = wastes_in(_facts({**_PIP, "links": 1}, _IN_CACHE_TOO, a={"installer": "pip 24.2"}, cache=_SAME))
    assert (waste.environment, waste.other) == (_B, _A)
    assert (waste.cause_in, waste.installer, waste.version) == (_A, "pip", "24.2")
    (finding,) = findings_of([waste])
    assert f"that is so of `{_A}`" in finding.notes


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (
            _facts(cache=_OTHER),
            (("cache", f"{_CACHE} (ext4 at /home)"), ("environment", f"{_B} (ext4 at /data)"), ("links", "1")),
        ),
        (
            _facts(_PIP, _PIP, b={"installer": "pip 24.2"}),
            (("installer", "pip 24.2"), ("versions", "no version of pip links what it installs")),
        ),
        (_facts(None, {"package": "other 1.0"}), (("packages", "other 1.0, pkg 1.0"),)),
        (_facts({"package": ""}, {"package": ""}), (("in no record", f"{_B}/lib/x.so"),)),
    ],
)
def test_the_facts_are_told(facts: dict[str, Any], told: tuple[tuple[str, str], ...]) -> None:
    (waste,) = wastes_in(facts)
    assert waste.facts == told


def test_the_cache_that_settings_name_is_the_one() -> None:
    """A cache that lies beside is not, where a record says that another one was used."""
    facts = _facts(cache=_SAME)
    facts["places"]["far"] = {**_OTHER, "type": "xfs", "at": "/far"}
    facts["settings"] = {_B: [{"installer": "uv", "cache": "far:/far/uv", "cache_said": "UV_CACHE_DIR"}]}
    (waste,) = wastes_in(facts)
    assert (waste.cause, waste.cache) == ("other-filesystem", "/far/uv")


@pytest.mark.parametrize(
    ("facts", "cache"),
    [
        (_facts(), "not found"),
        (_facts({"links": 2}, {"links": 2}), "not found"),
        (_facts({"links": 2}, {"links": 2}, settings={_B: [_FAR]}), "/far/uv, which was not looked at"),
        (_facts({"links": 2}, {"links": 2}, cache=_SAME), None),
    ],
)
def test_what_is_not_known_of_the_cache_is_told(facts: dict[str, Any], cache: str | None) -> None:
    """Uv links: what has no link, or one that leads nobody knows where, was not copied by it for sure."""
    facts["places"]["far"] = {**_HERE, "at": "/far"}
    (waste,) = wastes_in(facts)
    assert dict(waste.facts).get("cache") == cache
    assert waste.cause == ("separate-copies" if cache else "not-in-cache")
    if cache:
        (finding,) = findings_of([waste])
        assert "uv 0.8.3 links what it installs from its cache, and nothing tells what that had" in finding.message


def test_of_several_caches_nobody_knows_which_it_was() -> None:
    facts = _facts(cache=_SAME)
    facts["environments"]["/home/me/uv2"] = {"kind": "uv-cache", "place": "there"}
    (waste,) = wastes_in(facts)
    assert (waste.cause, dict(waste.facts)["cache"]) == ("separate-copies", "one of 2")


@pytest.mark.parametrize(
    "facts",
    [_facts(_IN_CACHE, {"links": 2}, cache=_SAME), _facts(cache=_SAME, linking=[_B]), _facts(cache=_SAME)],
)
def test_no_history_is_told_that_nothing_shows(facts: dict[str, Any]) -> None:
    """An environment that was copied (cp -a), with its cache or without, looks as one whose cache was cleaned."""
    (waste,) = wastes_in(facts)
    (finding,) = findings_of([waste])
    assert not [word for word in ("replaced", "removed", "copied it", "linked it to") if word in finding.message]


@pytest.mark.parametrize(
    ("installer", "words"),
    [
        ("pip", ", and wheels cannot hold links"),
        ("uv", ", and wheels cannot hold links"),
        ("npm", ", and npm unpacks no links"),
        ("dpkg", ", though Debian packages can hold links"),
        ("apk", ", though Alpine packages can hold links"),
        ("rattler", ", though conda packages can hold links"),
        ("conda", ", though conda packages can hold links"),
        ("own", ""),
    ],
)
def test_a_chain_is_told_of_the_kind_of_package(installer: str, words: str) -> None:
    """Wheels are not what a distribution's packages are, nor what conda's are."""
    files = {"installer": installer}
    facts = _facts(files, {**files, "names": [f"{_A}/lib/x.so.1"]})
    (waste,) = wastes_in(facts)
    (finding,) = findings_of([waste])
    assert finding.code == "RW810"
    assert finding.message.endswith(f": the package has it under several names{words}")
    assert "wheel" in finding.message or "wheel" not in f"{finding.cause}{finding.notes}"


def test_reflinks_are_links() -> None:
    """What shares its storage with its cache's entry is not a copy: the entries are two."""
    facts = _facts({"package": "pkg 1.0"}, {"package": "pkg 1.0"}, cache=_SAME) | {"places": _ONE_BTRFS}
    assert _cause(facts) == "copy-setting"
    files = next((spare.file, spare.kept) for spare in spares_of(facts))
    assert _cause(facts | {"cloned": [(file.device, file.inode) for file in files]}) == "not-in-cache"


def test_pnpm_knows_files_by_their_bytes() -> None:
    """Two packages are one entry of its store."""
    node: Mapping[str, Any] = {"kind": "node_modules", "installer": "pnpm 10.1.0"}
    facts = _facts({"installer": "pnpm"}, {"installer": "pnpm", "package": "other 1.0"}, a=node, b=node)
    facts["places"]["far"] = {**_OTHER, "type": "xfs", "at": "/far"}
    facts["environments"]["/far/store/v10"] = {"kind": "pnpm-store", "place": "far"}
    assert _cause(facts) == "other-filesystem"


def test_each_copy_is_held_against_that_of_its_own_package() -> None:
    """Two packages with one library, in two environments that copy: one too many by the package, two by copying."""
    files = [
        {"names": [f"{top}/lib/{package}/x.so"], "package": f"{package} 1.0", "installer": "pip"}
        for top in (_A, _B)
        for package in ("one", "two")
    ]
    facts = _facts() | {"copies": [{"size": 65536, "files": files}]}
    causes = {spare.file.names[0]: spare.cause for spare in spares_of(facts)}
    assert causes == {
        f"{_A}/lib/two/x.so": "vendored",
        f"{_B}/lib/one/x.so": "copying-installer",
        f"{_B}/lib/two/x.so": "copying-installer",
    }
    assert all(waste.facts for waste in wastes_in(facts))


def test_installers_are_told_apart() -> None:
    """What pip and what npm copied into one environment is two things: each has another setting."""
    files: list[list[dict[str, Any]]] = [
        [{"names": [f"{top}/lib/x.so"], "package": "pkg 1.0", "installer": "pip"} for top in (_A, _B)],
        [
            {
                "names": [f"{top}/node_modules/left/x.node"],
                "package": "left 1.0",
                "installer": "npm",
                "manifest": f"{top}/node_modules/left/package.json",
            }
            for top in (_A, _B)
        ],
    ]
    facts = _facts() | {"copies": [{"size": 65536, "files": held} for held in files]}
    wastes = wastes_in(facts)
    assert [(one.cause, one.installer, one.setting[:8], one.files) for one in wastes] == [
        ("copying-installer", "npm", "use pnpm", 1),
        ("copying-installer", "pip", "use uv, ", 1),
    ]
    assert len({finding.cause for finding in findings_of(wastes)}) == 2


def test_a_package_of_another_kind_is_not_the_environments_installers() -> None:
    """A package.json in what pip filled is a package of npm's kind, that some installer brought."""
    record = {"installer": "", "manifest": f"{_B}/node_modules/left/package.json"}
    facts = _facts({**record}, {**record}, a={"installer": "pip 24.2"}, b={"installer": "pip 24.2"})
    assert _cause(facts) == "separate-copies"
    for manifest in (f"{_B}/lib/pkg-1.0.dist-info/RECORD", f"{_B}/lib/pkg.egg-info/installed-files.txt", ""):
        for file in facts["copies"][0]["files"]:
            file["manifest"] = manifest
        assert _cause(facts) == "copying-installer"


def test_many_environments_at_fault_have_one_setting_or_none() -> None:
    """What each of several mounts would want is no proposal for all."""
    facts = _facts(cache=_OTHER)
    facts["copies"] = []
    for at in range(8):
        top = f"/disk{at}/.venv"
        facts["places"][f"disk{at}"] = {**_HERE, "at": f"/disk{at}"}
        facts["environments"][top] = {"kind": "venv", "place": f"disk{at}", "installer": _UV}
        names = ([f"{top}/lib/x.so"], [f"{_B}/lib/{at}/lib/x.so", f"{_CACHE}/{at}/lib/x.so"])
        files = [{"names": held, "package": f"p{at} 1.0", "installer": "uv"} for held in names]
        facts["copies"].append({"size": 65536 * (at + 1), "files": files})
    wastes = {one.other: one for one in wastes_in(facts)}
    assert wastes["/disk7/.venv"].cause_in == "/disk7/.venv"
    assert wastes["/disk7/.venv"].setting.startswith('`cache-dir = "/disk7/.cache/uv"`')
    assert (wastes[""].cause_in, wastes[""].setting, wastes[""].version, wastes[""].files) == ("", "", "", 5)


# -- environments that link --------------------------------------------------------------------


def test_an_environment_links_where_a_file_of_it_has_names_elsewhere() -> None:
    environments = situation_of(_facts(cache=_SAME)).environments
    files = [
        ((f"{_A}/x", f"{_CACHE}/x"), 2),
        ((f"{_B}/x", f"{_B}/y"), 2),
        ((f"{_B}/z",), 1),
    ]
    assert linking_environments(files, environments) == {_A}
    assert linking_environments([((f"{_B}/z",), 2)], environments) == {_B}
    assert linking_environments([(("/nobody/x", "/nobody/y"), 2)], environments) == frozenset()


# -- wastes ------------------------------------------------------------------------------------


def _many(number: int, **more: object) -> dict[str, Any]:
    """Return files of ``number`` environments that the first has too."""
    facts: dict[str, Any] = {"environments": {f"/e/{at}": {"kind": "tree"} for at in range(number)}, "copies": []}
    for at in range(1, number):
        files = [{"names": [f"/e/{at}/{{n}}"]}, {"names": ["/e/0/{n}"], **more}]
        facts["copies"].append({"size": 4096 * at, "times": 3, "files": files})
    return facts


def test_wastes_are_the_largest_first_and_sum_up() -> None:
    facts = _many(4)
    wastes = wastes_in(facts)
    assert [waste.other for waste in wastes] == ["/e/3", "/e/2", "/e/1"]
    assert sum(waste.size for waste in wastes) == sum(spare.file.allocated for spare in spares_of(facts))
    assert sum(waste.files for waste in wastes) == len(spares_of(facts))
    assert wastes == wastes_in(facts | {"copies": facts["copies"][::-1]})


def test_many_other_environments_are_told_at_once() -> None:
    """The three largest by themselves; nothing is lost."""
    wastes = wastes_in(_many(8))
    assert [waste.other for waste in wastes] == ["", "/e/7", "/e/6", "/e/5"]
    assert sum(waste.files for waste in wastes) == 21
    assert wastes[0].size == 3 * 4096 * (1 + 2 + 3 + 4)


@pytest.mark.parametrize(
    ("kinds", "package", "how", "safe"),
    [
        (("tree", "tree"), "", "hardlink", False),
        (("tree", "tree"), "", "symlink", False),
        (("tree", "tree"), "", "extents", True),
        (("tree", "tree"), "", "clone", True),
        (("tree", "tree"), "pkg 1.0", "hardlink", True),
        (("venv", "tree"), "", "hardlink", False),
        (("tree", "venv"), "", "hardlink", False),
        (("root", "root"), "", "hardlink", False),
        (("root", "root"), "pkg 1.0", "hardlink", True),
        (("venv", "venv"), "", "hardlink", True),
        (("venv", "conda"), "pkg 1.0", "hardlink", True),
    ],
)
def test_hard_links_of_what_nobody_owns_are_not_called_safe(
    kinds: tuple[str, str], package: str, how: str, *, safe: bool
) -> None:
    """Two documents in two projects are edited in place; what an installer brought is not, and extents part again."""
    facts = _facts({"package": package}, {"package": package, "how": how}, a={"kind": kinds[0]}, b={"kind": kinds[1]})
    (waste,) = wastes_in(facts)
    (finding,) = findings_of([waste])
    (sharing,) = (one for one in finding.remedies if one.edits)
    assert (sharing.applicability, bool(sharing.unsafe)) == (("safe", False) if safe else ("unsafe", True))
    assert any("changes one in place" in note for note in finding.notes) is not safe
    assert waste.shares  # it is told, and done when it is asked for


def test_what_is_plain_is_told_by_itself() -> None:
    """A package in a tree stays safe beside a document there, and each finding is known by itself."""
    facts = _facts({"installer": ""}, {"installer": ""}, a={"kind": "tree"}, b={"kind": "tree"})
    files = [{"names": [f"{top}/doc.pdf"]} for top in (_A, _B)]
    facts["copies"].append({"size": 99999, "files": files})
    found = findings_of(wastes_in(facts))
    assert sorted(one.remedies[0].applicability for one in found) == ["safe", "unsafe"]
    assert len({one.fingerprint for one in found}) == 2


def test_lists_are_bounded_and_shares_are_not() -> None:
    files: list[dict[str, Any]] = [{"names": ["/e/0/{n}"]}, {"names": ["/e/1/{n}", "/e/1/other{n}"], "package": "p{n}"}]
    facts = {"environments": {"/e/0": {"kind": "tree"}, "/e/1": {"kind": "tree"}}}
    copies = [{"size": 4096, "files": _numbered(files, at)} for at in range(100)]
    (waste,) = wastes_in(facts | {"copies": copies})
    assert len(waste.packages) <= 20
    assert len(waste.examples) <= 10
    assert len(waste.shares) == waste.files == 100
    assert waste.shares[0].paths == ("/e/1/0", "/e/1/other0")
    assert waste.shares[0].kept == "/e/0/0"


def _numbered(files: Sequence[Mapping[str, Any]], number: int) -> list[dict[str, Any]]:
    text = str(number)
    return [
        {
            **file,
            "names": [name.replace("{n}", text) for name in file["names"]],
            "package": file.get("package", "").replace("{n}", text),
        }
        for file in files
    ]


def test_what_is_barred_is_counted_and_not_shared() -> None:
    (waste,) = wastes_in(_many(2, bar="set-id"))
    assert waste.bars == (("set-id", 3, 3 * 4096),)
    assert (waste.size, waste.frees, waste.shares) == (3 * 4096, 0, ())
    assert wastes_in(_many(2, bar="already-shared")) == ()


@pytest.mark.parametrize(("size", "why"), [(65536, "other files use the same storage"), (0, "no room is taken")])
def test_what_frees_nothing_is_no_proposal(size: int, why: str) -> None:
    """Of files that share their storage with each other all but the last free nothing; nor do files of holes alone."""
    found = [replace(one, frees=0) for one in spares_of(_facts(_PIP, {**_PIP, "allocated": size}))]
    (waste,) = wastes_of(found, situation_of(_facts()))
    assert waste.shares
    (finding,) = findings_of([waste])
    assert not [one for one in finding.remedies if one.edits or "0 bytes" in one.title]
    assert f"to share it frees nothing by itself: {why}" in finding.notes


@pytest.mark.parametrize("proof", ["recorded", "remembered"])
def test_what_nobody_compared_is_told(proof: str) -> None:
    (waste,) = wastes_in(_many(2, proof=proof))
    words = {"recorded": "recorded, not read", "remembered": "compared by an earlier run"}
    assert (words[proof], "3") in waste.facts
