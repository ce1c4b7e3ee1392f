"""Indexes of packages: read as their managers read them, and whatever their bytes are, with nothing but FormatError."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import subprocess
import tracemalloc
from collections.abc import Callable, Mapping
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent
from runworthy.formats.index.apkindex import read_apkindex, read_installed, relation
from runworthy.formats.index.contents import owners
from runworthy.formats.index.control import fields_of, read_packages, read_status, relations
from runworthy.formats.index.metadata import read_metadata
from runworthy.formats.index.repodata import PrimaryIndex, file_owners, read_repomd, rich_relation
from runworthy.formats.index.versions import compare, satisfies, upstream
from runworthy.formats.package.rpm import tags_of
from runworthy.formats.package.streams import unpack
from runworthy.model.errors import FormatError
from runworthy.model.package import Manager, Relation
from tests.formats.packages import ar, tar
from tests.judges.roots import requires_tool

# In rising order, each list; of the specifications (deb-version(7), apk-version(8), rpm-version(7)) and their examples.
RISING: Mapping[Manager, tuple[tuple[str, ...], ...]] = {
    "apt": (
        ("1~~", "1~~a", "1~", "1", "1a", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-2", "1.0+a", "1.1", "1.10", "2", "1:0.1"),
        ("2.36-9", "2.36-9+deb12u1", "2.36-9+deb12u14", "2.41-12"),
    ),
    "apk": (
        ("1_alpha", "1_alpha1", "1_beta", "1_pre", "1_rc", "1_rc2", "1", "1-r1", "1_git", "1_p1", "1_p2", "1a", "1.1"),
        ("0.9", "1.0", "1.0.1", "1.01", "1.1", "1.9", "1.10", "2", "10"),
        ("1.2.3-r0", "1.2.3-r1", "1.2.3-r10", "1.2.3_git20200101-r0", "1.2.4_rc1-r0", "1.2.4-r0"),
    ),
    "dnf": (
        ("1.0~rc1-1", "1.0~rc2-1", "1.0-1", "1.0-1.1", "1.0-2", "1.0^git1-1", "1.0a-1", "1.0.1-1", "1.1-1", "1:0.1-1"),
        ("1.B1", "1.a", "1.b", "1.0", "1.1", "1.10"),
    ),
}

PACKAGES = b"""Package: libfoo1
Version: 1.2-3
Architecture: amd64
Multi-Arch: same
Provides: libfoo, libfoo-abi (= 1.2)
Pre-Depends: dpkg (>= 1.15)
Depends: libc6 (>= 2.34), libbar1 | libbar-compat (<< 3~), perl:any,
 libbaz2 (>> 1)
Conflicts: libfoo0
Breaks: app (<< 2)
Installed-Size: 12
Size: 345
SHA256: %s
Filename: pool/libf/libfoo1_1.2-3_amd64.deb
Unknown-Field: whatever

Package: other
Version: 1
Architecture: all
""" % (b"0a" * 32)

APKINDEX = b"""C:Q1abc=
P:libgcc
V:13.2.1_git20240309-r0
A:x86_64
S:51234
I:143360
T:GNU C compiler runtime libraries
D:so:libc.musl-x86_64.so.1 musl>=1.2 !libgcc-old foo@edge>1
p:so:libgcc_s.so.1=1 cmd:nothing=13-r0

