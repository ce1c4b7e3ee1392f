"""What real installers leave on real file systems: which files have several names or share blocks, what is recorded.

Nothing here is ours: these are the facts that the causes of waste are told from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.storage import ground, installers
from tests.storage.ground import Ground
from tests.storage.installers import LAYOUTS, SEED, Layout

pytestmark = pytest.mark.judge

Sharing = Literal["name", "blocks", "nothing"]

ONE, OTHER = "lib/libmonnx.so", "lib/python3.12/site-packages/max/lib/libmonnx.so"
PATCHED = ("lib/libpython3.12.so.1.0", "lib/libpython3.so")
VENDORED = "first.libs/libgfortran-8a9d7c.so.5"


def sharing(one: Path, other: Path) -> Sharing:
    """What two files with the same bytes have in common."""
    assert one.read_bytes() == other.read_bytes()
    if one.samefile(other):
        return "name"
    mine, others = ground.extents(one), ground.extents(other)
    assert mine
    assert others
    return "blocks" if mine == others else "nothing"


def in_cache(cache: Path, one: Path) -> Sharing:
    """What a file has in common with the file of a cache that shares most with it."""
    data, kinds = one.read_bytes(), ("name", "blocks", "nothing")
    same = [path for path in cache.rglob("*") if path.stat().st_size == len(data) and path.read_bytes() == data]
    return min((sharing(one, path) for path in same), key=kinds.index, default="nothing")


# -- uv and pip ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode", "expected"),
    [
        ("ext4", "", "name"),
        ("ext4", "clone", "name"),  # uv goes on to the next mode where one cannot be
        ("ext4", "hardlink", "name"),
        ("ext4", "copy", "nothing"),
        ("xfs", "", "blocks"),
        ("xfs", "hardlink", "name"),
        ("xfs", "copy", "blocks"),  # Rust's fs::copy is copy_file_range(2), which these kernels carry out as a clone
        ("btrfs", "", "blocks"),
        ("btrfs", "clone", "blocks"),
        ("btrfs", "hardlink", "name"),
        ("btrfs", "copy", "blocks"),
    ],
)
def test_uv(kind: str, mode: Literal["clone", "hardlink", "copy", ""], expected: Sharing, tmp_path: Path) -> None:
    wheels = installers.wheels(tmp_path)
    with ground.made(kind, tmp_path) as disk:
        cache = disk.path / "cache"
        one, other = (installers.venv(disk.path / name, wheels, cache=cache, mode=mode) for name in ("a", "b"))
        mine, others = (installers.site_packages(made) / VENDORED for made in (one, other))
        assert (in_cache(cache, mine), sharing(mine, others)) == (expected, expected)
        assert mine.stat().st_nlink == (3 if expected == "name" else 1)  # the cache and both
        # Two wheels with one library, and one wheel with a library under three names: never shared by the installer.
        packages = installers.site_packages(one)
        assert sharing(mine, packages / "second.libs" / mine.name) == "nothing"
        assert sharing(packages / "second/libarrow.so", packages / "second/libarrow.so.2000") == "nothing"
        info = packages / "first-1.0.dist-info"
        assert (info / "INSTALLER").read_text(encoding="utf-8") == "uv"
        assert (info / "RECORD").stat().st_nlink == 1
        assert "first.libs/libgfortran-8a9d7c.so.5,sha256=" in (info / "RECORD").read_text(encoding="utf-8")
        assert "uv = " in (one / "pyvenv.cfg").read_text(encoding="utf-8")
        assert "first" in installers.imports(one, ("first", "second"))


def test_uv_links_symbolically_into_its_cache(ext4: Ground, tmp_path: Path) -> None:
    cache = ext4.path / "cache"
    made = installers.venv(ext4.path / "a", installers.wheels(tmp_path), cache=cache, mode="symlink")
    library = installers.site_packages(made) / VENDORED
    assert library.is_symlink()
    assert library.resolve().is_relative_to(cache)


@pytest.mark.parametrize("apart", ["device", "bind", "subvolume"])
def test_uv_copies_from_a_cache_that_it_cannot_link_to(apart: str, tmp_path: Path) -> None:
    wheels = installers.wheels(tmp_path)
    if apart == "device":
        with ground.made("ext4", tmp_path) as here, ground.made("ext4", tmp_path) as there:
            assert in_cache(there.path, _library(here.path / "a", wheels, there.path / "c")) == "nothing"
    elif apart == "bind":
        with ground.made("ext4", tmp_path) as disk, ground.bound(disk.path / "c", disk.path / "bound") as cache:
            library = _library(disk.path / "a", wheels, cache)
            assert library.stat().st_dev == cache.stat().st_dev
            assert in_cache(cache, library) == "nothing"
    else:  # blocks are shared across subvolumes, names are not
        with ground.made("btrfs", tmp_path) as disk:
            cache = disk.subvolume("c")
            assert in_cache(cache, _library(disk.path / "a", wheels, cache)) == "blocks"


def _library(path: Path, wheels: tuple[Path, ...], cache: Path) -> Path:
    return installers.site_packages(installers.venv(path, wheels, cache=cache)) / VENDORED


@pytest.mark.parametrize("by", ["pip", "virtualenv"])
def test_pip_copies(by: Literal["pip", "virtualenv"], ext4: Ground, tmp_path: Path) -> None:
    cache = ext4.path / "cache"
    made = installers.venv(ext4.path / "a", installers.wheels(tmp_path), cache=cache, by=by)
    packages = installers.site_packages(made)
    assert (packages / VENDORED).stat().st_nlink == 1
    assert in_cache(cache, packages / VENDORED) == "nothing"
    assert (packages / "first-1.0.dist-info" / "INSTALLER").read_text(encoding="utf-8") == "pip\n"
    assert list((packages / "first" / "__pycache__").iterdir())
    assert ("virtualenv = " in (made / "pyvenv.cfg").read_text(encoding="utf-8")) == (by == "virtualenv")
    assert "second" in installers.imports(made, ("first", "second"))


@pytest.mark.slow
def test_the_real_ones_do_their_work(tmp_path: Path) -> None:
    with ground.made("ext4", tmp_path, megabytes=1500) as disk:
        made = installers.science(disk.path / "a", cache=disk.path / "cache")
        assert installers.imports(made).splitlines()[-1] == "1.0 3"


# -- rattler ---------------------------------------------------------------------------------


def recorded(prefix: Path, path: str) -> tuple[int, dict[str, Any]]:
    """The kind of link that conda-meta tells of a package, and what it says of one of its files."""
    for manifest in sorted((prefix / "conda-meta").glob("*.json")):
        told = json.loads(manifest.read_text(encoding="utf-8"))
        for row in told["paths_data"]["paths"]:
            if row["_path"] == path:
                return told["link"]["type"], row
    raise AssertionError(path)


@pytest.mark.parametrize("kind", [".conda", ".tar.bz2"])
def test_rattler_links_each_path_to_its_own_file_of_the_cache(
    kind: Literal[".conda", ".tar.bz2"], ext4: Ground, tmp_path: Path
) -> None:
    channel, cache = installers.channel(tmp_path, SEED, kind=kind), ext4.path / "cache"
    one, other = (installers.conda(ext4.path / name, channel, cache=cache, layout="magic") for name in "ab")
    for path in (ONE, OTHER):
        assert sharing(one / path, other / path) == "name"
        assert in_cache(cache, one / path) == "name"
        assert (one / path).stat().st_nlink == 3  # the cache and both environments
        assert recorded(one, path)[0] == 1  # hard
    assert sharing(one / ONE, one / OTHER) == "nothing"  # the seed: two files, and two in the cache
    assert sharing(one / "lib/libmax.so", one / "lib/libmax.so.1") == "name"  # a link in the archive stays one
    assert (one / "lib/libstdc++.so.6").is_symlink()
    assert (one / ONE).stat().st_mtime == 315532800  # 1980-01-01: the archive says 1970


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_rattler_shares_blocks_where_it_can(kind: str, tmp_path: Path) -> None:
    channel = installers.channel(tmp_path, SEED)
    with ground.made(kind, tmp_path) as disk:
        cache = disk.path / "cache"
        one, other = (installers.conda(disk.path / name, channel, cache=cache) for name in "ab")
        for path in (ONE, OTHER):
            assert sharing(one / path, other / path) == "blocks"
            assert in_cache(cache, one / path) == "blocks"
            assert recorded(one, path)[0] == 1  # "hard": what was allowed, not what happened
        assert sharing(one / ONE, one / OTHER) == "nothing"


def test_rattler_copies_between_devices(tmp_path: Path) -> None:
    channel = installers.channel(tmp_path, SEED)
    with ground.made("ext4", tmp_path) as here, ground.made("xfs", tmp_path) as there:
        cache = here.path / "cache"
        one, other = (installers.conda(there.path / name, channel, cache=cache) for name in "ab")
        assert sharing(one / ONE, other / ONE) == "nothing"
        assert (one / ONE).stat().st_nlink == 1
        assert recorded(one, ONE)[0] == 3  # copy
        assert sharing(one / "lib/libmax.so", one / "lib/libmax.so.1") == "nothing"  # the archive's link is lost


def test_rattler_copies_from_a_bind_mount_and_records_links(tmp_path: Path) -> None:
    channel = installers.channel(tmp_path, SEED)
    with ground.made("ext4", tmp_path) as disk, ground.bound(disk.path / "c", disk.path / "bound") as cache:
        made = installers.conda(disk.path / "a", channel, cache=cache)
        assert made.stat().st_dev == cache.stat().st_dev
        assert in_cache(cache, made / ONE) == "nothing"
        assert recorded(made, ONE)[0] == 1  # "hard"


def test_rattler_writes_the_prefix_into_copies(ext4: Ground, tmp_path: Path) -> None:
    channel, cache = installers.channel(tmp_path, SEED), ext4.path / "cache"
    one, other = (installers.conda(ext4.path / name, channel, cache=cache) for name in "ab")
    first, second = (one / path for path in PATCHED)
    assert sharing(first, second) == "nothing"  # the same bytes within one environment
    assert first.stat().st_nlink == 1
    mine, others = first.read_bytes(), (other / PATCHED[0]).read_bytes()
    assert mine != others
    assert len(mine) == len(others)
    assert str(one).encode() in mine
    assert recorded(one, PATCHED[0])[1]["prefix_placeholder"] == installers.PLACEHOLDER
    assert recorded(one, PATCHED[0])[1]["sha256_in_prefix"] != recorded(one, PATCHED[0])[1]["sha256"]


@pytest.mark.parametrize(
    ("kind", "forbidden", "expected", "link"),
    [
        ("xfs", ("hard",), "blocks", 3),
        ("xfs", ("ref",), "name", 1),
        ("xfs", ("hard", "ref"), "blocks", 3),  # a copy is a clone here, see test_uv
        ("ext4", ("ref",), "name", 1),
        ("ext4", ("hard",), "nothing", 3),
    ],
)
def test_rattler_does_not_what_is_not_allowed(
    kind: str, forbidden: tuple[str, ...], expected: Sharing, link: int, tmp_path: Path
) -> None:
    channel = installers.channel(tmp_path, SEED)
    with ground.made(kind, tmp_path) as disk:
        config = {f"allow-{how}-links": False for how in forbidden}
        made = installers.conda(disk.path / "a", channel, cache=disk.path / "cache", config=config)
        assert (in_cache(disk.path / "cache", made / ONE), recorded(made, ONE)[0]) == (expected, link)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_lies_where_its_program_puts_it(layout: Layout, ext4: Ground, tmp_path: Path) -> None:
    channel = installers.channel(tmp_path, SEED)
    made = installers.conda(ext4.path / "project", channel, cache=ext4.path / "cache", layout=layout)
    assert made == ext4.path / "project" / LAYOUTS[layout]
    assert sorted(path.name for path in (made / "conda-meta").glob("*.json")) == [
        "max-core-1.0-h0_0.json",
        "max-python-1.0-h0_0.json",
    ]
    assert (made / "conda-meta" / ("history" if layout == "conda" else "pixi")).exists()


# -- npm and pnpm ----------------------------------------------------------------------------


def test_npm_copies(ext4: Ground, tmp_path: Path) -> None:
    packed, cache = installers.npm_packages(tmp_path), ext4.path / "cache"
    one, other = (installers.npm(ext4.path / name, packed, cache=cache) for name in "ab")
    addons = [made / package / "build/Release/addon.node" for made in (one, other) for package in ("left", "right")]
    assert {path.stat().st_nlink for path in addons} == {1}
    assert {sharing(addons[0], path) for path in addons[1:]} == {"nothing"}
    assert (one / ".package-lock.json").exists()
    assert installers.loads_addon(one) == "function true\n"


@pytest.mark.parametrize(
    ("version", "kind", "method", "expected"),
    [
        (10, "ext4", "", "name"),
        (10, "ext4", "copy", "nothing"),
        (10, "btrfs", "", "blocks"),
        (10, "btrfs", "hardlink", "name"),
        (12, "ext4", "", "name"),
        (12, "ext4", "copy", "nothing"),
        (12, "btrfs", "", "name"),  # it links before it clones
        (12, "btrfs", "clone", "blocks"),
        (12, "xfs", "clone-or-copy", "blocks"),
    ],
)
def test_pnpm(
    version: Literal[10, 12],
    kind: str,
    method: Literal["clone", "hardlink", "copy", "clone-or-copy", ""],
    expected: Sharing,
    tmp_path: Path,
) -> None:
    packed = installers.npm_packages(tmp_path)
    with ground.made(kind, tmp_path) as disk:
        store = disk.path / "store"
        one, other = (
            installers.pnpm(disk.path / name, packed, store=store, method=method, version=version) for name in "ab"
        )
        addons = [made / package / "build/Release/addon.node" for made in (one, other) for package in ("left", "right")]
        # It stores by content: even two packages have one file, unlike with uv and rattler.
        assert {in_cache(store, path) for path in addons} == {expected}
        assert {sharing(addons[0], path) for path in addons[1:]} == {expected}
        assert (one / "left").is_symlink()
        assert (one / ".modules.yaml").exists()
        assert installers.loads_addon(one) == "function true\n"


@pytest.mark.parametrize("version", [10, 12])
def test_pnpm_that_hoists_lays_packages_out_as_npm_does(version: Literal[10, 12], ext4: Ground, tmp_path: Path) -> None:
    packed = installers.npm_packages(tmp_path)
    made = installers.pnpm(ext4.path / "a", packed, store=ext4.path / "store", hoisted=True, version=version)
    assert (made / "left").is_dir()
    assert not (made / "left").is_symlink()
    assert (made / "left/build/Release/addon.node").stat().st_nlink == 3  # the store, and both packages


@pytest.mark.parametrize("version", [10, 12])
def test_pnpm_that_must_clone_fails_where_it_cannot(version: Literal[10, 12], ext4: Ground, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"(?i)not supported"):
        installers.pnpm(
            ext4.path / "a",
            installers.npm_packages(tmp_path, real=False),
            store=ext4.path / "store",
            method="clone",
            version=version,
        )
