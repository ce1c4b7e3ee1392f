"""What a program opens by itself after its start: files that a minimal root may lack, libraries it dlopens.

A static program needs nothing of the root to start; name service, certificate and time zone files are what
differs afterwards. They are looked for only when the file itself names them.
"""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.elf import MENTIONS, ElfFile
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Evidence, Need, Probe, Step
from runworthy.simulate.linkmap import LinkMap
from runworthy.targets.libc import usual_directories
from runworthy.targets.target import Target

__all__ = ["runtime_steps"]

_CERTIFICATES, _TIME_ZONES, _NAME_SERVICE, _NSS_LIBRARY = MENTIONS


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
        shown_by=_CERTIFICATES,
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
    _Facility(name="time zones", shown_by=_TIME_ZONES, paths=("/usr/share/zoneinfo", "/usr/share/lib/zoneinfo")),
    _Facility(name="name service configuration", shown_by=_NAME_SERVICE, paths=("/etc/nsswitch.conf",)),
)


def runtime_steps(
    subject: ElfFile, path: str, link_map: LinkMap | None, target: Target, libc: Libc | None
) -> Iterator[Step]:
    """Yield run-time files that the subject names and the root lacks."""
    del link_map, libc
    if not subject.facts.is_program or (not subject.facts.is_static and subject.go() is None):
        return
    shown = subject.mentions()
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
