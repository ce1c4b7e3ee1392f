"""Which setting would have spared what is stored again, and which versions of installers have it."""

from __future__ import annotations

from typing import Any

import pytest

from runworthy.model.storage import Cause, Environment, Place, Trial
from runworthy.storage.advice import advice_of, setting_for, with_trials
from runworthy.storage.installers import INSTALLERS, first_that_can, installer_named, versions_that_can
from tests.rules.storage import findings_of, situation_of, wastes_in

_PLACE = Place(path="/data/b/.venv", filesystem="ext4:1", device=1, type="ext4", point="/data")
_ROOT = Place(path="/srv/b/.venv", filesystem="ext4:1", device=1, type="ext4", point="/")


@pytest.mark.parametrize(
    ("cause", "installer", "place", "setting"),
    [
        ("other-filesystem", "uv", _PLACE, 'cache-dir = "/data/.cache/uv"'),
        ("other-filesystem", "uv", _ROOT, 'cache-dir = "/var/cache/uv"'),
        ("bind-mount", "pixi", _PLACE, "PIXI_CACHE_DIR=/data/.cache/pixi"),
        ("bind-mount", "magic", _PLACE, "use pixi, which took the place of magic, and have its cache beside it"),
        ("subvolume", "magic", _PLACE, "use pixi, which took the place of magic and makes reflinks"),
        ("copy-setting", "magic", _PLACE, "use pixi, which took the place of magic"),
        ("other-filesystem", "micromamba", _PLACE, "pkgs_dirs: [/data/.cache/conda/pkgs]"),
        ("other-filesystem", "pnpm", _PLACE, "storeDir: /data/.cache/pnpm/store"),
        ("subvolume", "uv", _PLACE, 'link-mode = "clone"'),
        ("subvolume", "conda", _PLACE, "pkgs_dirs: [/data/b/.cache/conda/pkgs]"),
        ("copy-setting", "uv", _PLACE, 'link-mode = "hardlink"'),
        ("copy-setting", "conda", _PLACE, "always_copy: false"),
        ("copy-setting", "pixi", _PLACE, "allow-hard-links = true"),
        ("copy-setting", "pnpm", _PLACE, "packageImportMethod: auto"),
        ("copying-installer", "pip", _PLACE, "use uv, which links what it installs"),
        ("copying-installer", "poetry", _PLACE, "use uv, which links what it installs"),
        ("copying-installer", "npm", _PLACE, "use pnpm, which links what it installs"),
        ("copying-installer", "", _PLACE, None),
        ("copy-setting", "", _PLACE, None),
        ("other-filesystem", "", _PLACE, None),
        ("separate-cache-entries", "uv", _PLACE, None),
        ("vendored", "pip", _PLACE, None),
        ("copy-setting", "nobody", _PLACE, None),
        ("other-filesystem", "uv", None, None),
    ],
)
def test_a_cause_has_the_setting_of_its_installer(
    cause: Cause, installer: str, place: Place | None, setting: str | None
) -> None:
    environment = Environment(path=place.path, kind="venv", place=place) if place else None
    advised = setting_for(cause, installer, "", None, environment)
    assert (advised.setting if advised else None) == setting


@pytest.mark.parametrize(
    ("cause", "setting"),
    [("other-filesystem", "PIXI_CACHE_DIR=/data/.cache/pixi"), ("copy-setting", None), ("subvolume", "PIXI_CACHE_DIR")],
)
def test_pixi_tells_uv_where_its_cache_is(cause: Cause, setting: str | None) -> None:
    """It brings uv along as a library, and no file of uv's settings is read."""
    advised = setting_for(cause, "uv", "", None, Environment(path=_PLACE.path, kind="pixi", place=_PLACE))
    assert (advised.setting[: len(setting or "")] if advised else None) == setting


def test_arguments_are_said_to_be_the_same_of_pip_alone() -> None:
    environment = Environment(path=_PLACE.path, kind="venv", place=_PLACE)
    notes = {name: setting_for("copying-installer", name, "", None, environment) for name in ("pip", "poetry", "npm")}
    told = {name: [note for note in advised.notes if "takes" in note] for name, advised in notes.items() if advised}
    assert told == {
        "pip": ["`uv pip install` takes the same arguments as `pip install`"],
        "poetry": [],
        "npm": ["`pnpm import` takes over package-lock.json"],
    }


def test_installers_go_by_the_names_in_their_records() -> None:
    assert installer_named("uv") is installer_named("uv-pixi") is INSTALLERS["uv"]
    assert installer_named("pip 24.2") is INSTALLERS["pip"]
    assert installer_named("py-rattler") is INSTALLERS["rattler"]
    assert installer_named("", "magic") is INSTALLERS["magic"]
    assert installer_named("", "venv") is installer_named("somebody", "conda") is None


