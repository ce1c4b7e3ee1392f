"""What kind of archive a file is, by its first bytes and its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib

import pytest

from runworthy.formats.archive import archive_kind
from runworthy.model.archive import ContainerKind
from tests.formats.archive.test_hostile import make_zip
from tests.formats.packages import apk, ar, cpio, deb, rpm, tar

FILES = {"package/x": b"\x7fELF" + zlib.compress(bytes(range(256)) * 9)}
ZIP, ELF = make_zip(("a", b"x")), b"\x7fELF\2\1\1\0" + bytes(56)


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (ZIP, "dist/App-1.0-py3-none-any.WHL", "wheel"),
        (ZIP, "a.jar", "jar"),
        (ZIP, "a.nupkg", "nupkg"),
        (ZIP, "a.apk", "zip"),  # Android's
        (ZIP, "a", "zip"),
        (make_zip(), "a.zip", "zip"),
        (b"#!/bin/sh\n" + ZIP, "app.jar", "jar"),
        (b"#!/bin/sh\n" + ZIP, "app.pyz", None),
        (ELF, "app", None),
        (ELF[:8] + b"AI\2" + ELF[11:], "app", "appimage"),
        (ELF[:8] + b"AI\1" + ELF[11:], "app.AppImage", "appimage"),
        (deb(FILES), "a", "deb"),
        (ar({"a.o": b"x"}), "a.a", None),
        (ar({"a.o": b"x"}), "a.deb", None),
        (rpm(FILES), "a", "rpm"),
        (apk(FILES), "a.apk", "apk"),
        (apk(FILES), "a", "apk"),
        (cpio(FILES), "a", "cpio"),
        (gzip.compress(cpio(FILES)), "initrd", "cpio"),
        (b"hsqs" + bytes(92), "a", "squashfs"),
        (tar(FILES), "a", "tar"),
        (tar(FILES, gzip.compress), "a-1.0.tgz", "npm"),
        (tar(FILES, gzip.compress), "a-1.0.tar.gz", "tar"),
        (tar({"a": b""}, gzip.compress), "a-1.0.tgz", "tar"),
        (tar(FILES, lzma.compress), "a", "tar"),
        (tar(FILES, bz2.compress), "a.tar.bz2", "tar"),
        (tar(FILES, bz2.compress), "a.tbz2", "tar"),
        (tar(FILES, bz2.compress), "a.bz2", None),
        (tar({}), "a.tar", "tar"),
        (tar({}, gzip.compress), "a.tar.gz", "tar"),
        (bytes(512), "a", None),
        (gzip.compress(b"text" * 300), "a.tar.gz", None),
        (gzip.compress(b"text"), "a.gz", None),
        (b"\x5d\0\0 text", "a", None),
        (b"text", "a.zip", None),
        (b"", "a.tar.gz", None),
    ],
)
def test_kind(data: bytes, name: str, kind: ContainerKind | None) -> None:
    assert archive_kind(data[:512], name) == kind
