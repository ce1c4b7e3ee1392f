"""What packages of systems say of themselves."""

from __future__ import annotations

import gzip

import pytest

from runworthy.formats.archive import package_metadata
from runworthy.formats.content import BytesContent
from runworthy.model.archive import ContainerKind
from tests.formats.packages import ar, tar

CONTROL = b"Package: x\nVersion: 1:2-3\nArchitecture: arm64\nDepends: libc6 (>= 2.17), a | b\n"
PKGINFO = b"pkgname = x\npkgver = 1-r0\narch = aarch64\ndepend = so:libc.musl-aarch64.so.1\ndepend = y>=2\n"
DEB = ar({"debian-binary": b"2.0\n", "control.tar.gz": gzip.compress(tar({"./control": CONTROL})), "data.tar": tar({})})
APK = gzip.compress(tar({".PKGINFO": PKGINFO}, cut=True)) + gzip.compress(tar({"a": b""}))


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        (DEB, "deb", ("x", "1:2-3", "arm64", "libc6 (>= 2.17), a | b")),
        (APK, "apk", ("x", "1-r0", "aarch64", "so:libc.musl-aarch64.so.1, y (>= 2)")),
        (gzip.compress(tar({"a": b""})), "apk", ()),
        (DEB, "zip", ()),
    ],
)
def test_metadata(data: bytes, kind: ContainerKind, expected: tuple[str, ...]) -> None:
    assert tuple(package_metadata(BytesContent(data), kind).values()) == expected
