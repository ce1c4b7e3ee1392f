"""Why files are stored again in what real installers made on real file systems: one cause for each way there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from runworthy.engine.dedupe.ground import Loadings, Reflinks, ground_of
from runworthy.model.records import replace
from runworthy.model.storage import Advice, Cause, Waste
from runworthy.storage.advice import advice_of
from runworthy.storage.causes import Situation, home_of, linking_environments, with_causes
from runworthy.storage.planning import Wish, spares_of
from runworthy.storage.wastes import wastes_of
from runworthy.targets.storage.caches import caches_for
from runworthy.targets.storage.copies import find_copies
from runworthy.targets.storage.environments import environments_of
from runworthy.targets.storage.extents import with_extents
from runworthy.targets.storage.owners import Owners
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.settings import settings_of
from runworthy.targets.storage.trials import trial
from runworthy.targets.storage.walk import Selection, walk, with_caches
from tests.storage import ground, installers

pytestmark = pytest.mark.judge


def _looked_at(paths: Iterable[Path], **variables: str) -> tuple[tuple[Waste, ...], Situation]:
    """Return what is stored again below some paths, told as a search tells it."""
    places = Places()
    walked = walk([str(path) for path in paths], Selection())
    environments = environments_of(walked, places)
    caches = caches_for(environments, variables, places)
    walked = with_caches(walked, [one.path for one in caches])
    by_path = {one.path: one for one in (*environments, *caches)}
    for directory in walked.devices:
        places.place(directory)
    found = find_copies(walked, filesystem_of=places.filesystem_of)
    copies = with_extents(found, lambda name: name.startswith(("btrfs", "xfs")), places.filesystem_of)
    owners = Owners(by_path.values())
    files = [file for one in copies for file in one.files]
    situation = Situation(
        environments=by_path,
        settings=settings_of(by_path.values(), variables, places),
        linking=linking_environments(((file.names, file.links) for file in walked.files.values()), by_path),
        cloned=[
            (file.device, file.inode)
            for one in copies
            for file, number in zip(one.files, one.extents, strict=bool(one.extents))
            if one.extents.count(number) > 1
        ],
    )
    assert files or not copies
    loadings = Loadings(copies, by_path.values(), owners)
    spares = spares_of(copies, ground_of(owners, places, Reflinks(), loadings.together), Wish())
    told = [
        replace(
            one, owner=owners.owner(home_of(one.file, situation)), kept_owner=owners.owner(home_of(one.kept, situation))
        )
        for one in spares
    ]
    return wastes_of(with_causes(told, situation), situation), situation


def _causes(paths: Iterable[Path], **variables: str) -> dict[Cause, set[str]]:
    """Return the names of the files by why they are stored again."""
    found: dict[Cause, set[str]] = {}
    for waste in _looked_at(paths, **variables)[0]:
        found.setdefault(waste.cause, set()).update(os.path.basename(path) for path, _, _ in waste.examples)
    return found


def _advice(paths: Iterable[Path], **variables: str) -> tuple[Advice, ...]:
    return advice_of(*_looked_at(paths, **variables), trial)


_VENDORED = "libgfortran-8a9d7c.so.5"
_CHAIN = {"libarrow.so", "libarrow.so.2000", "libarrow.so.2000.0.0"}
_MONNX = "libmonnx.so"
_PATCHED = {"libpython3.so", "libpython3.12.so.1.0"}


# -- uv and pip ------------------------------------------------------------------------------


def test_uv_with_its_cache_beside_shares_all_but_what_wheels_hold_twice(ext4: ground.Ground, tmp_path: Path) -> None:
    """Between two environments nothing is stored again; each wheel brings its library, one brings three names."""
    packages, cache = installers.wheels(tmp_path), ext4.path / "uv"
    made = [installers.venv(ext4.path / name, packages, cache=cache) for name in "ab"]
    found = _causes(made, UV_CACHE_DIR=str(cache))
    assert set(found) == {"vendored", "version-chain"}
    assert found["vendored"] == {_VENDORED}
    assert found["version-chain"] < _CHAIN


def test_uv_with_its_cache_on_another_file_system_copies(ext4: ground.Ground, tmp_path: Path) -> None:
    with ground.made("xfs", tmp_path) as far:
        packages, cache = installers.wheels(tmp_path), far.path / "uv"
        made = [installers.venv(ext4.path / name, packages, cache=cache) for name in "ab"]
        found = _causes(made, UV_CACHE_DIR=str(cache))
        assert {"_core.so", "libarrow.so", _VENDORED} <= found["other-filesystem"]
        assert set(found) == {"other-filesystem", "vendored", "version-chain"}
        (advice,) = _advice(made, UV_CACHE_DIR=str(cache))
        assert advice.setting == f'cache-dir = "{ext4.path}/.cache/uv"'
        assert advice.works is True
        assert trial(str(cache), str(made[0])).hard == "EXDEV"


def test_uv_with_its_cache_behind_a_bind_mount_copies(ext4: ground.Ground, tmp_path: Path) -> None:
    packages = installers.wheels(tmp_path)
    with ground.bound(ext4.path / "store", ext4.path / "seen") as seen:
        made = [installers.venv(ext4.path / name, packages, cache=seen) for name in "ab"]
        found = _causes(made, UV_CACHE_DIR=str(seen))
        assert {"_core.so", "libarrow.so"} <= found["bind-mount"]
        assert "other-filesystem" not in found


def test_uv_that_was_told_to_copy_did_so(ext4: ground.Ground, tmp_path: Path) -> None:
    packages, cache = installers.wheels(tmp_path), ext4.path / "uv"
    installers.venv(ext4.path / "a", packages, cache=cache)
    copied = installers.venv(ext4.path / "b" / ".venv", packages, cache=cache, mode="copy")
    assert "_core.so" in _causes([ext4.path], UV_CACHE_DIR=str(cache))["copy-setting"]
    (ext4.path / "b" / "uv.toml").write_text('link-mode = "copy"\n', "utf-8")
    wastes, _ = _looked_at([ext4.path], UV_CACHE_DIR=str(cache))
    waste = next(one for one in wastes if one.cause == "copy-setting")
    assert waste.environment == str(copied)
    assert ("told by", str(ext4.path / "b" / "uv.toml")) in waste.facts


def test_what_was_linked_to_a_cache_that_was_cleaned_is_told_so(ext4: ground.Ground, tmp_path: Path) -> None:
    packages, cache = installers.wheels(tmp_path), ext4.path / "uv"
    for name in "ab":
        installers.venv(ext4.path / name, packages, cache=cache)
    ground_before = ext4.path / "uv-before"
    cache.rename(ground_before)
    for path in sorted(ground_before.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    installers.venv(ext4.path / "c", packages, cache=cache)
    assert "_core.so" in _causes([ext4.path], UV_CACHE_DIR=str(cache))["not-in-cache"]


def test_what_was_copied_with_its_cache_is_told_by_what_is_there(ext4: ground.Ground, tmp_path: Path) -> None:
    """Links, times and bytes are as after a cache was cleaned: no cause says which it was."""
    packages, cache = installers.wheels(tmp_path), ext4.path / "one" / "uv"
    made = installers.venv(ext4.path / "one" / "a", packages, cache=cache)
    subprocess.run(["cp", "-a", str(ext4.path / "one"), str(ext4.path / "two")], check=True)
    wastes, _ = _looked_at([made, ext4.path / "two" / "a"], UV_CACHE_DIR=str(cache))
    waste = next(one for one in wastes if one.cause == "not-in-cache")
    assert waste.environment == str(ext4.path / "two" / "a")
    assert ("links", "2, none of them in the cache") in waste.facts


def test_reflinks_of_uv_are_not_stored_again(btrfs: ground.Ground, tmp_path: Path) -> None:
    """In another subvolume as well."""
    packages, cache = installers.wheels(tmp_path), btrfs.subvolume("cache")
    made = [installers.venv(btrfs.path / name, packages, cache=cache) for name in "ab"]
    assert set(_causes(made, UV_CACHE_DIR=str(cache))) == {"vendored", "version-chain"}


def test_pip_copies_always(ext4: ground.Ground, tmp_path: Path) -> None:
    packages = installers.wheels(tmp_path)
    made = [installers.venv(ext4.path / name, packages, cache=ext4.path / "pip", by="pip") for name in "ab"]
    found = _causes(made)
    assert set(found) == {"copying-installer", "vendored", "version-chain"}
    assert {"_core.so", "libarrow.so", _VENDORED} <= found["copying-installer"]
    advice = _advice(made)
    assert [one.setting for one in advice] == ["use uv, which links what it installs"]


# -- conda's packages --------------------------------------------------------------------------


def test_two_packages_with_one_library_are_two_entries(everywhere: ground.Ground, tmp_path: Path) -> None:
    """The case that all this began with; what has the prefix in it is a file of its own."""
    made = installers.conda(
        everywhere.path / "p",
        installers.channel(tmp_path, installers.SEED),
        cache=everywhere.path / "r",
        layout="magic",
    )
    found = _causes([made], RATTLER_CACHE_DIR=str(everywhere.path / "r"))
    assert found["separate-cache-entries"] == {_MONNX}
    assert found.get("prefix-patched", set()) < _PATCHED


def test_prefixes_make_files_of_their_own(ext4: ground.Ground, tmp_path: Path) -> None:
    channel = installers.channel(tmp_path, installers.SEED)
    made = installers.conda(ext4.path / "p", channel, cache=ext4.path / "r", layout="pixi")
    found = _causes([made])
    assert len(found["prefix-patched"]) == 1
    assert found["prefix-patched"] < _PATCHED


@pytest.mark.parametrize("where", ["other-filesystem", "bind-mount"])
def test_rattler_copies_where_links_do_not_lead(ext4: ground.Ground, tmp_path: Path, where: Cause) -> None:
    """Its records say "hard" behind a bind mount all the same; they also say where the cache was."""
    channel = installers.channel(tmp_path, installers.SEED)
    with ground.made("xfs", tmp_path) as far, ground.bound(ext4.path / "store", ext4.path / "seen") as seen:
        cache = far.path / "r" if where == "other-filesystem" else seen
        made = [installers.conda(ext4.path / name, channel, cache=cache, layout="pixi") for name in "ab"]
        found = _causes(made)
        assert {_MONNX, "libmax.so"} <= found[where]
        assert set(found) <= {where, "separate-cache-entries", "prefix-patched", "version-chain"}
        (advice,) = _advice(made)
        assert advice.works is True
        assert advice.source.startswith(str(ext4.path))


def test_switches_of_rattler_are_told(ext4: ground.Ground, tmp_path: Path) -> None:
    channel = installers.channel(tmp_path, installers.SEED)
    config = {"allow-hard-links": False, "allow-ref-links": False}
    for name in "ab":
        project = ext4.path / name
        installers.conda(project, channel, cache=ext4.path / "r", layout="pixi", config=config)
        (project / ".pixi" / "config.toml").write_text("".join(f"{key} = false\n" for key in config), "utf-8")
    wastes, _ = _looked_at([ext4.path / name for name in "ab"])
    waste = next(one for one in wastes if one.cause == "copy-setting")
    assert dict(waste.facts)["told by"].endswith("/.pixi/config.toml")


# -- packages of Node ----------------------------------------------------------------------------


def test_npm_copies_always(ext4: ground.Ground, tmp_path: Path) -> None:
    packages = installers.npm_packages(tmp_path, real=False)
    made = [installers.npm(ext4.path / name, packages, cache=ext4.path / "npm") for name in "ab"]
    found = _causes(made)
    assert found["copying-installer"] == {"addon.node"}
    assert set(found) == {"copying-installer", "vendored"}


def test_pnpm_shares_what_two_packages_ship(ext4: ground.Ground, tmp_path: Path) -> None:
    packages, store = installers.npm_packages(tmp_path, real=False), ext4.path / "store"
    made = [installers.pnpm(ext4.path / name, packages, store=store) for name in "ab"]
    assert _causes(made) == {}


def test_pnpm_copies_where_its_store_lies_elsewhere(ext4: ground.Ground, tmp_path: Path) -> None:
    with ground.made("xfs", tmp_path) as far:
        packages = installers.npm_packages(tmp_path, real=False)
        made = [installers.pnpm(ext4.path / name, packages, store=far.path / "store") for name in "ab"]
        assert _causes(made) == {"other-filesystem": {"addon.node"}}


def test_pnpm_that_was_told_to_copy_did_so(ext4: ground.Ground, tmp_path: Path) -> None:
    packages, store = installers.npm_packages(tmp_path, real=False), ext4.path / "store"
    for name in "ab":
        installers.pnpm(ext4.path / name, packages, store=store, method="copy")
    wastes, _ = _looked_at([ext4.path])
    (waste,) = {one.cause: one for one in wastes}.values()
    assert waste.cause == "copy-setting"
    assert dict(waste.facts)["told by"].endswith("/pnpm-workspace.yaml")
