"""The catalogue's roots, against facts that were read off the real systems."""

import errno
import os
import time
from pathlib import Path

import pytest

from runworthy.formats.content import read_exactly
from runworthy.model.arch import Architecture, architecture
from runworthy.model.errors import FormatError
from runworthy.targets.catalogue import Catalogue, CatalogueTarget, open_catalogue
from runworthy.targets.catalogue.catalogue import PACK_PATH
from runworthy.targets.catalogue.layout import GLIBC_SONAMES
from runworthy.targets.catalogue.record import RecordedElf

SIZE_BUDGET = 3_600_000
CHECK_BUDGET_S = 0.05
"""Ten times what one check takes on a slow machine: this catches a mistake of kind, bench/ measures."""


def arch(name: str) -> Architecture:
    found = architecture(name)
    assert found is not None
    return found


def find(name: str) -> CatalogueTarget:
    return open_catalogue().find(name, arch("x86_64"))


def load(target: CatalogueTarget, path: str) -> RecordedElf:
    return target.view.load_elf(target.view.resolve(path).path)


def of_library(target: CatalogueTarget, soname: str) -> RecordedElf | None:
    for directory in target.loader_directories:
        if target.view.exists(f"{directory}/{soname}"):
            return load(target, f"{directory}/{soname}")
    return None


ALL = [(row.name, row.arch) for row in open_catalogue().targets()]
PAIRS = [("debian:11", name) for name in ("x86_64", "aarch64", "armv7", "i386")]
PAIRS += [("debian:12", name) for name in ("x86_64", "aarch64", "armv7", "i386", "ppc64le", "s390x")]
PAIRS += [("debian:13", name) for name in ("x86_64", "aarch64", "armv7", "i386", "ppc64le", "s390x", "riscv64")]


class TestEveryTarget:
    def test_opens_with_the_loader_of_its_libc(self) -> None:
        for name, row in ALL:
            target = open_catalogue().find(name, row)
            if target.libc.family == "none":
                assert target.name == "busybox:musl"
                continue
            interpreter = row.glibc_loader if target.libc.family == "glibc" else row.musl_loader
            assert target.view.resolve(interpreter).path == target.libc.loader, name
            facts = load(target, interpreter).facts
            assert facts.architecture is not None, name
            assert (facts.header.machine, facts.header.elf_class) == (row.elf_machine, row.elf_class), name

    def test_has_a_c_library_that_defines_the_release(self) -> None:
        for name, row in ALL:
            target = open_catalogue().find(name, row)
            if target.libc.family != "glibc":
                continue
            libc = of_library(target, "libc.so.6")
            assert libc is not None, name
            exports = libc.exports()
            assert b"malloc" in exports.unversioned, name
            assert {version.name for version in libc.facts.version_defs} >= exports.by_version.keys(), name
            assert target.libc.version is not None
            assert target.libc.version >= (2, 12), name

    def test_is_sorted_and_dated(self) -> None:
        catalogue = open_catalogue()
        assert list(catalogue.names()) == sorted(catalogue.names())
        undated = {row.name for row in catalogue.targets() if not row.as_of}
        assert undated == {"busybox:glibc", "busybox:musl"}

    def test_knows_what_closed_and_core_mean(self) -> None:
        for name, row in ALL:
            target = open_catalogue().find(name, row)
            assert (target.view.authority is None) == (target.completeness == "closed"), name