@pytest.mark.parametrize(
    ("version", "first"), [("0.8.3", "0.10.5"), ("0.10.4", "0.10.5"), ("0.10.5", ""), ("0.11", ""), ("", ""), ("?", "")]
)
def test_the_first_version_that_can_is_told_of_older_ones(version: str, first: str) -> None:
    assert first_that_can(INSTALLERS["uv"], version, "clone") == first
    assert first_that_can(INSTALLERS["uv"], version, "hardlink") == ""
    words = f"uv makes reflinks of its own accord since {first}" if first else ""
    assert versions_that_can("subvolume", "uv", version) == words


def test_installers_that_never_can_are_told() -> None:
    assert versions_that_can("copying-installer", "pip", "24.2") == "no version of pip links what it installs"
    assert versions_that_can("subvolume", "conda", "24.9") == "no version of conda makes reflinks"
    assert versions_that_can("too-many-links", "uv", "0.10.8") == "uv begins a new file for it since 0.10.9"
    assert versions_that_can("other-filesystem", "uv", "0.1.0") == versions_that_can("subvolume", "nobody", "1") == ""


def _facts() -> dict[str, Any]:
    """Return three environments beside each other whose cache lies elsewhere; the last has most stored again."""
    far = {"type": "xfs", "at": "/far", "device": 2, "mount": 2}
    environments: dict[str, Any] = {
        f"/data/{name}/.venv": {"kind": "venv", "place": "data", "installer": "uv 0.8.3"} for name in "abc"
    }
    environments["/far/uv"] = {"kind": "uv-cache", "place": "far"}
    copies = [
        {
            "size": 65536,
            "times": times,
            "files": [
                {"names": [f"/data/{name}/.venv/{name}{{n}}.so"], "package": "pkg 1.0", "installer": "uv"}
                for name in names
            ],
        }
        for names, times in (("ab", 1), ("ac", 2))
    ]
    places = {"data": {"type": "ext4", "at": "/data", "mount": 1}, "far": far}
    return {"places": places, "environments": environments, "copies": copies}


@pytest.mark.parametrize(
    ("hard", "clone", "works"),
    [("", "", True), ("", "EOPNOTSUPP", True), ("EXDEV", "", True), ("EXDEV", "EXDEV", False)],
)
def test_a_trial_says_whether_it_would_work(hard: str, clone: str, works: bool) -> None:  # noqa: FBT001
    asked = []

    def tried(source: str, target: str) -> Trial:
        asked.append((source, target))
        return Trial(source=source, target=target, hard=hard, clone=clone)

    facts = _facts()
    (advice,) = advice_of(wastes_in(facts), situation_of(facts), tried)
    assert asked == [("/data/.cache/uv", "/data/c/.venv")]
    assert (advice.source, advice.target, advice.works) == ("/data/.cache/uv", "/data/c/.venv", works)
    assert advice.notes == ("the same for 1 more environment on the same mount",)
    assert advice.trial.startswith("a hard link ")
    assert all(word in advice.trial for word in (hard, clone))


@pytest.mark.parametrize(("hard", "words"), [("", "; tried: links work there"), ("EXDEV", "links are refused there")])
def test_what_a_trial_shows_is_told_with_the_finding(hard: str, words: str) -> None:
    """A setting that would not work must not be proposed as if nobody knew."""
    facts = _facts()
    wastes, situation = wastes_in(facts), situation_of(facts)
    assert {waste.works for waste in wastes} == {None}
    advice = advice_of(wastes, situation, lambda one, other: Trial(source=one, target=other, hard=hard, clone=hard))
    told = with_trials(wastes, advice, situation)
    assert [waste.works for waste in told] == [not hard] * 2
    (finding,) = (found for found in findings_of(told[:1]) if found.code == "RW801")
    assert words in finding.remedies[-1].title
    untold = with_trials(wastes, advice_of(wastes, situation, lambda *_: None), situation)
    assert untold == wastes


def test_a_trial_elsewhere_says_where_it_was_made() -> None:
    facts = _facts()
    wastes, situation = wastes_in(facts), situation_of(facts)
    (advice,) = advice_of(wastes, situation, lambda _, target: Trial(source="/data", target=target, hard="", clone=""))
    assert advice.trial.startswith("tried from /data to /data/c/.venv: a hard link works")


def test_what_could_not_be_tried_is_left_open() -> None:
    facts = _facts()
    (advice,) = advice_of(wastes_in(facts), situation_of(facts), lambda *_: None)
    assert (advice.works, advice.trial) == (None, "")


def test_reflinks_alone_do_not_help_who_makes_none() -> None:
    facts = _facts()
    for one in facts["environments"].values():
        one["installer"] = "conda 24.9"
        one["kind"] = "conda-cache" if one["kind"] == "uv-cache" else "conda"
    for copies in facts["copies"]:
        for file in copies["files"]:
            file["installer"] = "conda"
    (advice,) = advice_of(
        wastes_in(facts),
        situation_of(facts),
        lambda one, other: Trial(source=one, target=other, hard="EXDEV", clone=""),
    )
    assert advice.installer == "conda"
    assert advice.works is False
