"""Archives that real programs made, member by member against what real unpackers lay down."""

from __future__ import annotations

import random
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from runworthy.formats.archive import archive_kind, open_archive
from runworthy.formats.content import FileContent
from tests.formats.archive.laid import Laid, in_archive, on_disk, opened
from tests.formats.archive.test_any_input import read_all

pytestmark = pytest.mark.judge

MAKERS: Mapping[str, str] = {
    "a.zip": "cd tree && zip -qry ../a.zip .",
    "stored.zip": "cd tree && zip -qry0 ../stored.zip .",
    "bzip2.zip": "cd tree && zip -qry -Z bzip2 ../bzip2.zip .",
    "streamed.zip": "cd tree && bsdtar -c --format zip -f - . | cat > ../streamed.zip",
    "appended.zip": "cd tree && zip -qry ../b.zip . && (head -c 70000 /bin/sh; cat ../b.zip) > ../appended.zip",
    "a.jar": "cd tree && zip -qry ../a.jar .",
    "a.nupkg": "cd tree && zip -qry ../a.nupkg .",
    "a.tar": "cd tree && tar -cf ../a.tar .",
    "pax.tar": "cd tree && tar -cf ../pax.tar --format=pax .",
    "old.tar": "cd tree && tar -cf ../old.tar --format=oldgnu --sparse .",
    "sparse.tar": "cd tree && tar -cf ../sparse.tar --format=pax --sparse .",
    "ustar.tar": "cd tree && bsdtar -cf ../ustar.tar --format=ustar .",
    "a.tgz": "cd tree && tar -czf ../a.tgz .",
    "a.tar.gz": "cd tree && tar -c . | gzip -9 > ../a.tar.gz && tar -c --exclude=* . | gzip >> ../a.tar.gz",
    "a.tar.xz": "cd tree && tar -cJf ../a.tar.xz .",
    "a.tar.bz2": "cd tree && tar -cjf ../a.tar.bz2 .",
    "a.tar.zst": "cd tree && tar -c . | zstd -q > ../a.tar.zst",
    "a.tar.lz4": "cd tree && tar -c . | lz4 -q > ../a.tar.lz4",
    "a.tar.lzma": "cd tree && tar -c . | xz --format=lzma > ../a.tar.lzma",
    "a.cpio": "cd tree && find . -print0 | cpio -0 -o -H newc --quiet > ../a.cpio",
    "crc.cpio": "cd tree && find . -print0 | cpio -0 -o -H crc --quiet > ../crc.cpio",
    "a.cpio.gz": "cd tree && find . -print0 | bsdtar -cn --null -T - --format newc -f - | gzip > ../a.cpio.gz",
    "xz.deb": "mkdir -p tree/DEBIAN && cp control tree/DEBIAN && dpkg-deb -Zxz -b tree xz.deb",
    "gz.deb": "mkdir -p tree/DEBIAN && cp control tree/DEBIAN && dpkg-deb -Zgzip -b tree gz.deb",
    "zst.deb": "mkdir -p tree/DEBIAN && cp control tree/DEBIAN && dpkg-deb -Zzstd -b tree zst.deb",
    "a.squashfs": "mksquashfs tree a.squashfs -quiet -no-progress -no-xattrs",
    "xz.squashfs": "mksquashfs tree xz.squashfs -quiet -no-progress -comp xz -b 4096",
    "zst.snap": "mksquashfs tree zst.snap -quiet -no-progress -comp zstd -no-fragments",
    "lz4.squashfs": "mksquashfs tree lz4.squashfs -quiet -no-progress -comp lz4 -always-use-fragments",
    "a.AppImage": "mksquashfs tree b.img -quiet -no-progress && cp /bin/sh a.AppImage && printf 'AI\\2'"
    " | dd of=a.AppImage bs=1 seek=8 conv=notrunc status=none && cat b.img >> a.AppImage",
}
UNPACKERS: Mapping[str, str] = {
    ".zip": "unzip -q -^ ../{} || test $? = 1",
    ".jar": "unzip -q -^ ../{}",
    ".nupkg": "unzip -q -^ ../{}",
    ".cpio": "cpio -i --quiet --no-absolute-filenames -d < ../{}",
    ".deb": "dpkg-deb -x ../{} .",
    ".squashfs": "unsquashfs -q -n -f -d . ../{}",
    ".snap": "unsquashfs -q -n -f -d . ../{}",
    ".AppImage": "unsquashfs -q -n -f -d . ../b.img",
    ".lz4": "lz4 -dcq ../{} | tar -x",
    ".zst": "zstd -dcq ../{} | tar -x",
}
CONTROL = "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of files of every size, kind and name."""
    top = tmp_path_factory.mktemp("made")
    made = top / "tree"
    chance = random.Random(5)  # noqa: S311 - not for secrets
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "sh").write_bytes(Path("/bin/sh").read_bytes())
    (made / "bin" / "sh").chmod(0o755)
    (made / "bin" / "big").write_bytes(b"\x7fELF" + chance.randbytes(1 << 20) + bytes(3 << 20) + b"end")
    (made / "empty").touch()
    (made / "empty dir").mkdir()
    (made / "lib" / ("d" * 80) / ("e" * 90)).mkdir(parents=True)
    (made / "lib" / ("d" * 80) / ("e" * 90) / "deep").write_text("deep")
    (made / "lib" / "ünï cödé").write_text("name")
    (made / "lib" / "new\nline").write_text("name")
    (made / "lib" / "link").symlink_to("ünï cödé")
    (made / "lib64").symlink_to("lib")
    (made / "lib" / "other").hardlink_to(made / "bin" / "sh")
    with (made / "holes").open("wb") as file:
        file.write(b"\x7fELF")
        file.seek(1 << 20)
        file.write(b"middle")
        file.truncate(3 << 20)
    (top / "control").write_text(CONTROL)
    return top


