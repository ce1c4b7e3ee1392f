"""Packages of a root: who brings what is missing, what comes along, and from where it is known. The server is real."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runworthy.model.arch import Architecture, architecture
from runworthy.model.edit import UnpackPackage
from runworthy.targets.edits import edited
from runworthy.targets.names import TargetName
from runworthy.targets.packages import Choice, Packages, Wanted, installed, manager_of
from runworthy.targets.packages.repositories import repositories
from runworthy.targets.packages.signature import plain_text
from runworthy.targets.target import Target
from tests.formats.packages import ar, tar
from tests.judges.roots import requires_tool

_STATUS = """Package: {0}
Status: install ok installed
Architecture: {2}
Version: {1}
{3}
"""


def arch(name: str = "x86_64") -> Architecture:
    found = architecture(name)
    assert found is not None
    return found


def library(name: str, arch_name: str = "x86_64") -> Wanted:
    return Wanted(kind="library", name=name, arch=arch(arch_name))


def opened(root: Path) -> Target:
    return TargetName(f"rootfs:{root}").open(arch())


def paragraph(name: str, version: str, arch_name: str = "amd64", **fields: str) -> str:
    lines = [f"Package: {name}", f"Version: {version}", f"Architecture: {arch_name}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def deb(text: str, files: Mapping[str, bytes]) -> bytes:
    control = gzip.compress(tar({"./control": text.encode()}))
    return ar({"debian-binary": b"2.0\n", "control.tar.gz": control, "data.tar": tar(files)})


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A root of Debian 12 with a few packages."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "lib64").mkdir()
    (root / "lib64/ld-linux-x86-64.so.2").write_bytes(b"")
    rows = (
        ("libc6", "2.36-9", "amd64", "Multi-Arch: same"),
        ("libold1", "1.0-1", "amd64", "Depends: libc6"),
        ("user", "1", "amd64", "Depends: libold1 (= 1.0-1)"),
        ("enemy", "1", "all", "Conflicts: hated"),
        ("mawk", "1.3", "amd64", "Provides: awk"),
        ("gone", "1", "amd64", ""),
    )
    text = "\n".join(_STATUS.format(*row) for row in rows)
    gone = text.rindex("install ok installed")
    (root / "var/lib/dpkg/status").write_text(text[:gone] + "deinstall ok config-files" + text[gone + 20 :])
    return root


def given(tmp_path: Path, *paragraphs: str) -> str:
    """A file with a list of packages."""
    path = tmp_path / "Packages"
    path.write_text("\n".join(paragraphs))
    return str(path)


def named(root: Path, lists: str, name: str) -> Choice | None:
    found = Packages(opened(root), [lists]).named(name)
    assert len(found) <= 1
    return found[0] if found else None


# -- what comes along ------------------------------------------------------------------------------


def test_what_is_installed_is_not_asked_for_again(debian: Path, tmp_path: Path) -> None:
    lists = given(
        tmp_path,
        paragraph("libfoo1", "1", Depends="libc6 (>= 2.34), awk, libbar1 | libold1, libone | libtwo"),
        paragraph("libbar1", "1"),
        paragraph("libone", "1"),
        paragraph("libtwo", "1"),
        paragraph("gawk", "5", Provides="awk"),
    )
    found = named(debian, lists, "libfoo1")
    assert found is not None
    assert found.with_them == ("libone",)  # libold1 is there, mawk is awk, and the first of two others is taken
    assert not found.known
    assert "libone" in found.why or "libfoo1" in found.why
    assert named(debian, lists, "libold1") is None


def test_the_next_alternative_is_taken_where_the_first_cannot_be(debian: Path, tmp_path: Path) -> None:
    lists = given(
        tmp_path,
        paragraph("libfoo1", "1", Depends="hated | broken | good"),
        paragraph("hated", "1"),  # an installed package is against it
        paragraph("broken", "1", Depends="nowhere"),
        paragraph("good", "1"),
    )
    found = named(debian, lists, "libfoo1")
    assert found is not None
    assert found.with_them == ("good",)


def test_what_needs_the_old_version_goes_along(debian: Path, tmp_path: Path) -> None:
    new = paragraph("libfoo1", "1", Depends="libold1 (>= 2)"), paragraph("libold1", "2.0-1", Depends="libc6")
    assert named(debian, given(tmp_path, *new), "libfoo1") is None  # user would break
    found = named(debian, given(tmp_path, *new, paragraph("user", "2", Depends="libold1 (= 2.0-1)")), "libfoo1")
    assert found is not None
    assert set(found.with_them) == {"libold1", "user"}


def test_circles_are_walked_once(debian: Path, tmp_path: Path) -> None:
    lists = given(tmp_path, paragraph("a", "1", Depends="b"), paragraph("b", "1", Depends="a, c"), paragraph("c", "1"))
    found = named(debian, lists, "a")
    assert found is not None
    assert set(found.with_them) == {"b", "c"}


def test_the_c_library_is_never_replaced(debian: Path, tmp_path: Path) -> None:
    newer = paragraph("libc6", "2.41-1", Multi_Arch="same")
    same = paragraph("libc6", "2.36-9+deb12u1", Multi_Arch="same")
    wants = paragraph("libfoo1", "1", Depends="libc6 (>= 2.36-9+deb12u1)")
    assert named(debian, given(tmp_path, wants, newer), "libfoo1") is None
    assert named(debian, given(tmp_path, newer), "libc6") is None
    found = named(debian, given(tmp_path, wants, same), "libfoo1")
    assert found is not None
    assert found.with_them == ("libc6",)  # the same release with what was mended since


def test_another_architecture_brings_its_own_libraries(debian: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    packages = {
        "libz": paragraph("libfoo1", "1", "i386", Depends="libc6, tool, data", Multi_Arch="same"),
        "libc": paragraph("libc6", "2.36-9", "i386", Multi_Arch="same"),
        "tool": paragraph("tool", "1", "amd64", Multi_Arch="foreign"),
        "data": paragraph("data", "1", "all", Multi_Arch="foreign"),
    }
    for name, text in packages.items():
        (tmp_path / "p" / f"{name}.deb").write_bytes(deb(text, {"./usr/lib/i386-linux-gnu/libfoo.so.1": b"x"}))
    found = Packages(opened(debian), [str(tmp_path / "p")]).providers(library("libfoo.so.1", "i386"))
    assert found[0].names == ("libfoo1:i386",)
    assert set(found[0].with_them) == {"libc6:i386", "tool", "data"}
    assert found[0].known


def test_a_package_that_lays_itself_over_the_loader_is_none(debian: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(deb(paragraph("libfoo1", "1"), {"./lib64/ld-linux-x86-64.so.2": b"x"}))
    assert named(debian, str(path), "libfoo1") is None


def test_what_a_person_gives_comes_before_what_a_root_has_later(debian: Path, tmp_path: Path) -> None:
    lists = debian / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    text = "\n".join((paragraph("libfoo1", "2", Depends="libbar1"), paragraph("libbar1", "2")))
    (lists / "x_dists_stable_main_binary-amd64_Packages").write_text(text)
    path = tmp_path / "x.deb"
    path.write_bytes(deb(paragraph("libfoo1", "1"), {"./usr/lib/x86_64-linux-gnu/libfoo.so.1": b"x"}))
    (found,) = Packages(opened(debian), [str(path)]).providers(library("libfoo.so.1"))
    assert [one.version for one in found.packages] == ["1"]
    (effect,) = found.effects
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert effect == UnpackPackage(archive=str(path), package="libfoo1 1", sha256=digest, vouched="given")
    (later,) = Packages(opened(debian)).named("libfoo1")
    assert [one.version for one in later.packages] == ["2", "2"]


def test_names_with_an_architecture_after_them(debian: Path, tmp_path: Path) -> None:
    lists = given(
        tmp_path,
        paragraph("libfoo1", "1", Depends="python3:any, tool:amd64"),
        paragraph("python3", "3", Multi_Arch="allowed"),
        paragraph("tool", "1"),
    )
    found = named(debian, lists, "libfoo1")
    assert found is not None
    assert set(found.with_them) == {"python3", "tool"}


def test_pins_that_are_not_followed_are_told(debian: Path, tmp_path: Path) -> None:
    pins = debian / "etc/apt/preferences.d"
    pins.mkdir(parents=True)
    (pins / "own").write_text("Package: *\nPin: release n=x\nPin-Priority: 900\n")
    found = named(debian, given(tmp_path, paragraph("libfoo1", "1")), "libfoo1")
    assert found is not None
    assert found.notes == (
        "the pins in /etc/apt/preferences.d/own are not followed here: apt may choose other versions",
    )


# -- who brings it ---------------------------------------------------------------------------------


def test_a_name_alone_is_no_proof(debian: Path, tmp_path: Path) -> None:
    """A package that is called as the one with the library would be is looked into."""
    right, wrong = tmp_path / "right.deb", tmp_path / "wrong.deb"
    right.write_bytes(deb(paragraph("libfoo1", "1"), {"./usr/lib/x86_64-linux-gnu/libfoo.so.1": b"x"}))
    wrong.write_bytes(deb(paragraph("libfoo1", "1"), {"./usr/share/doc/libfoo1/copyright": b"x"}))
    (found,) = Packages(opened(debian), [str(right)]).providers(library("libfoo.so.1"))
    assert found.names == ("libfoo1",)
    assert found.known
    assert Packages(opened(debian), [str(wrong)]).providers(library("libfoo.so.1")) == ()
    lists = given(tmp_path, paragraph("libfoo1", "1"))
    (unseen,) = Packages(opened(debian), [lists]).providers(library("libfoo.so.1"))
    assert not unseen.known
    assert "--packages" in unseen.why


def test_contents_name_packages_that_are_called_otherwise(debian: Path, tmp_path: Path) -> None:
    given(tmp_path, paragraph("strange", "1"), paragraph("hidden", "1"))
    contents = "usr/lib/x86_64-linux-gnu/libfoo.so.1  libs/strange\nusr/lib/app/libfoo.so.1  libs/hidden\n"
    (tmp_path / "Contents-amd64.gz").write_bytes(gzip.compress(contents.encode()))
    lists = [str(tmp_path / "Packages"), str(tmp_path / "Contents-amd64.gz")]
    (found,) = Packages(opened(debian), lists).providers(library("libfoo.so.1"))
    assert found.names == ("strange",)  # where the other has it, no loader looks


def test_the_effects_put_the_library_into_the_target(debian: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(deb(paragraph("libfoo1", "1"), {"./usr/lib/x86_64-linux-gnu/libfoo.so.1": b"x"}))
    (found,) = Packages(opened(debian), [str(path)]).providers(library("libfoo.so.1"))
    assert edited(opened(debian), found.effects).view.exists("/usr/lib/x86_64-linux-gnu/libfoo.so.1")


def test_who_manages_a_root(debian: Path, tmp_path: Path) -> None:
    target = opened(debian)
    assert manager_of(target) == "apt"
    there = installed(target)
    assert there is not None
    assert set(there) == {"libc6", "libold1", "user", "enemy", "mawk"}
    empty = tmp_path / "empty"
    (empty / "etc").mkdir(parents=True)
    (empty / "etc/os-release").write_text("ID=own\n")
    assert manager_of(opened(empty)) is None
    assert Packages(opened(empty)).providers(library("libfoo.so.1")) == ()
    for name, manager in (("alpine:3.20", "apk"), ("debian:12", "apt"), ("rhel:9", "dnf")):
        assert manager_of(TargetName(name).open(arch())) == manager, name


# -- over the network ------------------------------------------------------------------------------


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def state(root: Path) -> dict[str, tuple[int, float]]:
    """What lies in a root: sizes and times."""
    found = {}
    for top, _, names in os.walk(root):
        for name in names:
            status = os.lstat(os.path.join(top, name))
            found[os.path.join(top, name)] = (status.st_size, status.st_mtime)
    return found


class Archive:
    """A signed archive of Debian's kind with one library, and its key."""

    def __init__(self, top: Path) -> None:
        requires_tool("gpg", package="gnupg")
        requires_tool("gpgv", package="gpgv")
        self.top, self.home = top / "mirror", top / "gnupg"
        self.home.mkdir(mode=0o700)
        self._gpg("--quick-gen-key", "archive <a@example.org>", "ed25519", "sign", "never")
        self.key = self._gpg("--export")
        text = paragraph("libfoo1", "1.0-1", Depends="libc6")
        self.deb = self.top / "pool/libfoo1_1.0-1_amd64.deb"
        self.deb.parent.mkdir(parents=True)
        self.suite = self.top / "dists/stable"
        self.bring(deb(text, {"./usr/lib/x86_64-linux-gnu/libfoo.so.1": b"x"}))

    def bring(self, data: bytes) -> None:
        """Have these bytes as the one package."""
        self.deb.write_bytes(data)
        text = paragraph("libfoo1", "1.0-1", Depends="libc6")
        text += f"Filename: pool/{self.deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        self.lists = {"main/binary-amd64/Packages.gz": gzip.compress(text.encode())}
        for name, packed in self.lists.items():
            (self.suite / name).parent.mkdir(parents=True, exist_ok=True)
            (self.suite / name).write_bytes(packed)
        self.sign()

    def sign(self) -> None:
        rows = "".join(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n" for name, data in self.lists.items())
        release = self.suite / "Release"
        release.write_text(f"Origin: Test\nSuite: stable\nSHA256:\n{rows}")
        self._gpg("--yes", "--clearsign", "-o", str(self.suite / "InRelease"), str(release))
        self._gpg("--yes", "--detach-sign", "-o", str(self.suite / "Release.gpg"), str(release))

    def _gpg(self, *arguments: str) -> bytes:
        argv = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(argv, check=True, capture_output=True).stdout

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)  # its agent removes its own files while it ends


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(tmp_path)
    yield made
    made.close()


