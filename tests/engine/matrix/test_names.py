"""What the names of real releases' files say: a table of them, looked through by eye, and what holds of any name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.engine.matrix.names import read_name

TABLE = [line.split() for line in (Path(__file__).parent / "names.txt").read_text(encoding="utf-8").splitlines()]
"""Names as projects have published them, each with its kind; of a build: system, architectures, C library, packing."""


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_what_a_name_says(row: list[str]) -> None:
    name, *told = row
    found = read_name(name)
    claims = found.claims
    words: list[str] = [found.kind]
    if found.kind == "build":
        words += [claims.system or "-", "+".join(claims.archs) or "-", claims.linkage or "-", claims.packing or "-"]
        words += [f"{key}={value}" for key, value in (("for", claims.family), ("level", claims.level)) if value]
        words += [f"name={claims.name}", *([f"v={claims.version}"] if claims.version else [])]
    elif found.of:
        words.append(f"of={found.of}")
    assert words == told


def test_the_table_has_hundreds_of_names() -> None:
    assert len({row[0] for row in TABLE}) == len(TABLE) > 450


SYSTEMS = {"linux": "linux", "Linux": "linux", "darwin": "macos", "macOS": "macos", "windows": "windows"}
ARCHS = {"amd64": "x86_64", "x86_64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64",
    "386": "i386", "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "armv7": "armv7"}  # fmt: skip
PACKINGS = ["", ".tar.gz", ".zip", ".tar.xz", ".tgz"]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    name=st.from_regex(r"[b-h]{2,8}q", fullmatch=True),
    version=st.sampled_from(["", "1.2.3", "v0.10.0", "2.0.0-rc.1"]),
    system=st.sampled_from(sorted(SYSTEMS)),
    arch=st.sampled_from(sorted(ARCHS)),
    musl=st.booleans(),
    mark=st.sampled_from("-_"),
    packing=st.sampled_from(PACKINGS),
)
def test_a_name_of_the_usual_parts(
    *, name: str, version: str, system: str, arch: str, mark: str, packing: str, musl: bool
) -> None:
    libc = ["musl"] if musl and SYSTEMS[system] == "linux" else []
    written = mark.join([name, *([version] if version else []), system, arch, *libc]) + packing
    found = read_name(written)
    claims = found.claims
    assert (found.kind, claims.system, claims.archs) == ("build", SYSTEMS[system], (ARCHS[arch],)), written
    assert (claims.name, claims.version, claims.linkage) == (name, version, "musl" if libc else ""), written


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=80))
def test_any_text_is_read(text: str) -> None:
    found = read_name(text)
    again = read_name(f"{text}.sha256")
    assert again.kind != "build"
    assert found.of in text


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([row[0] for row in TABLE]), st.sampled_from([("sha256", "checksum"), ("sig", "signature")]))
def test_what_belongs_to_a_file_is_named_after_it(name: str, beside: tuple[str, str]) -> None:
    end, kind = beside
    found = read_name(f"{name}.{end}")
    assert found.kind == kind
    assert found.of in (name, "")


@pytest.mark.parametrize("name", ["a" * 100_000, "-" * 100_000, "1." * 50_000, "linux-" * 20_000, "a.tar.gz" * 10_000])
def test_long_names_take_no_long_time(name: str) -> None:
    from time import process_time

    before = process_time()
    read_name(name)
    assert process_time() - before < 5
