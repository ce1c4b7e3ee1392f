"""What a program opens by itself after its start: files that a minimal root may lack, libraries it dlopens.

A static program needs nothing of the root to start; name service, certificate and time zone files are what
differs afterwards. They are looked for only when the file itself names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runworthy.formats.content import Content
from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.libc import Libc
from runworthy.model.trace import Answer, Evidence, Need, Probe, Step
from runworthy.simulate.linkmap import LinkMap
from runworthy.targets.libc import usual_directories
from runworthy.targets.target import Target

__all__ = ["runtime_steps"]

_SCAN_LIMIT = 256 << 20
_BLOCK = 4 << 20
_LONGEST_TEXT = 64
_READ_ONLY = 4
_NSS_LIBRARY = b"libnss_"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facility:
    """A run-time facility: the text that shows a program uses it, and the paths any one of which provides it."""

    name: str
    shown_by: bytes
    paths: tuple[str, ...]


# Sources: Go crypto/x509/root_linux.go, time/zoneinfo_unix.go, net/conf.go; OpenSSL's and rustls-native-certs' lists.
_FACILITIES = (
    _Facility(
        name="CA certificates",
        shown_by=b"/etc/ssl/certs/ca-certificates.crt",
        paths=(
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/ca-bundle.pem",
            "/etc/pki/tls/cacert.pem",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            "/etc/ssl/cert.pem",
            "/etc/ssl/certs",
            "/etc/pki/tls/certs",
        ),
    ),
    _Facility(
        name="time zones", shown_by=b"/usr/share/zoneinfo/", paths=("/usr/share/zoneinfo", "/usr/share/lib/zoneinfo")
    ),
    _Facility(name="name service configuration", shown_by=b"/etc/nsswitch.conf", paths=("/etc/nsswitch.conf",)),
)


def runtime_steps(
    subject: ElfFile, path: str, link_map: LinkMap | None, target: Target, libc: Libc | None
) -> Iterator[Step]:
    """Yield run-time files that the subject names and the root lacks."""
    del link_map, libc
    if not subject.facts.is_program or (not subject.facts.is_static and subject.go() is None):
        return
    shown = _shown(target.view.content(path), subject.facts)
    for facility in _FACILITIES:
        if facility.shown_by in shown and not any(target.view.exists(found) for found in facility.paths):
            yield _absent(facility, path, target)
    if subject.facts.is_static and _NSS_LIBRARY in shown and not _has_name_service(target):
        yield _static_nss(path, target)


def _absent(facility: _Facility, path: str, target: Target) -> Step:
    need = Need(kind="run-time-file", name=facility.name, by=path, evidence=Evidence(file=path))
    searched = tuple(Probe(path=found, origin="named in the file") for found in facility.paths)
    closed = target.view.authority is None
    return Step(
        stage="environment",
        need=need,
        answer=Answer.UNMET if closed else Answer.IGNORED,
        searched=searched,
        fatal=False,
    )


def _has_name_service(target: Target) -> bool:
    """Whether the root has glibc's own name service libraries; of which release their users are is not told."""
    directories = target.system_directories or usual_directories(target.view, target.arch)
    return any(target.view.exists(f"{directory}/libnss_files.so.2") for directory in directories)


def _static_nss(path: str, target: Target) -> Step:
    """A static glibc program dlopens its libnss_*.so.2 for name service; they must be of the same glibc release."""
    need = Need(
        kind="run-time-file", name="name service libraries of the same glibc", by=path, evidence=Evidence(file=path)
    )
    return Step(
        stage="environment",
        need=need,
        answer=Answer.UNMET if target.view.authority is None else Answer.IGNORED,
        fatal=False,
        detail="getaddrinfo and getpwnam of a static glibc program load libnss_*.so.2 at run time",
    )


def _shown(content: Content, facts: ElfFacts) -> frozenset[bytes]:
    """Return which of the telling texts occur in the file's read-only data, read block by block.

    Linkers that separate code keep constants in segments that are neither writable nor executable; where there is
    no such segment they lie beside the code.
    """
    segments = facts.load_segments
    constant = [segment for segment in segments if segment.flags & 7 == _READ_ONLY] or segments
    wanted = {facility.shown_by for facility in _FACILITIES} | {_NSS_LIBRARY}
    found: set[bytes] = set()
    start, left = 0, _SCAN_LIMIT
    for segment in sorted(constant, key=lambda one: one.offset):  # however many there are, each byte is read once
        start = max(start, segment.offset)
        end = min(segment.offset + segment.filesz, content.size, start + left)
        tail = b""
        for offset in range(start, end, _BLOCK):
            block = tail + content.pread(offset, min(_BLOCK, end - offset))
            found |= {text for text in wanted - found if text in block}
            tail = block[-_LONGEST_TEXT:]
        left -= max(end - start, 0)
        start = max(start, end)
    return frozenset(found)
