"""Named sets of targets follow from the catalogue, by end of life."""

from __future__ import annotations

import pytest

from runworthy.library.asking import target_names
from runworthy.model.errors import TargetError
from runworthy.targets.catalogue import open_catalogue
from runworthy.targets.catalogue.sets import SETS, as_of, members, names_in, pseudo_target, pseudo_targets


def written(name: str) -> list[str]:
    return [f"{row.name}/{row.arch.name}" for row in members(name)]


def test_what_is_supported_as_of_the_catalogue() -> None:
    assert as_of() == "2026-08-08"
    assert written("@release/amd64") == [
        *("debian:11/x86_64", "debian:12/x86_64", "debian:13/x86_64"),  # the oldest by Debian LTS
        *("ubuntu:22.04/x86_64", "ubuntu:24.04/x86_64", "ubuntu:26.04/x86_64"),
        *("almalinux:8/x86_64", "almalinux:9/x86_64", "almalinux:10/x86_64"),
        *("fedora:43/x86_64", "fedora:44/x86_64", "amazonlinux:2023/x86_64", "alpine:3.20/x86_64"),
    ]
    assert written("@release/riscv64") == ["debian:13/riscv64", "alpine:3.20/riscv64"]


def test_nothing_is_past_its_end_or_rolling() -> None:
    for row in members("@release"):
        ends = [row.eol or "9999", row.eol_support.get("lts", "")]
        assert max(ends) >= as_of(), row.name
        assert row.eol != "rolling"


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_set_holds_something_that_can_be_opened(name: str) -> None:
    assert members(f"@{name}") or pseudo_targets(f"@{name}")
    for row in members(f"@{name}"):
        assert open_catalogue().find(row.name, row.arch).arch is row.arch


def test_parts_of_a_set() -> None:
    assert set(written("@glibc")) | set(written("@musl")) == set(written("@linux"))
    assert [one.name for one in pseudo_targets("@release/arm64")] == ["windows/aarch64", "macos/arm64"]
    assert not pseudo_targets("@linux")


def test_other_commands_take_a_set_for_the_architecture_of_their_subject() -> None:
    assert names_in("@musl") == ("alpine:3.20",)
    assert [target.text for target in target_names(["@musl", "debian:12", "@musl/arm64"])] == [
        "alpine:3.20",
        "debian:12",
        "alpine:3.20/aarch64",
    ]


@pytest.mark.parametrize("name", ["@nope", "@", "@release/vax", "@Release Linux"])
def test_a_set_that_there_is_not(name: str) -> None:
    with pytest.raises(TargetError) as raised:
        target_names([name])
    assert "@release" in raised.value.hint


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("windows/amd64", "windows/x86_64"),
        ("darwin/arm64", "macos/arm64"),
        ("macos/aarch64", "macos/arm64"),
        ("macos/riscv64", None),
        ("windows", None),
        ("debian:12/arm64", None),
    ],
)
def test_platforms_without_a_root(name: str, found: str | None) -> None:
    held = pseudo_target(name)
    assert (held.name if held else None) == found
