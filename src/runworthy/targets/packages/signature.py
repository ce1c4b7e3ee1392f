"""Whether Debian's ``Release`` files are signed by a key that a root trusts: gpgv(1) is asked, where it is at hand.

Alpine's packages bear a signature of their own, which apk looks at.

Source: apt-secure(8); wiki.alpinelinux.org, "Apk spec"; RFC 9580, section 7 "Cleartext Signature Framework" and 6
"ASCII Armor".
"""

from __future__ import annotations

import binascii
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from runworthy.formats.content import Content
from runworthy.targets.packages.installed import read_file
from runworthy.targets.view import FileView, UnseenError

__all__ = ["Verdict", "bears_signature", "plain_text", "verified"]

Verdict = Literal["good", "bad", "unknown"]
"""``unknown``: there is no gpgv, no key, or no signature."""

_KEYRINGS: Final = "/etc/apt/trusted.gpg.d"
_OTHERS: Final = (
    "/etc/apt/trusted.gpg",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
)
_KEY_LIMIT: Final = 4 << 20
_TIME: Final = 30
_HEAD: Final = 1 << 16
_BEGIN, _END = b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP SIGNATURE-----"


def plain_text(signed: bytes) -> bytes:
    """Return what a clear-signed text says; itself where it is not signed."""
    if not signed.startswith(_BEGIN):
        return signed
    _, _, body = signed.replace(b"\r\n", b"\n").partition(b"\n\n")
    text, _, _ = body.partition(b"\n" + _END)
    return b"\n".join(line.removeprefix(b"- ") for line in text.split(b"\n"))


def verified(signed: str, view: FileView, keys: Sequence[str], *, signature: str = "") -> Verdict:
    """Return what gpgv says of a file of this machine, by keyrings of the root. Raises OSError.

    ``keys`` are their paths, or a key itself; without any, all that the root trusts count. ``signature`` is the file
    with a signature that stands apart.
    """
    program = shutil.which("gpgv")
    if program is None:
        return "unknown"
    with tempfile.TemporaryDirectory() as directory:
        rings = []
        for number, data in enumerate(_keys(view, keys)):
            ring = os.path.join(directory, f"{number}.gpg")
            with open(ring, "wb") as stream:
                stream.write(data)
            rings += ["--keyring", ring]
        if not rings:
            return "unknown"
        # An empty home, so that nobody's own keys count.
        argv = [
            program,
            "--homedir",
            directory,
            "--status-fd",
            "1",
            *rings,
            *([signature] if signature else []),
            signed,
        ]
        try:
            ended = subprocess.run(argv, capture_output=True, timeout=_TIME, check=False)  # noqa: S603 - no shell
        except subprocess.TimeoutExpired:
            return "unknown"
    words = {
        line.split()[1] for line in ended.stdout.splitlines() if line.startswith(b"[GNUPG:]") and len(line.split()) > 1
    }
    if b"BADSIG" in words:
        return "bad"
    return "good" if b"VALIDSIG" in words and b"GOODSIG" in words else "unknown"


def bears_signature(archive: str) -> bool:
    """Whether a package of apk's begins with a signature, ``.SIGN.RSA.NAME``; whose it is is for apk to say."""
    try:
        with open(archive, "rb") as stream:
            begins = zlib.decompressobj(wbits=31).decompress(stream.read(_HEAD), 512)
    except (OSError, zlib.error):
        return False
    return begins.startswith(b".SIGN.")


def _keys(view: FileView, keys: Sequence[str]) -> Iterator[bytes]:
    """Yield keyrings without their armor."""
    if keys:
        paths = [key for key in keys if key.startswith("/")]
        yield from (_bare(_inline(key)) for key in keys if "BEGIN PGP" in key)
    else:
        try:
            names = view.readdir(_KEYRINGS)
        except (OSError, UnseenError):
            names = []
        paths = [f"{_KEYRINGS}/{name}" for name in names if name.endswith((".gpg", ".asc", ".pgp"))]
        paths += _OTHERS
    for path in paths:
        content: Content | None = read_file(view, path)
        if content is not None and content.size <= _KEY_LIMIT:
            yield _bare(content.pread(0, content.size))


def _inline(text: str) -> bytes:
    """Return a key that stands in a field, in which a dot is an empty line."""
    return "\n".join("" if line.strip() == "." else line.strip() for line in text.splitlines()).encode()


def _bare(data: bytes) -> bytes:
    """Return a keyring as bytes."""
    if not data.lstrip().startswith(b"-----BEGIN PGP"):
        return data
    found = b""
    for block in data.replace(b"\r\n", b"\n").split(b"-----BEGIN PGP")[1:]:
        body = block.partition(b"\n\n")[2].partition(b"-----END")[0]
        lines = [line for line in body.split(b"\n") if line and not line.startswith(b"=")]  # the last is its checksum
        try:
            found += binascii.a2b_base64(b"".join(lines))
        except binascii.Error:
            continue
    return found
