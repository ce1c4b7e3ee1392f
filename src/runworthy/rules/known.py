"""What is known of names: glibc's libraries, loaders, packages, relocation types, directories of build machines."""

from __future__ import annotations

import re

from runworthy.model.arch import ARCHITECTURES
from runworthy.model.records import dataclass

__all__ = [
    "GLIBC_LIBRARIES",
    "KnownLoader",
    "built_elsewhere",
    "known_loader",
    "libc_of_library",
    "manylinux_for",
    "musl_release_with",
    "package_of",
    "relocation_name",
]

# Installed by glibc itself (its Makefiles' ``libraries``); libcrypt is another project's since 2.28.
GLIBC_LIBRARIES = frozenset(
    "libc.so.6 libm.so.6 libmvec.so.1 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1 libresolv.so.2 libanl.so.1 "
    "libnsl.so.1 libBrokenLocale.so.1 libthread_db.so.1 libc_malloc_debug.so.0 libnss_files.so.2 libnss_dns.so.2 "
    "libnss_compat.so.2 libnss_hesiod.so.2 libc.so.6.1 libm.so.6.1".split()
)
_GLIBC_LOADER = r"ld-linux[\w.-]*\.so\.\d+|ld64\.so\.[12]|ld\.so\.1|ld-\d+\.\d+\.so"
_MUSL_LOADER = r"ld-musl-[\w-]+\.so\.1"
_MUSL_LIBRARY = r"libc\.so|libc\.musl-[\w-]+\.so\.1|ld-musl-[\w-]+\.so\.1"
_UCLIBC_LOADER = r"ld(?:64)?-uClibc(?:-[\d.]+)?\.so(?:\.\d+)?"
_ARCH_OF_LOADER = {path: row.name for row in reversed(ARCHITECTURES) for path in (row.glibc_loader, row.musl_loader)}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLoader:
    """Whose a program interpreter is. ``family`` is a C library's name, "lsb" or empty; ``arch`` may be empty."""

    family: str
    words: str
    arch: str = ""


def known_loader(path: str) -> KnownLoader:
    """Return whose loader a path names, by its file name."""
    name = path.rpartition("/")[2]
    arch = _ARCH_OF_LOADER.get(path, "")
    suffix = f" for {arch}" if arch else ""
    if name.startswith("ld-lsb"):
        return KnownLoader(family="lsb", words="the Linux Standard Base's loader, which distributions have dropped")
    if re.fullmatch(_GLIBC_LOADER, name):
        return KnownLoader(family="glibc", words=f"glibc's loader{suffix}", arch=arch)
    if re.fullmatch(_MUSL_LOADER, name):
        return KnownLoader(family="musl", words=f"musl's loader{suffix}", arch=arch)
    if re.fullmatch(_UCLIBC_LOADER, name):
        return KnownLoader(family="uclibc", words="uClibc's loader")
    if path.startswith("/system/bin/linker"):
        return KnownLoader(family="bionic", words="Android's loader")
    return KnownLoader(family="", words="a loader of its own")


def libc_of_library(name: str) -> str:
    """Return "glibc" or "musl" for a library or loader that no other C library has, empty for any other name."""
    if name in GLIBC_LIBRARIES or re.fullmatch(_GLIBC_LOADER, name):
        return "glibc"
    return "musl" if re.fullmatch(_MUSL_LIBRARY, name) else ""


_BUILT_ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("/nix/store/", "the Nix store"),
    ("/gnu/store/", "the Guix store"),
    ("/home/linuxbrew/", "Homebrew's directory"),
    ("/opt/conda/", "a conda environment"),
    ("/home/conda/", "conda-forge's build machine"),
    ("/croot/", "Anaconda's build machine"),
    ("/home/", "a home directory"),
    ("/root/", "root's home directory"),
    ("/Users/", "a home directory"),
    ("/tmp/", "a temporary directory"),  # noqa: S108 - a place that others wrote
    ("/var/tmp/", "a temporary directory"),  # noqa: S108 - likewise
    ("/build/", "a build directory"),
    ("/builds/", "GitLab CI's build directory"),
    ("/builddir/", "a build directory"),
    ("/github/", "GitHub's build directory"),
    ("/__w/", "GitHub's build directory"),
    ("/workspace/", "a build directory"),
    ("/var/lib/jenkins/", "Jenkins' build directory"),
    ("/usr/src/", "a source directory"),
)
_CONDA = r"(?i)/(?:mini|ana|mini-?forge|mamba)\w*/|/envs/|_h_env_placehold"


def built_elsewhere(path: str) -> str:
    """Return what kind of place of another machine a path lies in, empty for one that systems share."""
    if re.search(_CONDA, path):
        return "a conda environment"
    return next((words for prefix, words in _BUILT_ELSEWHERE if path.startswith(prefix)), "")