def configure(root: Path, url: str, key: bytes) -> None:
    (root / "etc/apt/keys").mkdir(parents=True)
    (root / "etc/apt/keys/test.gpg").write_bytes(key)
    line = f"deb [signed-by=/etc/apt/keys/test.gpg] {url} stable main\ndeb-src {url} stable main # no\n"
    (root / "etc/apt/sources.list").write_text(line)


def ask(root: Path, scratch: Path, *, network: bool = True) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    scratch.mkdir()
    packages = Packages(opened(root), scratch=str(scratch), network=network)
    return packages.providers(library("libfoo.so.1")), packages.notes


@pytest.mark.judge
def test_a_signed_archive_is_asked_and_nothing_is_written(debian: Path, archive: Archive, tmp_path: Path) -> None:
    with served(archive.top) as url:
        configure(debian, url, archive.key)
        before = state(debian)
        (found,), notes = ask(debian, tmp_path / "scratch")
        assert ask(debian, tmp_path / "other", network=False) == ((), ())
    assert state(debian) == before
    assert (found.names, found.known, notes) == (("libfoo1",), True, ())
    (effect,) = found.effects
    assert isinstance(effect, UnpackPackage)
    assert Path(effect.archive).read_bytes() == archive.deb.read_bytes()
    assert Path(effect.archive).parent == tmp_path / "scratch"
    assert effect.vouched == "signed"
    assert effect.sha256 == hashlib.sha256(archive.deb.read_bytes()).hexdigest()