P:busybox
V:1.36-r0
"""

REPOMD = b"""<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://x">
<data type="primary"><checksum type="sha256">%s</checksum><location href="repodata/p.xml.gz"/><size>12</size></data>
<data type="outside"><location href="../../etc/passwd"/></data></repomd>""" % (b"ab" * 32)

PRIMARY = b"""<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm"><name>foo-libs</name><arch>x86_64</arch><version epoch="1" ver="2.0" rel="3.el9"/>
<checksum type="sha256" pkgid="YES">%s</checksum><size package="1000" installed="2000" archive="2100"/>
<location href="Packages/foo-libs.rpm"/><format><rpm:license>MIT &amp; more</rpm:license>
<rpm:provides><rpm:entry name="libfoo.so.1()(64bit)"/><rpm:entry name="foo-libs"
flags="EQ" epoch="1" ver="2.0" rel="3.el9"/>
</rpm:provides><rpm:requires><rpm:entry name="libc.so.6(GLIBC_2.34)(64bit)"/><rpm:entry name="rpmlib(X)"/>
<rpm:entry name="(a or b &gt;= 2)"/><rpm:entry name="(c if d)"/><rpm:entry name="libfoo.so.1()(64bit)"/></rpm:requires>
<rpm:conflicts><rpm:entry name="bad" flags="LT" epoch="0" ver="2"/></rpm:conflicts><file>/usr/bin/foo</file></format>
</package></metadata>""" % (b"cd" * 32)

FILELISTS = b"""<filelists><package pkgid="x" name="foo-libs" arch="x86_64"><version epoch="0" ver="1" rel="1"/>
<file>/usr/lib64/libfoo.so.1</file><file type="dir">/usr/share/foo</file></package></filelists>"""

CONTENTS = b"""bin/true                                shells/coreutils
usr/lib/x86_64-linux-gnu/libfoo.so.1\tlibs/libfoo1,contrib/libs/libfoo-alt
usr/lib/x86_64-linux-gnu/libfoo.so.1.2\tlibs/libfoo1
usr/share/a name with spaces/libfoo.so.1                doc/strange
"""


# -- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("manager", ["apt", "apk", "dnf"])
def test_versions_rise_as_their_specifications_say(manager: Manager) -> None:
    for versions in RISING[manager]:
        for earlier, later in combinations(versions, 2):
            assert compare(manager, earlier, later) < 0 < compare(manager, later, earlier), (earlier, later)


@given(st.sampled_from(("apt", "apk", "dnf")), *[st.text("019azA.~^+-_r:", max_size=8)] * 3)
def test_versions_are_in_an_order(manager: Manager, one: str, two: str, three: str) -> None:
    def sign(left: str, right: str) -> int:
        order = compare(manager, left, right)
        return (order > 0) - (order < 0)

    assert sign(one, one) == 0
    assert sign(one, two) == -sign(two, one)
    if manager == "apt" and sign(one, two) <= 0 and sign(two, three) <= 0:
        assert sign(one, three) <= 0


def test_a_relation_takes_the_versions_that_it_names() -> None:
    def fits(manager: Manager, version: str, operator: str, wanted: str) -> bool:
        return satisfies(manager, version, Relation(name="x", operator=operator, version=wanted))

    assert fits("apk", "1.2.3-r0", "~", "1.2")
    assert not fits("apk", "1.3-r0", "~", "1.2")
    assert fits("dnf", "1.0-5", "=", "1.0")  # any release of it
    assert not fits("dnf", "1.0-5", "=", "1.0-4")
    assert not fits("apt", "1.0-5", "=", "1.0")
    assert fits("apt", "", "", "")
    assert not fits("apt", "", ">=", "1")  # something without a version is no version of it


def test_what_a_distribution_counts_is_not_upstream() -> None:
    assert upstream("apt", "1:2.36-9+deb12u1") == "2.36"
    assert upstream("apk", "1.2.5-r1") == "1.2.5"
    assert upstream("dnf", "2.34-100.el9") == "2.34"
    assert upstream("apt", "native1") == "native1"


# -- Debian ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_list_of_debian_is_read(pack: Callable[[bytes], bytes]) -> None:
    index = read_packages(BytesContent(pack(PACKAGES)), "list", "https://deb.example.org/debian/")
    assert len(index) == 2
    (foo,) = index.find("libfoo-abi")
    assert index.find("libfoo1") == index.find("libfoo") == (foo,)
    assert (foo.version, foo.arch, foo.multi_arch, foo.size, foo.installed) == ("1.2-3", "amd64", "same", 345, 12288)
    assert foo.archive == "https://deb.example.org/debian/pool/libf/libfoo1_1.2-3_amd64.deb"
    assert foo.sha256 == "0a" * 32
    assert [one.name for one in foo.conflicts] == ["libfoo0", "app"]
    assert foo.depends == (
        (Relation(name="dpkg", operator=">=", version="1.15"),),
        (Relation(name="libc6", operator=">=", version="2.34"),),
        (Relation(name="libbar1"), Relation(name="libbar-compat", operator="<", version="3~")),
        (Relation(name="perl:any"),),
        (Relation(name="libbaz2", operator=">", version="1"),),
    )


def test_a_status_tells_only_of_what_is_installed() -> None:
    text = b"Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: deinstall ok config-files\n"
    text += b"Version: 1\n\nPackage: c\nStatus: hold ok triggers-pending\nVersion: 2\n"
    assert [one.name for one in read_status(BytesContent(text)).packages()] == ["a", "c"]


def test_old_operators_and_qualifiers_are_understood() -> None:
    ((one,), (two,)) = relations("a (<  1) [amd64] <!nocheck>, b:native (>2)")
    assert one == Relation(name="a", operator="<=", version="1")
    assert two == Relation(name="b:native", operator=">=", version="2")


def test_an_archive_of_a_list_does_not_leave_its_base() -> None:
    for name in (b"../../etc/passwd", b"/etc/passwd", b"pool/../../x"):
        text = b"Package: a\nVersion: 1\nFilename: %s\n" % name
        (found,) = read_packages(BytesContent(text), "", "/mirror").find("a")
        assert found.archive == ""


def test_contents_are_looked_through_for_names() -> None:
    for data in (CONTENTS, gzip.compress(CONTENTS)):
        assert owners(BytesContent(data), {"libfoo.so.1", "true", "absent"}) == {
            "/bin/true": ("coreutils",),
            "/usr/lib/x86_64-linux-gnu/libfoo.so.1": ("libfoo1", "libfoo-alt"),
            "/usr/share/a name with spaces/libfoo.so.1": ("strange",),
        }


def test_contents_longer_than_memory_are_streamed() -> None:
    line = b"usr/share/doc/%0200d/copyright" % 7 + b" " * 20 + b"doc/some-package\n"
    data = gzip.compress(line * 200_000 + CONTENTS)
    tracemalloc.start()
    try:
        assert "/bin/true" in owners(BytesContent(data), {"true"})
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# -- apk -------------------------------------------------------------------------------------------


def test_an_index_of_alpine_is_read() -> None:
    archive = tar({"DESCRIPTION": b"v3.20", "APKINDEX": APKINDEX}, gzip.compress)
    signature = tar({".SIGN.RSA.x": b"signature"}, gzip.compress, cut=True)
    for data in (signature + archive, APKINDEX):
        index = read_apkindex(BytesContent(data), "x", "https://apk.example.org/main/x86_64")
        (found,) = index.find("so:libgcc_s.so.1")
        assert found == index.find("libgcc")[0]
        assert (found.size, found.installed) == (51234, 143360)
        assert found.archive == "https://apk.example.org/main/x86_64/libgcc-13.2.1_git20240309-r0.apk"
        assert [one.name for group in found.depends for one in group] == ["so:libc.musl-x86_64.so.1", "musl", "foo"]
        assert found.conflicts == (Relation(name="libgcc-old"),)


def test_what_is_installed_by_apk_is_read_with_its_files() -> None:
    text = b"P:a\nV:1-r0\nF:usr/lib\nM:0:0:755\nR:liba.so.1\na:0:0:755\nZ:Q1x=\nF:\nR:top\n\nP:b\nV:2\n"
    first, second = read_installed(BytesContent(text)).packages()
    assert first.files == ("/usr/lib/liba.so.1", "/top")
    assert second.name == "b"


def test_relations_of_apk() -> None:
    assert relation("!a<2") == Relation(name="a", operator="!<", version="2")
    assert relation("a@edge") == Relation(name="a")
    assert relation("so:libx.so.1=1.2") == Relation(name="so:libx.so.1", operator="=", version="1.2")
    assert relation("a><Q1hash=") == Relation(name="a")


def test_an_index_of_apk_3_is_refused_by_name() -> None:
    with pytest.raises(FormatError, match="apk 3"):
        read_apkindex(BytesContent(b"ADBd" + bytes(100)))


# -- rpm -------------------------------------------------------------------------------------------


def test_a_repository_of_rpms_is_read() -> None:
    listed = read_repomd(BytesContent(REPOMD))
    assert listed.keys() == {"primary"}  # what lies outside is nothing of it
    assert (listed["primary"].path, listed["primary"].sha256) == ("repodata/p.xml.gz", "ab" * 32)
    for data in (PRIMARY, gzip.compress(PRIMARY)):
        index = PrimaryIndex(BytesContent(data), "x", "/repo")
        (found,) = index.find("libfoo.so.1()(64bit)")
        assert index.find("foo-libs") == index.find("/usr/bin/foo") == (found,)
        assert (found.version, found.size, found.installed) == ("1:2.0-3.el9", 1000, 2000)
        assert found.archive == "/repo/Packages/foo-libs.rpm"
        # Neither what rpm itself has, nor what is asked for under a condition, nor what it brings itself.
        assert found.depends == (
            (Relation(name="libc.so.6(GLIBC_2.34)(64bit)"),),
            (Relation(name="a"), Relation(name="b", operator=">=", version="2")),
        )
        assert found.conflicts == (Relation(name="bad", operator="<", version="2"),)
    assert file_owners(BytesContent(FILELISTS), {"/usr/lib64/libfoo.so.1", "/x"}) == {
        "/usr/lib64/libfoo.so.1": ("foo-libs",)
    }


def test_rich_dependencies() -> None:
    assert rich_relation(Relation(name="(a >= 1 with a < 2)")) == (Relation(name="a", operator=">=", version="1"),)
    assert rich_relation(Relation(name="(a unless b)")) == ()


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><repomd>&b;</repomd>'
    for read in (read_repomd, PrimaryIndex):
        with pytest.raises(FormatError, match="document type"):
            read(BytesContent(bomb))


# -- packages themselves ---------------------------------------------------------------------------


def test_packages_tell_of_themselves() -> None:
    control = tar({"./control": PACKAGES.partition(b"\n\n")[0]}, lzma.compress)
    deb = ar({"debian-binary": b"2.0\n", "control.tar.xz": control, "data.tar": tar({"./x": b"x"})})
    found = read_metadata(BytesContent(deb), "/x.deb")
    assert found is not None
    assert (found.name, found.archive, found.size) == ("libfoo1", "/x.deb", len(deb))
    info = b"# made\npkgname = libgcc\npkgver = 13-r0\narch = x86_64\nsize = 5\ndepend = so:libc.musl-x86_64.so.1\n"
    info += b"depend = !bad\nprovides = so:libgcc_s.so.1=1\n"
    parts = ({".SIGN.RSA.x": b"s"}, {".PKGINFO": info})
    data = b"".join(tar(part, gzip.compress, cut=True) for part in parts) + tar({"lib/x": b"x"}, gzip.compress)
    found = read_metadata(BytesContent(data), "/x.apk")
    assert found is not None
    assert (found.name, found.version, found.installed) == ("libgcc", "13-r0", 5)
    assert (found.provides[0].name, found.conflicts[0].name) == ("so:libgcc_s.so.1", "bad")
    assert read_metadata(BytesContent(tar({"usr/lib/x": b"x"}, gzip.compress))) is None


# -- LZ4 -------------------------------------------------------------------------------------------


@pytest.mark.judge
def test_lz4_is_unpacked() -> None:
    requires_tool("lz4", package="lz4")
    for data in (b"", b"a" * 100_000, PACKAGES * 3000, bytes(range(256)) * 700):
        for options in ((), ("-B4", "-BD"), ("-B4", "--no-frame-crc"), ("--content-size",), ("-9", "-BX")):
            packed = subprocess.run(["lz4", "-q", "-z", "-c", *options], input=data, capture_output=True, check=True)
            found = unpack(BytesContent(packed.stdout))
            assert found.pread(0, found.size) == data
            if data:
                with pytest.raises(FormatError, match="lz4"):
                    unpack(BytesContent(packed.stdout[:-9]))


# -- what is hostile -------------------------------------------------------------------------------

_READERS: Mapping[str, tuple[bytes, Callable[[BytesContent], object]]] = {
    "packages": (PACKAGES, lambda data: list(read_packages(data).packages())),
    "status": (PACKAGES, lambda data: list(read_status(data).packages())),
    "apkindex": (APKINDEX, lambda data: list(read_apkindex(data).packages())),
    "installed": (APKINDEX, lambda data: list(read_installed(data).packages())),
    "repomd": (REPOMD, read_repomd),
    "primary": (PRIMARY, lambda data: list(PrimaryIndex(data).packages())),
    "filelists": (FILELISTS, lambda data: file_owners(data, {"/x"})),
    "contents": (CONTENTS, lambda data: owners(data, {"libfoo.so.1"})),
    "lz4": (b"\x04\x22\x4d\x18\x60\x40\x82\x05\0\0\0\x10a\1\0\0\0\0\0\0", unpack),
    "rpm": (b"\0\0\0\1\0\0\0\5\0\0\x03\xe8\0\0\0\6\0\0\0\0\0\0\0\1abc\0\0", lambda data: tags_of(data.pread(0, 999))),
    "deb": (ar({"control.tar": tar({"control": PACKAGES.partition(b"\n\n")[0]})}), read_metadata),
}


@pytest.mark.parametrize("name", sorted(_READERS))
def test_cut_off_anywhere_it_is_read_or_refused(name: str) -> None:
    data, read = _READERS[name]
    for end in range(0, len(data), max(1, len(data) // 600)):
        with contextlib.suppress(FormatError):
            read(BytesContent(data[:end]))


@pytest.mark.parametrize("name", sorted(_READERS))
@given(data=st.data())
def test_whatever_is_changed_it_is_read_or_refused(name: str, data: st.DataObject) -> None:
    whole, read = _READERS[name]
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(FormatError):
        read(BytesContent(bytes(changed)))


@pytest.mark.parametrize("encoding", ["AUTF-8", "hex", "utf-7", "gb18030", "idna"])
def test_an_encoding_that_cannot_be_read_is_refused(encoding: str) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?><metadata/>'.encode()
    with pytest.raises(FormatError, match="encoding"):
        list(PrimaryIndex(BytesContent(data)).packages())


@pytest.mark.slow
def test_an_entry_without_an_end_is_refused() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="over"):
            read_packages(BytesContent(gzip.compress(b"Package: a\nX: " + b"a" * (40 << 20))))
        assert tracemalloc.get_traced_memory()[1] < 160 << 20
    finally:
        tracemalloc.stop()


def test_fields_go_on_only_after_they_have_begun() -> None:
    with pytest.raises(FormatError, match="goes on"):
        fields_of(b" x")
