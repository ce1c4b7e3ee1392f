"""What kind of archive a file is: the bytes decide whether it is one, the name which of those that look alike."""

from __future__ import annotations

import zlib
from typing import Final

from runworthy.formats.package import DEB_MAGIC
from runworthy.formats.package.rpm import RPM_MAGIC
from runworthy.formats.package.streams import compression_of
from runworthy.formats.package.tar import is_tar
from runworthy.model.archive import ContainerKind

__all__ = ["NOTHING", "SQUASHFS_MAGIC", "archive_kind", "claimed_kind"]

SQUASHFS_MAGIC: Final = b"hsqs"
NOTHING: Final = bytes(512)
"""What a tar archive without members begins with."""
_ZIP: Final = (b"PK\3\4", b"PK\5\6")
_CPIO: Final = (b"070701", b"070702")
_APPIMAGE: Final = (b"AI\1", b"AI\2")
_ZIPS: Final[dict[str, ContainerKind]] = {
    ".whl": "wheel", ".jar": "jar", ".war": "jar", ".ear": "jar", ".nupkg": "nupkg", ".snupkg": "nupkg", ".zip": "zip",
}  # fmt: skip
_PROGRAMS: Final = (b"#!", b"MZ", b"\x7fELF")
_TARS: Final = (".tgz", ".txz", ".tbz", ".tbz2", ".tb2", ".tlz", ".tzst", ".tzstd", ".crate", ".gem")
_PACKINGS: Final = (".gz", ".xz", ".bz2", ".zst", ".lzma", ".lz4")


def archive_kind(head: bytes, name: str) -> ContainerKind | None:
    """Return what a file with these first 512 bytes and this name is to those who use it, None for no archive.

    Programs with an archive behind them are archives where their name says so.
    """
    name = name.rpartition("/")[2].lower()
    suffix = name[name.rfind(".") :] if "." in name else ""
    if head.startswith(_ZIP):
        return _ZIPS.get(suffix, "zip")
    if head.startswith(_PROGRAMS):
        return "appimage" if head[8:11] in _APPIMAGE else _ZIPS.get(suffix)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    packing = compression_of(head)
    if packing:
        return _of_stream(head, packing, name)
    return "tar" if is_tar(head) or (head == NOTHING and suffix == ".tar") else None


_MAGIC: Final[tuple[tuple[bytes | tuple[bytes, ...], ContainerKind], ...]] = (
    (DEB_MAGIC + b"debian", "deb"),
    (RPM_MAGIC, "rpm"),
    (SQUASHFS_MAGIC, "squashfs"),
    (_CPIO, "cpio"),
)


def claimed_kind(name: str) -> ContainerKind | None:
    """Return what a file must be by its name alone, None for names that are those of other files too."""
    name = name.lower()
    if name.endswith(_CLAIMED_TARS):
        return "tar"
    return _CLAIMED.get(name[name.rfind(".") :]) if "." in name else None


_CLAIMED: Final[dict[str, ContainerKind]] = {
    **_ZIPS, ".conda": "zip", ".vsix": "zip", ".aar": "zip", ".deb": "deb", ".udeb": "deb", ".rpm": "rpm",
}  # fmt: skip
_CLAIMED_TARS: Final = (".tgz", ".txz", ".tbz2", *(f".tar{packing}" for packing in _PACKINGS))


def _of_stream(head: bytes, packing: str, name: str) -> ContainerKind | None:
    """Return what is packed: what its first bytes unpack to tells, where these are enough to unpack any."""
    first = _begin(head, packing)
    stem, dot, last = name.rpartition(".")
    if len(first) >= 512:
        if first.startswith(_CPIO):
            return "cpio"
        if not is_tar(first) and not (first == NOTHING and (stem.endswith(".tar") or name.endswith(_TARS))):
            return None
        if packing == "gzip" and (name.endswith(".apk") or first.startswith(b".SIGN.")):
            return "apk"
        npm = packing == "gzip" and name.endswith(".tgz") and first.startswith((b"package/", b"PaxHeader/package"))
        return "npm" if npm else "tar"
    if name.endswith(".apk") and packing == "gzip":
        return "apk"
    if f"{dot}{last}" in _PACKINGS:
        return "cpio" if stem.endswith(".cpio") else "tar" if stem.endswith(".tar") else None
    return "tar" if name.endswith(_TARS) else None


def _begin(head: bytes, packing: str) -> bytes:
    """Return the first bytes that come out of the first ones that went in."""
    try:
        if packing == "gzip":
            return zlib.decompressobj(31).decompress(head, 512)
        if packing == "xz":
            import lzma

            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY).decompress(head, 512)
    except (zlib.error, MemoryError, ValueError, EOFError):
        return b""
    except Exception:  # noqa: BLE001 - lzma's own, which is there only where it was imported
        return b""
    return b""


_MEMORY: Final = 256 << 20