# musl's functions by the release that brought them; read off builds of every tag from 1.1.24 to 1.2.5.
_MUSL_SINCE: dict[str, tuple[int, int, int]] = {
    **dict.fromkeys("_Fork gettid reallocarray tcgetwinsize tcsetwinsize".split(), (1, 2, 2)),
    **dict.fromkeys("pthread_getname_np qsort_r".split(), (1, 2, 3)),
    **dict.fromkeys("preadv2 pwritev2 statx".split(), (1, 2, 5)),
}


def musl_release_with(symbol: str) -> tuple[int, int, int] | None:
    """Return the musl release that brought a function, None when it is not known."""
    return _MUSL_SINCE.get(symbol)


_MANYLINUX = ((2, 17), (2, 28), (2, 34), (2, 39))


def manylinux_for(glibc: tuple[int, ...]) -> str:
    """Return the newest manylinux whose build image has this glibc or an older one, empty when there is none."""
    fitting = [f"manylinux_{major}_{minor}" for major, minor in _MANYLINUX if (major, minor) <= glibc]
    return fitting[-1] if fitting else ""


# soname -> package on Debian's and its derivatives, on Alpine, on Fedora's and its derivatives. Only libraries whose
# package has had one name in every release of the catalogue in which the library is not part of the root itself.
_PACKAGES: dict[str, tuple[str, str, str]] = {
    "libgcc_s.so.1": ("libgcc-s1", "libgcc", "libgcc"),
    "libstdc++.so.6": ("libstdc++6", "libstdc++", "libstdc++"),
    "libgomp.so.1": ("libgomp1", "libgomp", "libgomp"),
    "libatomic.so.1": ("libatomic1", "libatomic", "libatomic"),
    "libgfortran.so.5": ("libgfortran5", "libgfortran", "libgfortran"),
    "libquadmath.so.0": ("libquadmath0", "libquadmath", "libquadmath"),
    "libz.so.1": ("zlib1g", "zlib", ""),
    "libexpat.so.1": ("libexpat1", "libexpat", "expat"),
    "libffi.so.8": ("libffi8", "libffi", "libffi"),
    "liblzma.so.5": ("liblzma5", "xz-libs", "xz-libs"),
    "libsqlite3.so.0": ("libsqlite3-0", "sqlite-libs", ""),
    "libuuid.so.1": ("libuuid1", "libuuid", "libuuid"),
    "libX11.so.6": ("libx11-6", "libx11", "libX11"),
    "libxcb.so.1": ("libxcb1", "libxcb", "libxcb"),
    "libGL.so.1": ("libgl1", "", "libglvnd-glx"),
    "libEGL.so.1": ("libegl1", "", "libglvnd-egl"),
    "libpcre2-8.so.0": ("libpcre2-8-0", "pcre2", "pcre2"),
}
_FAMILY_COLUMN = {
    **dict.fromkeys(("debian", "ubuntu"), 0),
    "alpine": 1,
    **dict.fromkeys("fedora rhel centos almalinux rockylinux oraclelinux amazonlinux".split(), 2),
}


def package_of(soname: str, target: str) -> str:
    """Return the package that brings a library on the distribution a target is named after, empty when in doubt."""
    column = _FAMILY_COLUMN.get(target.partition(":")[0])
    return _PACKAGES.get(soname, ("", "", ""))[column] if column is not None else ""


# psABI names of the relocation types that programs meet and musl does not know.
_RELOCATIONS: dict[str, dict[int, str]] = {
    "x86_64": {
        3: "R_X86_64_GOT32",
        4: "R_X86_64_PLT32",
        10: "R_X86_64_32",
        11: "R_X86_64_32S",
        12: "R_X86_64_16",
        14: "R_X86_64_8",
        24: "R_X86_64_PC64",
        32: "R_X86_64_SIZE32",
        33: "R_X86_64_SIZE64",
        37: "R_X86_64_IRELATIVE",
        38: "R_X86_64_RELATIVE64",
    },
    "i386": {20: "R_386_16", 22: "R_386_8", 42: "R_386_IRELATIVE"},
    "aarch64": {258: "R_AARCH64_ABS32", 261: "R_AARCH64_PREL32", 1032: "R_AARCH64_IRELATIVE"},
    "armv7": {3: "R_ARM_REL32", 160: "R_ARM_IRELATIVE"},
    "ppc64le": {247: "R_PPC64_JMP_IREL", 248: "R_PPC64_IRELATIVE"},
    "ppc64": {247: "R_PPC64_JMP_IREL", 248: "R_PPC64_IRELATIVE"},
    "s390x": {61: "R_390_IRELATIVE"},
    "riscv64": {58: "R_RISCV_IRELATIVE"},
    "loongarch64": {12: "R_LARCH_IRELATIVE"},
}


def relocation_name(kind: str, arch: str) -> str:
    """Return the psABI's name of a relocation type given by number, empty when it is not in the table."""
    table = _RELOCATIONS.get("armv7" if arch in ("armv6", "armel") else arch, {})
    return table.get(int(kind), "") if kind.isdecimal() else ""
