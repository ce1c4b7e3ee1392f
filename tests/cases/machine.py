"""Cases on the machine: instruction sets, page sizes, kernels, stacks, packed relocations."""

from tests.judges.qemu import Emulator

from .edits import renamed_version
from .recipe import GLIBC, MUSL, Bring, Case, Edit, Listing, Start, library, program

_NEHALEM = Emulator(cpu="Nehalem")
_HASWELL = Emulator(cpu="Haswell")
_NEW = ("bookworm-amd64", "trixie-amd64")
_ARM = ("bullseye-arm64", "trixie-arm64")
_LIBC = {"libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6"}
_V3 = ("-Wl,-z,x86-64-v3",)
_RELR = ("-Wl,-z,pack-relative-relocs",)
_POINTERS = "static int x = 4; int *p[4] = {&x, &x, &x, &x}; int value(void) { return *p[2]; }"


def _abi_tag(major: int) -> str:
    """An NT_GNU_ABI_TAG note: Linux, `major`.0.0."""
    return (
        '__asm__(".section .note.ABI-tag,\\"a\\",@note\\n.balign 4\\n.long 4,16,1\\n.asciz \\"GNU\\"\\n'
        f'.long 0,{major},0,0\\n.previous");'
    )


_OPEN = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **names) {
    void *found = dlopen(names[1], RTLD_NOW);
    if (!found) { fprintf(stderr, "%s\\n", dlerror()); return 3; }
    return 0;
}
"""

CASES = (
    Case(
        name="R10-isa-level",
        proves="a program marked for x86-64-v3 is not started on less, since 2.33; a trace and musl do not look",
        source="glibc sysdeps/x86/dl-prop.h: GNU_PROPERTY_X86_ISA_1_NEEDED",
        tree=(
            library("app/lib/libb.so"),
            program(needs=("app/lib/libb.so",), runpath="/app/lib", flags=_V3),
        ),
        truths=(
            Listing(on=GLIBC, emulator=_NEHALEM, chosen={"libb.so": "/app/lib/libb.so"}),
            Start(on=_NEW, emulator=_NEHALEM, rc=127, stderr=("CPU ISA level is lower than required",)),
            Start(on=(*_NEW, *MUSL), emulator=_HASWELL),
            Start(on=(*MUSL, "bullseye-amd64"), emulator=_NEHALEM),
        ),
    ),
    Case(
        name="R10b-isa-level-of-library",
        proves="every object that is loaded must fit the CPU, not the program alone",
        tree=(
            library("app/lib/libb.so", flags=_V3),
            program(needs=("app/lib/libb.so",), runpath="/app/lib"),
        ),
        truths=(
            Start(on=_NEW, emulator=_NEHALEM, rc=127, stderr=("libb.so: CPU ISA level is lower than required",)),
            Start(on=(*_NEW, *MUSL), emulator=_HASWELL),
            Start(on=(*MUSL, "bullseye-amd64"), emulator=_NEHALEM),
        ),
    ),
    Case(
        name="P01-page-size",
        proves="segments laid out for 4 KiB pages are refused on larger pages",
        source="glibc elf/dl-load.c _dl_map_object_from_fd",
        tree=(
            library("app/lib/libb.so", "int data = 1;", flags=("-Wl,-z,max-page-size=4096",)),
            program(needs=("app/lib/libb.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(on=_ARM, emulator=Emulator(page_size=4096), chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=_ARM[:1], emulator=Emulator(page_size=16384), fatal="page-aligned"),
            Listing(on=_ARM[:1], emulator=Emulator(page_size=65536), fatal="page-aligned"),
            Start(on=_ARM, emulator=Emulator(page_size=16384), rc=127),
            Start(on=_ARM, emulator=Emulator(page_size=65536), rc=127),
        ),
    ),
    Case(
        name="P02-page-size-fits",
        proves="segments laid out for 64 KiB pages do on all",
        tree=(
            library("app/lib/libb.so", "int data = 1;", flags=("-Wl,-z,max-page-size=65536",)),
            program(needs=("app/lib/libb.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(on=_ARM, emulator=Emulator(page_size=4096), chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=_ARM[:1], emulator=Emulator(page_size=16384), chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=_ARM[:1], emulator=Emulator(page_size=65536), chosen={"libb.so": "/app/lib/libb.so"}),
            Start(on=_ARM, emulator=Emulator(page_size=16384)),
            Start(on=_ARM, emulator=Emulator(page_size=65536)),
        ),
    ),
    Case(
        name="K01-kernel-of-library",
        proves="a library that asks for a newer kernel is passed over up to 2.35, taken since",
        source="glibc elf/dl-load.c open_verify: dl_osversion; NEWS 2.36",
        tree=(
            library("app/one/libb.so", "int data = 1;" + _abi_tag(99)),
            library("app/two/libb.so"),
            program(needs=("libb.so",), runpath="/app/one:/app/two"),
        ),
        truths=(
            Listing(on=("bullseye-amd64",), chosen={"libb.so": "/app/two/libb.so"}),
            Listing(on=(*_NEW, *MUSL), chosen={"libb.so": "/app/one/libb.so"}),
        ),
    ),
    Case(
        name="K02-kernel-of-loader",
        proves="ld.so refuses kernels older than it was built for up to 2.35",
        tree=(program(), library("app/lib/libb.so"), program("app/user", needs=("libb.so",), runpath="/app/lib")),
        truths=(
            Start(on=("bullseye-amd64",), emulator=Emulator(kernel="2.6.32"), rc=127, stderr=("kernel too old",)),
            Start(on=_NEW, emulator=Emulator(kernel="2.6.32")),
        ),
    ),
    Case(
        name="X01-executable-stack-dlopen",
        proves="dlopen of a library that wants an executable stack fails since 2.41",
        source="glibc NEWS 2.41; elf/dl-load.c, elf/dl-execstack.c",
        tree=(
            Bring("libc.so.6"),
            library("app/lib/libb.so", flags=("-Wl,-z,execstack",)),
            program(libc="own", source=_OPEN),
        ),
        truths=(
            Start(on=("bookworm-amd64",), arguments=("/app/lib/libb.so",)),
            Start(
                on=("trixie-amd64",),
                arguments=("/app/lib/libb.so",),
                rc=3,
                stderr=("cannot enable executable stack",),
            ),
        ),
    ),
    Case(
        name="X02-executable-stack-needed",
        proves="a library that is needed at start may still have it",
        tree=(
            library("app/lib/libb.so", flags=("-Wl,-z,execstack",)),
            program(needs=("app/lib/libb.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),
            Start(on=(*GLIBC, *MUSL)),
        ),
    ),
    Case(
        name="E01-relr-without-guard",
        proves="packed relocations of a library without libc are not applied by loaders that do not know them",
        source="DT_RELR: glibc 2.36, musl 1.2.4",
        tree=(
            library("app/lib/libb.so", _POINTERS, flags=_RELR),
            program(
                source="int value(void); int main(void) { return value(); }",
                needs=("app/lib/libb.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Start(on=("bullseye-amd64", "musl-1.2.2-x86_64", "musl-1.2.3-x86_64"), rc=-11),
            Start(on=(*_NEW, "musl-1.2.5-x86_64"), rc=4),
            Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),
        ),
    ),
    Case(
        name="E02-relr-guard",
        proves="a program with packed relocations needs GLIBC_ABI_DT_RELR, which tells an old glibc",
        tree=(
            Bring("libc.so.6"),
            program(libc="own", source=_POINTERS + "int main(void) { return value(); }", flags=_RELR),
        ),
        truths=(
            Listing(
                on=("bullseye-amd64",),
                versions=(
                    (_LIBC["libc.so.6"], "GLIBC_2.34", "/app/main"),
                    (_LIBC["libc.so.6"], "GLIBC_ABI_DT_RELR", "/app/main"),
                ),
                undefined=(("/app/main", "__libc_start_main", "GLIBC_2.34"),),
                chosen=_LIBC,
            ),
            Listing(on=_NEW, chosen=_LIBC),
            Start(on=_NEW, rc=4),
        ),
    ),
    Case(
        name="E03-relr-guard-absent",
        proves="packed relocations beside a need for libc.so.6 without GLIBC_ABI_DT_RELR are refused since 2.36",
        source="glibc elf/dl-version.c _dl_check_map_versions: DT_RELR without GLIBC_ABI_DT_RELR dependency",
        tree=(
            Bring("libc.so.6"),
            program(libc="own", source=_POINTERS + "int main(void) { return value(); }", flags=_RELR),
            Edit("app/main", renamed_version("GLIBC_ABI_DT_RELR", "GLIBC_2.2.5")),
        ),
        truths=(
            Listing(on=_NEW, fatal="DT_RELR without GLIBC_ABI_DT_RELR dependency"),
            Start(on=_NEW, rc=127, stderr=("DT_RELR without GLIBC_ABI_DT_RELR dependency",)),
        ),
    ),
    Case(
        name="R13-static",
        proves="a static program needs nothing of the root",
        tree=(program(libc="gnu", flags=("-static", "-no-pie")),),
        truths=(Start(on=(*GLIBC, *MUSL)),),
    ),
    Case(
        name="R13b-static-pie",
        proves="a static PIE neither; it has a PT_DYNAMIC and no PT_INTERP",
        tree=(program(libc="gnu", flags=("-static-pie",)),),
        truths=(Start(on=(*GLIBC, *MUSL)),),
    ),
)