def run(command: str, directory: Path) -> None:
    subprocess.run(["/bin/sh", "-c", command], check=True, cwd=directory, capture_output=True)


def unpacked(name: str, directory: Path) -> Laid:
    out = directory / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = "gzip -dc ../{} | cpio -id --quiet" if name.endswith(".cpio.gz") else ""
    run((command or UNPACKERS.get(Path(name).suffix, "tar -xf ../{}")).format(name), out)
    return on_disk(out)


@pytest.mark.parametrize("name", MAKERS)
def test_what_real_programs_made_is_what_real_programs_unpack(name: str, tree: Path, tmp_path: Path) -> None:
    if name.endswith((".squashfs", ".snap", ".AppImage")):
        pytest.importorskip("PySquashfsImage")
    shutil.copytree(tree, tmp_path, symlinks=True, dirs_exist_ok=True)
    if name.endswith(".deb"):  # dpkg-deb lists them line by line
        (tmp_path / "tree" / "lib" / "new\nline").unlink()
    run(MAKERS[name], tmp_path)
    path = tmp_path / name
    content = FileContent(str(path), path.stat().st_size)
    kind = archive_kind(content.pread(0, 512), name)
    assert kind is not None
    archive = open_archive(content, kind)
    assert archive.problem == ""
    expected = unpacked(name, tmp_path)
    assert len(expected) > 12
    assert in_archive(archive) == expected
    assert in_archive(archive) == expected, "read once more"
    for member in archive.members:
        assert archive.find(member.path) is member


# -- modes and names of zip archives -----------------------------------------------------------

SYSTEMS = (0, 3, 7, 10, 11, 14, 19)
MODES = (0, 0o755, 0o100755, 0o100644, 0o100111, 0o120777)


@pytest.mark.parametrize("unpacker", ["unzip -qo {}", "bsdtar -xf {}"])
def test_modes_by_the_system_that_an_archive_was_made_on(unpacker: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for system, mode in product(SYSTEMS, MODES):
            info = zipfile.ZipInfo(f"{system}-{mode:o}")
            info.create_system = system
            info.external_attr = mode << 16 or 0x20
            archive.writestr(info, "target")
        for system, name in product((0, 3), ("b\\c{}", "d/e\\f{}", "..\\g{}")):
            info = zipfile.ZipInfo("x")
            info.filename, info.create_system, info.external_attr = name.format(system), system, 0o100644 << 16
            archive.writestr(info, "x")
    (tmp_path / "out").mkdir()
    run(f"{unpacker.format('../a.zip')} || true", tmp_path / "out")
    found = on_disk(tmp_path / "out")
    held = in_archive(opened((tmp_path / "a.zip").read_bytes(), "a.zip"))
    if "bsdtar" in unpacker:  # it takes any backslash for a slash, on any system, where there is no slash
        held = {name: row for name, row in held.items() if not name.endswith(("\\c3", "\\g3"))}
        found = {name: row for name, row in found.items() if not name.endswith("/c3")}
    if "unzip" in unpacker:  # it lays down what leads out, without what leads out
        found = {name: row for name, row in found.items() if name != "g0"}
    assert held == found


def test_what_becomes_executable_of_a_wheel(tmp_path: Path) -> None:
    """What pip looks at is any system's modes, where they say that it is a regular file, and makes no links."""
    wheel = tmp_path / "x-1-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for system, mode in product(SYSTEMS, MODES):
            info = zipfile.ZipInfo(f"x/{system}-{mode:o}")
            info.create_system = system
            info.external_attr = mode << 16 or 0x20
            archive.writestr(info, "target")
            record.append(f"{info.filename},,\n")
        archive.writestr("x-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("x-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1\n")
        record += [f"x-1.dist-info/{name},,\n" for name in ("WHEEL", "METADATA", "RECORD")]
        archive.writestr("x-1.dist-info/RECORD", "".join(record))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--target",
        "out",
    ]
    subprocess.run([*command, str(wheel)], check=True, cwd=tmp_path, capture_output=True)
    found = {name: row for name, row in on_disk(tmp_path / "out").items() if name.startswith("x/")}
    held = in_archive(opened(wheel.read_bytes(), wheel.name))
    assert len(found) == len(SYSTEMS) * len(MODES)
    assert {name: row for name, row in held.items() if name.startswith("x/")} == found
    assert stat.S_IMODE((tmp_path / "out" / "x" / "3-100755").stat().st_mode) & 0o111


# -- damaged images ----------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["gzip", "xz", "zstd", "lz4"])
def test_damaged_images(packing: str, tree: Path, tmp_path: Path) -> None:
    pytest.importorskip("PySquashfsImage")
    shutil.copytree(tree / "tree" / "lib", tmp_path / "lib", symlinks=True)
    run(f"mksquashfs lib a.squashfs -quiet -no-progress -comp {packing}", tmp_path)
    whole = (tmp_path / "a.squashfs").read_bytes()
    chance = random.Random(7)  # noqa: S311 - not for secrets
    start = time.process_time()
    for _ in range(150):
        data = bytearray(whole)
        tables = chance.randrange(2)  # the tables are at the end, and the superblock at the beginning
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data) - 700, len(data)) if tables else chance.randrange(96)] = chance.randrange(
                256
            )
        read_all(bytes(data[: chance.choice((len(data), len(data) - 300))]), "squashfs")
    assert time.process_time() - start < 30