@pytest.mark.judge
def test_a_release_file_with_a_signature_apart_counts_too(debian: Path, archive: Archive, tmp_path: Path) -> None:
    (archive.suite / "InRelease").unlink()
    with served(archive.top) as url:
        configure(debian, url, archive.key)
        (found,), notes = ask(debian, tmp_path / "scratch")
    assert found.known
    assert notes == ()


@pytest.mark.judge
def test_a_changed_package_is_refused(debian: Path, archive: Archive, tmp_path: Path) -> None:
    archive.deb.write_bytes(archive.deb.read_bytes().replace(b"libfoo.so.1", b"libbar.so.1"))
    with served(archive.top) as url:
        configure(debian, url, archive.key)
        found, _ = ask(debian, tmp_path / "scratch")
    assert not any(one.known for one in found)
    assert "hash differs" in found[0].why


@pytest.mark.judge
def test_a_changed_list_is_refused(debian: Path, archive: Archive, tmp_path: Path) -> None:
    (archive.suite / "main/binary-amd64/Packages.gz").write_bytes(gzip.compress(paragraph("libfoo1", "9").encode()))
    with served(archive.top) as url:
        configure(debian, url, archive.key)
        found, notes = ask(debian, tmp_path / "scratch")
    assert found == ()
    assert "hash differs" in notes[0]


