"""Cases on files that are found under the right name and cannot be used."""

from .edits import incongruent, truncated
from .recipe import GLIBC, MUSL, Case, Edit, Folder, Listing, Mode, Poke, Start, Text, library, program

_USER = program(needs=("libb.so",), runpath="/app/one:/app/two")
_GOOD = library("app/two/libb.so")
_MISSING_ON_MUSL = (("libb.so", "/app/main"),)
_NOT_EXECUTABLE = ("Exec format error",)

CASES = (
    Case(
        name="08-text-file-first",
        proves="a file that is no ELF file is fatal; no later directory is tried",
        source="glibc elf/dl-load.c open_verify",
        tree=(Text("app/one/libb.so", "This is not a library.\n" * 10), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="invalid ELF header"),
            Listing(on=MUSL, missing=_MISSING_ON_MUSL, warnings=_NOT_EXECUTABLE),
            Start(on=GLIBC, rc=127, stderr=("invalid ELF header",)),
        ),
    ),
    Case(
        name="08b-linker-script",
        proves="a linker script under a library's name is no library",
        tree=(Text("app/one/libb.so", "/* GNU ld script */\nINPUT(libb.so.1)\n"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="file too short"),
            Listing(on=MUSL, missing=_MISSING_ON_MUSL, warnings=_NOT_EXECUTABLE),
        ),
    ),
    Case(
        name="09-directory-first",
        proves="a directory under the library's name is fatal",
        tree=(Folder("app/one/libb.so"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="cannot read file data: Error 21"),
            Listing(on=MUSL, missing=_MISSING_ON_MUSL, warnings=("Is a directory",)),
        ),
    ),
    Case(
        name="10-empty-file-first",
        proves="an empty file is fatal",
        tree=(Text("app/one/libb.so"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="file too short"),
            Listing(on=MUSL, missing=_MISSING_ON_MUSL, warnings=_NOT_EXECUTABLE),
        ),
    ),
    Case(
        name="10b-truncated-file-first",
        proves="a file cut inside its program headers is fatal",
        tree=(library("app/one/libb.so"), Edit("app/one/libb.so", truncated(100)), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="cannot read file data"),
            Listing(on=MUSL, missing=_MISSING_ON_MUSL, warnings=_NOT_EXECUTABLE),
        ),
    ),
    Case(
        name="11-wrong-class-first",
        proves="a 32-bit library is passed over by glibc; musl takes the first file and fails on it",
        tree=(library("app/one/libb.so", arch="i386"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, chosen={"libb.so": "/app/two/libb.so"}),
            Listing(on=MUSL, missing=_MISSING_ON_MUSL, warnings=_NOT_EXECUTABLE),
        ),
    ),
    Case(
        name="11b-wrong-class-only",
        proves="a 32-bit library alone is as good as none",
        tree=(library("app/one/libb.so", arch="i386"), _USER),
        truths=(Listing(on=GLIBC, missing=("libb.so",)),),
    ),
    Case(
        name="12-wrong-machine-first",
        proves="a library of another 64-bit machine is passed over by glibc, loaded by musl (case M03b)",
        source="musl ldso/dynlink.c map_library checks size and e_type only",
        tree=(library("app/one/libb.so", arch="aarch64"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, chosen={"libb.so": "/app/two/libb.so"}),
            Listing(on=MUSL, chosen={"libb.so": "/app/one/libb.so"}),
        ),
    ),
    Case(
        name="13-big-endian-first",
        proves="the wrong byte order is fatal",
        tree=(library("app/one/libb.so"), Poke("app/one/libb.so", 5, b"\2"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="ELF file data encoding not little-endian"),
            Listing(on=MUSL, chosen={"libb.so": "/app/one/libb.so"}),
        ),
    ),
    Case(
        name="14-foreign-osabi-first",
        proves="an OSABI that is neither SysV nor GNU is fatal",
        tree=(library("app/one/libb.so"), Poke("app/one/libb.so", 7, b"\x09"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="ELF file OS ABI invalid"),
            Listing(on=MUSL, chosen={"libb.so": "/app/one/libb.so"}),
        ),
    ),
    Case(
        name="14b-gnu-osabi",
        proves="the OSABI of GNU is accepted",
        tree=(library("app/one/libb.so"), Poke("app/one/libb.so", 7, b"\x03"), _USER),
        truths=(Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/one/libb.so"}),),
    ),
    Case(
        name="14c-abi-version",
        proves="an ABI version that is not 0 is fatal for SysV; for GNU some are known",
        source="glibc sysdeps/gnu/ldsodefs.h, libc-abis: LIBC_ABI_MAX",
        tree=(
            library("app/one/libb.so"),
            Poke("app/one/libb.so", 8, b"\1"),
            library("app/gnu/libc1.so"),
            Poke("app/gnu/libc1.so", 7, b"\3\3"),
            library("app/late/libd.so"),
            Poke("app/late/libd.so", 7, b"\3\x40"),
            _USER,
            program("app/gnu/main", needs=("libc1.so",), runpath="/app/gnu"),
            program("app/late/main", needs=("libd.so",), runpath="/app/late"),
        ),
        truths=(
            Listing(on=GLIBC, fatal="ELF file ABI version invalid"),
            Listing(on=GLIBC, subject="/app/gnu/main", chosen={"libc1.so": "/app/gnu/libc1.so"}),
            Listing(on=GLIBC, subject="/app/late/main", fatal="ELF file ABI version invalid"),
        ),
    ),
    Case(
        name="14d-elf-version",
        proves="an e_ident version other than 1 is fatal",
        tree=(library("app/one/libb.so"), Poke("app/one/libb.so", 6, b"\2"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="ELF file version ident does not match current one"),
            Listing(on=MUSL, chosen={"libb.so": "/app/one/libb.so"}),
        ),
    ),
    Case(
        name="14e-identification-padding",
        proves="bytes of e_ident that should be zero and are not are fatal",
        tree=(library("app/one/libb.so"), Poke("app/one/libb.so", 9, b"\1"), _GOOD, _USER),
        truths=(Listing(on=GLIBC, fatal="nonzero padding in e_ident"),),
    ),
    Case(
        name="14f-object-file",
        proves="a relocatable object under a library's name is fatal",
        tree=(library("app/one/libb.so"), Poke("app/one/libb.so", 16, b"\1"), _GOOD, _USER),
        truths=(
            Listing(on=GLIBC, fatal="only ET_DYN and ET_EXEC can be loaded"),
            Listing(on=MUSL, missing=_MISSING_ON_MUSL, warnings=_NOT_EXECUTABLE),
        ),
    ),
    Case(
        name="14g-program-as-library",
        proves="an executable cannot be needed, neither one at a fixed address nor a PIE, which DF_1_PIE marks",
        source="glibc elf/dl-load.c _dl_map_object_from_fd: DF_1_PIE since 2.26",
        tree=(
            program("app/one/libb.so"),
            _USER,
            program("app/fixed/libb.so", flags=("-no-pie", "-Wl,-Ttext-segment=0x70000000")),
            program("app/fixed/main", needs=("libb.so",), runpath="/app/fixed"),
        ),
        truths=(
            Listing(on=GLIBC, fatal="cannot dynamically load position-independent executable"),
            Listing(on=MUSL, chosen={"libb.so": "/app/one/libb.so"}),
            Listing(on=GLIBC, subject="/app/fixed/main", fatal="cannot dynamically load executable"),
        ),
    ),
    Case(
        name="21-unreadable-file",
        proves="a file that may not be read is passed over (asked as an ordinary user)",
        tree=(library("app/one/libb.so"), Mode("app/one/libb.so", 0o000), _GOOD, _USER),
        truths=(Start(on=(*GLIBC, *MUSL), uid=1000),),
    ),
    Case(
        name="21b-unreadable-only",
        proves="alone, such a file is reported as not permitted",
        tree=(library("app/one/libb.so"), Mode("app/one/libb.so", 0o000), _USER),
        truths=(
            Start(on=GLIBC, uid=1000, rc=127, stderr=("libb.so: cannot open shared object file",)),
            Start(on=MUSL, uid=1000, rc=127, stderr=("Error loading shared library libb.so",)),
        ),
    ),
    Case(
        name="27-not-page-aligned",
        proves="a segment whose offset and address differ modulo the page size is fatal; musl maps it, wrongly placed",
        source='glibc elf/dl-load.c _dl_map_object_from_fd: "ELF load command address/offset not properly aligned"',
        tree=(library("app/one/libb.so"), Edit("app/one/libb.so", incongruent(1)), _USER),
        truths=(Listing(on=GLIBC, fatal="ELF load command address/offset not p"),),
    ),
    Case(
        name="18-no-interpreter",
        proves="a program whose loader is not there cannot be started: the kernel says ENOENT",
        source="Linux fs/binfmt_elf.c load_elf_binary: open_exec(elf_interpreter)",
        tree=(
            program(interpreter="/lib/ld-nowhere.so.1"),
            library("lib/ld-broken.so.1", soname="x"),
            Text("lib/ld-text.so.1", "text\n" * 100),
            program("app/text", interpreter="/lib/ld-text.so.1"),
            program("app/foreign", interpreter="/lib/ld-foreign.so.1"),
            library("lib/ld-foreign.so.1", arch="aarch64"),
            program("app/folder", interpreter="/etc"),
            Text("lib/ld-shut.so.1", "text\n" * 100),
            Mode("lib/ld-shut.so.1", 0o644),
            program("app/shut", interpreter="/lib/ld-shut.so.1"),
        ),
        truths=(
            Start(on=(*GLIBC, *MUSL), rc=None, errno=2),
            Start(on=(*GLIBC, *MUSL), subject="/app/folder", rc=None, errno=13),
            Start(on=(*GLIBC, *MUSL), subject="/app/shut", rc=None, errno=13),
        ),
    ),
    Case(
        name="18b-foreign-interpreter",
        proves="a loader that is there and is no ELF file for this machine gives ELIBBAD",
        source="Linux fs/binfmt_elf.c load_elf_binary: -ELIBBAD",
        tree=(
            Text("lib/ld-text.so.1", "text\n" * 100),
            Mode("lib/ld-text.so.1", 0o755),
            program(interpreter="/lib/ld-text.so.1"),
            program("app/foreign", interpreter="/lib/ld-foreign.so.1"),
            library("lib/ld-foreign.so.1", arch="aarch64"),
            Mode("lib/ld-foreign.so.1", 0o755),
            program("app/short", interpreter="/lib/ld-short.so.1"),
            Text("lib/ld-short.so.1", "text"),
            Mode("lib/ld-short.so.1", 0o755),
        ),
        truths=(
            Start(on=GLIBC, rc=None, errno=80),
            Start(on=GLIBC, subject="/app/foreign", rc=None, errno=80),
            Start(on=GLIBC, subject="/app/short", rc=None, errno=5),
        ),
    ),
    Case(
        name="18c-not-a-program",
        proves="what the kernel refuses: foreign machines, text without #!, files without the permission",
        tree=(
            program("app/foreign", arch="aarch64", interpreter="/lib/ld-linux-aarch64.so.1"),
            Text("app/text", "echo hello\n"),
            Mode("app/text", 0o755),
            Text("app/script", "#!/bin/nowhere\n"),
            Mode("app/script", 0o755),
            program("app/shut"),
            Mode("app/shut", 0o644),
            Text("app/empty"),
            Mode("app/empty", 0o755),
        ),
        truths=(
            Start(on=GLIBC, subject="/app/foreign", rc=None, errno=8),
            Start(on=GLIBC, subject="/app/text", rc=None, errno=8),
            Start(on=GLIBC, subject="/app/script", rc=None, errno=2),
            Start(on=GLIBC, subject="/app/shut", rc=None, errno=13),
            Start(on=GLIBC, subject="/app/empty", rc=None, errno=8),
            Start(on=GLIBC, subject="/app", rc=None, errno=13),
        ),
    ),
    Case(
        name="28-wrong-main-for-loader",
        proves="what a loader says of a program of another class or machine that is given to it",
        tree=(
            program("app/i386", arch="i386", interpreter="/lib/ld-linux.so.2"),
            program("app/arm", arch="aarch64", interpreter="/lib/ld-linux-aarch64.so.1"),
        ),
        truths=(
            Listing(on=GLIBC, subject="/app/i386", fatal="wrong ELF class: ELFCLASS32"),
            Listing(on=GLIBC, subject="/app/arm", fatal="cannot open shared object file"),
            Listing(on=MUSL, subject="/app/i386", fatal="Not a valid dynamic program"),
        ),
    ),
)