class TestClosedRoot:
    def test_entries(self) -> None:
        view = find("debian:12").view
        assert view.resolve("/lib64/ld-linux-x86-64.so.2").path == "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        link = view.lstat("/lib").entry
        assert (link.kind, link.target) == ("link", "usr/lib")
        libc = view.resolve("/lib/x86_64-linux-gnu/libc.so.6").entry
        assert (libc.kind, libc.mode, libc.size) == ("file", 0o755, 1926232)
        assert view.resolve("/tmp").entry.mode == 0o1777  # noqa: S108 - a path inside the root
        assert not view.exists("/usr/lib/x86_64-linux-gnu/libssl.so.3")
        assert "libz.so.1" in view.readdir("/lib/x86_64-linux-gnu")
        assert {"bin", "etc", "lib", "usr"} <= set(view.readdir("/"))

    def test_record(self) -> None:
        facts = load(find("debian:12"), "/lib/x86_64-linux-gnu/libc.so.6").facts
        assert facts.soname == "libc.so.6"
        assert facts.needed == ("ld-linux-x86-64.so.2",)
        assert facts.interpreter == "/lib64/ld-linux-x86-64.so.2"
        assert [need.version for need in facts.version_needs] == [
            "GLIBC_2.35",
            "GLIBC_2.2.5",
            "GLIBC_2.3",
            "GLIBC_PRIVATE",
        ]
        assert [(row.name, row.index, row.base) for row in facts.version_defs[:3]] == [
            ("libc.so.6", 1, True),
            ("GLIBC_2.2.5", 2, False),
            ("GLIBC_2.2.6", 3, False),
        ]

    def test_exports(self) -> None:
        exports = load(find("debian:12"), "/lib/x86_64-linux-gnu/libc.so.6").exports()
        assert exports.versions_of(b"memcpy") == ("GLIBC_2.2.5", "GLIBC_2.14")
        rows = {row for row in exports.references() if row[0] == b"memcpy"}
        assert rows == {(b"memcpy", "GLIBC_2.2.5", False), (b"memcpy", "GLIBC_2.14", True)}
        assert b"_Fork" in exports.by_version["GLIBC_2.34"]
        assert b"fcntl64" in exports.default
        assert b"__malloc_hook" in exports.names
        assert b"__malloc_hook" not in exports.default
        assert not exports.base

    def test_exports_without_versions(self) -> None:
        exports = load(find("alpine:3.20"), "/lib/ld-musl-x86_64.so.1").exports()
        assert not exports.versioned
        assert b"statx" in exports.default
        assert b"fopen64" not in exports.default
        assert exports.base == exports.unversioned == exports.names
        assert b"statx" not in load(find("alpine:3.16"), "/lib/ld-musl-x86_64.so.1").exports().default

    def test_texts_and_what_is_not_recorded(self) -> None:
        view = find("debian:12").view
        assert b"VERSION_CODENAME=bookworm" in view.read("/etc/os-release")
        assert view.read("/etc/ld.so.conf") == b"include /etc/ld.so.conf.d/*.conf\n\n"
        script = view.content("/etc/cron.daily/dpkg")
        assert read_exactly(script, 0, 10, "script") == b"#!/bin/sh\n"
        with pytest.raises(OSError, match="No data") as caught:
            view.content("/usr/bin/dash")
        assert caught.value.errno == errno.ENODATA
        assert view.load_elf("/usr/bin/dash").facts.interpreter == "/lib64/ld-linux-x86-64.so.2"
        with pytest.raises(FormatError):
            view.load_elf("/etc/cron.daily/dpkg")
        with pytest.raises(OSError, match="directory"):
            view.load_elf("/etc")

    def test_configuration(self) -> None:
        assert find("debian:12").cache_from_configuration
        assert not find("alpine:3.20").cache_from_configuration
        micro = find("almalinux:9-micro/arm64")
        assert micro.cache_from_configuration
        assert not micro.view.exists("/etc/ld.so.cache")

    def test_words_about_it(self) -> None:
        target = find("debian:12")
        assert (target.as_of, target.eol, target.eol_support["lts"]) == ("12.15", "2026-06-10", "2028-06-30")
        assert (target.package_manager, target.packages["libc6"]) == ("dpkg", "2.36-9+deb12u14")
        assert find("alpine:3.20").as_of == "3.20.3"
        assert str(find("alpine:3.12").libc) == "musl 1.1.24"
        assert str(find("busybox:glibc").libc) == "glibc 2.41"