@pytest.mark.judge
def test_a_bad_signature_is_refused_and_none_is_said(debian: Path, archive: Archive, tmp_path: Path) -> None:
    signed = archive.suite / "InRelease"
    text = signed.read_bytes()
    signed.write_bytes(text.replace(b"Origin: Test", b"Origin: Best"))
    with served(archive.top) as url:
        configure(debian, url, archive.key)
        found, notes = ask(debian, tmp_path / "bad")
        assert found == ()
        assert "bad" in notes[0]
        signed.write_bytes(text)
        (debian / "etc/apt/keys/test.gpg").write_bytes(b"")  # another key, or none
        (unsigned,), notes = ask(debian, tmp_path / "unsigned")
    assert unsigned.known
    assert [one.vouched for one in unsigned.effects if isinstance(one, UnpackPackage)] == [""]
    assert "unsigned" in notes[0]
    assert unsigned.notes == notes


@pytest.mark.judge
def test_a_server_that_is_away_is_said(debian: Path, archive: Archive, tmp_path: Path) -> None:
    with served(archive.top) as url:
        configure(debian, url, archive.key)
    found, notes = ask(debian, tmp_path / "scratch")
    assert found == ()
    assert url in notes[0]


def test_what_is_signed_is_taken_alone() -> None:
    text = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nA: 1\n- -B: 2\n-----BEGIN PGP SIGNATURE-----\n\nx\n"
    assert plain_text(text) == b"A: 1\n-B: 2"


