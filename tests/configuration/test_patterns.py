"""Patterns: what they are of, and the paths that they come to."""

from __future__ import annotations

import glob
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.configuration.patterns import covers, expand


@pytest.mark.parametrize(
    ("pattern", "name", "is_of"),
    [
        ("build/app", "build/app", True),
        ("./build/app", "build/app", True),
        ("build/app", "build/application", False),
        ("build/app", "x/build/app", False),
        ("build", "build/lib/x.so", True),
        ("build/", "build/lib/x.so", True),
        ("build/*", "build/lib/x.so", True),  # of build/lib, and of all in it
        ("build/*.so", "build/lib/x.so", False),
        ("build/**/*.so", "build/lib/x.so", True),
        ("build/**/*.so", "build/x.so", True),
        ("*.so", "build/lib/x.so", True),
        ("./*.so", "build/lib/x.so", False),
        ("x.so", "build/lib/x.so", True),
        ("*", "anything/at/all", True),
        ("**", "anything/at/all", True),
        (".", "anything/at/all", True),
        ("dist/*.whl", "dist/a.whl!pkg/_core.so", True),
        ("dist/a.whl!pkg/*.so", "dist/a.whl!pkg/_core.so", True),
        ("dist/a.whl!pkg/*.so", "dist/b.whl!pkg/_core.so", False),
        ("a.zip!b.jar", "a.zip!b.jar!linux/x.so", True),
        ("lib[0-9].so", "lib7.so", True),
        ("lib?.so", "lib77.so", False),
        ("[", "[", True),
        ("../other/app", "../other/app", True),
        # targets
        ("debian:12", "debian:12/x86_64", True),
        ("debian:*", "debian:12/x86_64", True),
        ("aarch64", "debian:12/aarch64", True),
        ("*/aarch64", "debian:12/aarch64", True),
        ("debian:12/aarch64", "debian:12/x86_64", False),
        ("debian:1", "debian:12", False),
        ("opensuse/leap:*", "opensuse/leap:15.6/x86_64", True),
        ("alpine:*", "", False),
        ("*", "", False),
        ("**", "", True),
    ],
)
def test_covers(pattern: str, name: str, *, is_of: bool) -> None:
    assert covers(pattern, name) is is_of


@pytest.mark.parametrize("pattern", ["*a" * 201, "**/" * 200 + "b", "**/*a/" * 50 + "b", "?" * 4000])
def test_no_pattern_takes_long(pattern: str) -> None:
    begun = time.monotonic()
    assert not covers(pattern, "/".join(["a" * 200] * 200))
    assert time.monotonic() - begun < 5


FILES = ("a.so", "b.txt", "d/a.so", "d/e/a.so", "d/e/f/b.so", "d/.hidden/a.so", ".x.so", "d/[a].so", "g/h/i.whl")


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("outer") / "so/that/nothing/of/others/lies/above/tree"
    for name in FILES:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()
    return top


_PART = st.sampled_from(["*", "?", "*.so", "a.so", "d", "e", "**", "[a-e]", "[!a]*", ".*", "..", "nowhere", "[[]a].so"])


@given(st.lists(_PART, min_size=1, max_size=4).filter(lambda parts: parts[-1] != "**"))
def test_expands_as_the_standard_library_does(tree: Path, parts: list[str]) -> None:
    """Of directories that are found in two ways the standard library may tell twice."""
    pattern = "/".join(parts)
    found = glob.glob(pattern, root_dir=tree, recursive=True)
    if "*" in pattern or "?" in pattern or "[" in pattern:
        assert sorted(expand(pattern, str(tree))) == sorted(set(found))
    else:
        assert expand(pattern, str(tree)) == [pattern]


def test_links_are_matched_and_not_gone_through(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.so").touch()
    (tmp_path / "d" / "again").symlink_to("..")
    (tmp_path / "gone.so").symlink_to("nowhere")
    assert expand("**/*.so", str(tmp_path)) == ["gone.so", "d/a.so"]
    assert expand("*.so", str(tmp_path)) == ["gone.so"]


def test_a_directory_stands_for_all_in_it(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert expand("d/**", str(tmp_path)) == ["d"]
    assert expand("**", str(tmp_path)) == ["."]
    assert expand(f"{tmp_path}/*", os.sep) == [f"{tmp_path}/d"]