class TestCoreRoot:
    @pytest.mark.parametrize(("name", "spelling"), PAIRS)
    def test_equals_the_closed_root_of_its_release(self, name: str, spelling: str) -> None:
        """The composed libraries are the real ones to the symbol, GLIBC_PRIVATE aside."""
        closed = open_catalogue().find(name, arch(spelling))
        core = open_catalogue().recipe(name, arch(spelling))
        compared = 0
        for soname in (*GLIBC_SONAMES.values(), "libstdc++.so.6", "libgcc_s.so.1"):
            real, composed = of_library(closed, soname), of_library(core, soname)
            assert (real is None) == (composed is None), soname
            if real is not None and composed is not None:
                rows = {row for row in real.exports().references() if row[1] != "GLIBC_PRIVATE"}
                assert set(composed.exports().references()) == rows, soname
                compared += 1
        assert compared >= 10

    def test_places_libraries_as_its_family_does(self) -> None:
        assert find("ubuntu:24.04/arm64").libc.loader == "/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"
        assert find("ubuntu:18.04").libc.loader == "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        assert find("rhel:9").libc.loader == "/usr/lib64/ld-linux-x86-64.so.2"
        assert find("rhel:9/arm64").libc.loader == "/usr/lib/ld-linux-aarch64.so.1"
        assert find("archlinux").libc.loader == "/usr/lib/ld-linux-x86-64.so.2"
        assert find("rhel:9").loader_directories == ("/lib64", "/usr/lib64")
        assert find("rockylinux:10/riscv64").view.exists("/lib64/lp64d/libc.so.6")
        assert find("ubuntu:24.04").view.exists("/lib/x86_64-linux-gnu/libz.so.1")

    def test_keeps_the_nodes_of_its_recipe(self) -> None:
        old, new = of_library(find("rhel:8"), "libstdc++.so.6"), of_library(find("ubuntu:24.04"), "libstdc++.so.6")
        assert old is not None
        assert new is not None
        assert "GLIBCXX_3.4.25" in old.exports().by_version
        assert "GLIBCXX_3.4.26" not in {row.name for row in old.facts.version_defs}
        assert "GLIBCXX_3.4.33" in new.exports().by_version
        relr = of_library(find("ubuntu:24.04"), "libc.so.6")
        assert relr is not None
        assert "GLIBC_ABI_DT_RELR" in {row.name for row in relr.facts.version_defs}

    def test_says_absent_only_of_what_it_knows(self) -> None:
        authority = find("ubuntu:24.04").view.authority
        assert authority is not None
        assert authority >= {"libm.so.6", "libmvec.so.1", "libstdc++.so.6", "/lib/ld-musl-x86_64.so.1"}
        assert authority >= {"libc.musl-x86_64.so.1", "/lib/ld-linux-aarch64.so.1"}
        assert authority.isdisjoint({"libcrypt.so.1", "libnsl.so.1", "libssl.so.3", "libatomic.so.1"})
        glibc = find("glibc:2.28").view.authority
        assert glibc is not None
        assert "libstdc++.so.6" not in glibc

    def test_knows_musl_by_the_name_that_alpine_gives_it(self) -> None:
        authority = find("ubuntu:24.04").view.authority
        assert authority is not None
        for name, row in ALL:
            target = open_catalogue().find(name, row)
            if not name.startswith(("alpine:", "musllinux_")):
                continue
            soname = load(target, row.musl_loader).facts.soname
            assert soname in authority, (name, row.name)
            assert target.view.resolve(f"/lib/{soname}").path == target.libc.loader, (name, row.name)

    def test_names_versions_whose_symbols_are_not_known(self) -> None:
        target = find("archlinux")
        assert target.open_versions == {"GLIBC_2.44", "GLIBC_PRIVATE"} == target.view.open_versions
        libc = of_library(target, "libc.so.6")
        assert libc is not None
        assert "GLIBC_2.44" in {row.name for row in libc.facts.version_defs}
        assert "GLIBC_2.44" not in libc.exports().by_version

    def test_of_a_release_before_the_lists(self) -> None:
        libc = of_library(find("manylinux2010"), "libc.so.6")
        assert libc is not None
        versions = {row.name for row in libc.facts.version_defs}
        assert "GLIBC_2.11" in versions
        assert "GLIBC_2.14" not in versions

    def test_has_no_duplicate_version(self) -> None:
        for name, row in ALL:
            libc = of_library(open_catalogue().find(name, row), "libc.so.6")
            names = [version.name for version in libc.facts.version_defs] if libc else []
            assert len(names) == len(set(names)), name