def test_an_index_of_alpine_over_the_network(tmp_path: Path) -> None:
    root, mirror = tmp_path / "root", tmp_path / "mirror/main/x86_64"
    (root / "lib/apk/db").mkdir(parents=True)
    (root / "etc/apk").mkdir(parents=True)
    mirror.mkdir(parents=True)
    (root / "etc/os-release").write_text("ID=alpine\n")
    (root / "lib/apk/db/installed").write_text("P:musl\nV:1.2.5-r0\np:so:libc.musl-x86_64.so.1=1\n\n")
    info = b"pkgname = libgcc\npkgver = 13-r0\narch = x86_64\nprovides = so:libgcc_s.so.1=1\n"
    parts = ({".SIGN.RSA.x": b"s"}, {".PKGINFO": info})
    data = b"".join(tar(part, gzip.compress, cut=True) for part in parts)
    (mirror / "libgcc-13-r0.apk").write_bytes(data + tar({"usr/lib/libgcc_s.so.1": b"x"}, gzip.compress))
    rows = ("P:libgcc", "V:13-r0", "A:x86_64", "S:9", "D:so:libc.musl-x86_64.so.1", "p:so:libgcc_s.so.1=1", "")
    other = ("P:glibc", "V:2.35-r0", "A:x86_64", "p:so:libgcc_s.so.1=1 so:libc.so.6=6", "")
    index = {"APKINDEX": "\n".join((*rows, *other)).encode()}
    (mirror / "APKINDEX.tar.gz").write_bytes(tar(index, gzip.compress))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with served(tmp_path / "mirror") as url:
        (root / "etc/apk/repositories").write_text(f"#{url}/no\n{url}/main\n@edge {url}/edge\n/media/cdrom/apks\n")
        packages = Packages(opened(root), scratch=str(scratch), network=True)
        (found,) = packages.providers(library("libgcc_s.so.1"))  # and never a package with another C library
    assert (found.manager, found.names, found.with_them, found.known) == ("apk", ("libgcc",), (), True)
    assert "signature" in found.notes[0]
    assert [one.vouched for one in found.effects if isinstance(one, UnpackPackage)] == ["signed"]  # for apk to look at
    assert edited(opened(root), found.effects).view.exists("/usr/lib/libgcc_s.so.1")


def test_repositories_are_read_as_their_managers_read_them(debian: Path, tmp_path: Path) -> None:
    parts = debian / "etc/apt/sources.list.d"
    parts.mkdir(parents=True)
    (parts / "a.sources").write_text(
        "Types: deb deb-src\nURIs: http://a.example.org/ http://b.example.org\n"
        "Suites: x x-updates\nComponents: main contrib\n"
        "Signed-By: /k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://c.example.org\nSuites: y\nComponents: main\n"
    )
    found = repositories(opened(debian), "apt")
    assert [(one.base, one.suite) for one in found] == [
        (base, suite) for base in ("http://a.example.org", "http://b.example.org") for suite in ("x", "x-updates")
    ]
    assert found[0].components == ("main", "contrib")
    assert found[0].signed_by == ("/k.gpg",)
    root = tmp_path / "rpm"
    (root / "etc/yum.repos.d").mkdir(parents=True)
    (root / "etc/dnf/vars").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID="almalinux"\nVERSION_ID="9.4"\nID_LIKE="rhel centos fedora"\n')
    (root / "etc/dnf/vars/contentdir").write_text("alma\n")
    (root / "etc/yum.repos.d/a.repo").write_text(
        "[base]\nname=x\nbaseurl=https://m.example.org/$contentdir/$releasever/os/$basearch/\n   https://o.example.org\nenabled=1\n"
        "[off]\nbaseurl=https://off.example.org\nenabled=0\n[list]\n"
        "mirrorlist=elsewhere\n"
    )
    target = opened(root)
    assert manager_of(target) == "dnf"
    assert [one.base for one in repositories(target, "dnf")] == ["https://m.example.org/alma/9/os/x86_64"]