class TestOpenedRoot:
    def test_knows_the_base_only(self) -> None:
        target = find("python:3.12-slim-bookworm")
        assert (target.name, target.completeness) == ("python:3.12-slim-bookworm", "core")
        assert target.view.exists("/usr/lib/x86_64-linux-gnu/libz.so.1")
        assert target.view.authority is not None
        assert "libsqlite3.so.0" not in target.view.authority
        assert "debian:12" in target.notes[-1]
        assert find("debian:12").view.authority is None


class TestIndex:
    def test_first_with(self) -> None:
        index = open_catalogue().index()
        first = index.first_with("GLIBC_2.34", arch("x86_64"))
        assert first[0] == "glibc:2.34"
        assert {"debian:12", "ubuntu:22.04", "rhel:9", "fedora:39", "manylinux_2_34"} <= set(first)
        assert "debian:13" not in first
        assert "ubuntu:24.04" in index.first_with("GLIBCXX_3.4.33", arch("x86_64"))
        assert "debian:12" in index.first_with("GCC_12.0.0", arch("x86_64"))
        assert "rhel:8" in index.first_with("ZLIB_1.2.9", arch("x86_64"))
        assert index.first_with("GLIBC_9.99", arch("x86_64")) == ()
        assert index.first_with("GLIBC_2.34", arch("armv6")) == ()

    def test_providers(self) -> None:
        index, x86 = open_catalogue().index(), arch("x86_64")
        assert index.providers(b"statx", x86) == ("glibc:libc.so.6", "musl")
        assert index.providers(b"pthread_create", x86) == ("glibc:libc.so.6", "glibc:libpthread.so.0", "musl")
        assert index.providers(b"_ZdlPv", x86) == ("libstdc++.so.6",)
        assert index.providers(b"__divti3", x86) == ("libgcc_s.so.1",)
        assert index.providers(b"crypt", x86) == ("glibc:libcrypt.so.1", "musl")
        assert index.providers(b"PyObject_New", x86) == ()
        assert index.providers(b"compress", x86) == ()

    def test_families_are_in_order(self) -> None:
        families = open_catalogue().index().families
        assert families["alpine"][0] == "alpine:3.12"
        assert families["alpine"][-1] == "alpine:3.20"
        assert families["debian"] == (
            *(f"debian:{release}" for release in range(8, 14)),
            "debian:testing",
            "debian:sid",
            "debian:experimental",
        )


class TestPack:
    def test_size(self) -> None:
        assert Path(PACK_PATH).stat().st_size < SIZE_BUDGET

    @pytest.mark.parametrize("name", ["debian:12", "ubuntu:22.04", "alpine:3.20", "manylinux_2_28"])
    def test_answers_one_check_quickly(self, name: str) -> None:
        start = time.perf_counter()
        target = Catalogue().find(name, arch("x86_64"))
        view = target.view
        for directory in target.loader_directories:
            view.exists(f"{directory}/libnone.so.1")
        for soname in ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "libz.so.1"):
            library = of_library(target, soname)
            assert library is None or library.exports().names
        assert time.perf_counter() - start < CHECK_BUDGET_S

    @pytest.mark.parametrize("keep", [0, 10, 27, 4000, -1])
    def test_damage_is_an_error_of_format(self, tmp_path: Path, keep: int) -> None:
        path = tmp_path / "cut.pack"
        path.write_bytes(Path(PACK_PATH).read_bytes()[:keep])
        with pytest.raises(FormatError):
            list(Catalogue(os.fspath(path)).targets())
