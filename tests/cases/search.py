"""Cases on where libraries are looked for, and in which order."""

from tests.judges.qemu import Emulator

from .recipe import (
    GLIBC,
    GLIBC_EVERYWHERE,
    MUSL,
    MUSL_EVERYWHERE,
    Case,
    Folder,
    Ldconfig,
    Link,
    Listing,
    Mode,
    Start,
    Text,
    library,
    program,
)

_ORIGIN_LIB = "$ORIGIN/lib"

CASES = (
    Case(
        name="01-runpath",
        proves="a library that lies in the RUNPATH of its user is found",
        tree=(library("app/lib/liba.so"), program(needs=("liba.so",), runpath=_ORIGIN_LIB)),
        truths=(
            Listing(on=GLIBC_EVERYWHERE, chosen={"liba.so": "/app/lib/liba.so"}),
            Listing(on=MUSL_EVERYWHERE, chosen={"liba.so": "/app/lib/liba.so"}),
            Start(on=(*GLIBC_EVERYWHERE, *MUSL_EVERYWHERE)),
        ),
    ),
    Case(
        name="02-runpath-not-inherited",
        proves="a RUNPATH serves only the needs of its own object; on musl it serves those below too",
        source="glibc elf/dl-load.c _dl_map_object; musl ldso/dynlink.c load_library, needed_by (case M01)",
        tree=(
            library("app/lib/libb.so"),
            library("app/lib/liba.so", needs=("libb.so",)),
            program(needs=("liba.so",), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(on=GLIBC_EVERYWHERE, missing=("libb.so",), chosen={"liba.so": "/app/lib/liba.so"}),
            Listing(on=MUSL_EVERYWHERE, chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/lib/libb.so"}),
            Start(on=GLIBC_EVERYWHERE, rc=127, stderr=("libb.so: cannot open shared object file",)),
            Start(on=MUSL_EVERYWHERE),
        ),
    ),
    Case(
        name="02b-rpath-inherited",
        proves="an RPATH serves the needs of objects further down",
        tree=(
            library("app/lib/libb.so"),
            library("app/lib/liba.so", needs=("libb.so",)),
            program(needs=("liba.so",), rpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(
                on=(*GLIBC_EVERYWHERE, *MUSL_EVERYWHERE),
                chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/lib/libb.so"},
            ),
        ),
    ),
    Case(
        name="03-runpath-shadows-rpath",
        proves="an object that has a RUNPATH does not get the RPATHs of its loaders, not even the program's",
        source="glibc elf/dl-load.c _dl_map_object: `if (loader == NULL || loader->l_info[DT_RUNPATH] == NULL)`",
        tree=(
            library("app/lib/libb.so"),
            library("app/lib/liba.so", needs=("libb.so",), runpath="/nowhere"),
            program(needs=("liba.so",), rpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(on=GLIBC_EVERYWHERE, missing=("libb.so",), chosen={"liba.so": "/app/lib/liba.so"}),
            Listing(on=MUSL_EVERYWHERE, chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/lib/libb.so"}),
        ),
    ),
    Case(
        name="03b-chain-skips-runpath-holder",
        proves="an object in the chain that has a RUNPATH lends none; RPATHs above it still count",
        tree=(
            library("app/own/libd.so"),
            library("app/lib/libc1.so"),
            library("app/own/libb.so", needs=("libc1.so", "libd.so")),
            library("app/lib/liba.so", needs=("libb.so",), runpath="/app/own"),
            program(needs=("liba.so",), rpath="/app/lib"),
        ),
        truths=(
            Listing(
                on=GLIBC,
                missing=("libd.so",),
                chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/own/libb.so", "libc1.so": "/app/lib/libc1.so"},
            ),
            Listing(
                on=MUSL,
                chosen={
                    "liba.so": "/app/lib/liba.so",
                    "libb.so": "/app/own/libb.so",
                    "libc1.so": "/app/lib/libc1.so",
                    "libd.so": "/app/own/libd.so",
                },
            ),
        ),
    ),
    Case(
        name="04-environment-before-runpath",
        proves="LD_LIBRARY_PATH comes before RUNPATH",
        tree=(
            library("app/lib/libb.so"),
            library("env/libb.so"),
            program(needs=("libb.so",), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(
                on=(*GLIBC_EVERYWHERE, *MUSL_EVERYWHERE),
                env={"LD_LIBRARY_PATH": "/env"},
                chosen={"libb.so": "/env/libb.so"},
            ),
            Listing(on=(*GLIBC, *MUSL), env={"LD_LIBRARY_PATH": "/else"}, chosen={"libb.so": "/app/lib/libb.so"}),
        ),
    ),
    Case(
        name="M02-environment-and-rpath",
        proves="an RPATH comes before LD_LIBRARY_PATH on glibc, after it on musl",
        source="musl ldso/dynlink.c load_library: env_path first",
        tree=(
            library("app/lib/libb.so"),
            library("env/libb.so"),
            program(needs=("libb.so",), rpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(on=GLIBC, env={"LD_LIBRARY_PATH": "/env"}, chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=MUSL, env={"LD_LIBRARY_PATH": "/env"}, chosen={"libb.so": "/env/libb.so"}),
        ),
    ),
    Case(
        name="04b-environment-separators",
        proves="LD_LIBRARY_PATH is split at ':' and, by glibc only, at ';'; musl splits at a newline too",
        source='glibc elf/dl-load.c fillin_rpath with sep ":;"; musl path_open: strcspn(s, ":\\n")',
        tree=(library("two/libb.so"), program(needs=("libb.so",))),
        truths=(
            Listing(on=(*GLIBC, *MUSL), env={"LD_LIBRARY_PATH": "/one:/two"}, chosen={"libb.so": "/two/libb.so"}),
            Listing(on=GLIBC, env={"LD_LIBRARY_PATH": "/one;/two"}, chosen={"libb.so": "/two/libb.so"}),
            Listing(on=MUSL, env={"LD_LIBRARY_PATH": "/one;/two"}, missing=(("libb.so", "/app/main"),)),
            Listing(on=GLIBC, env={"LD_LIBRARY_PATH": "/one\n/two"}, missing=("libb.so",)),
            Listing(on=MUSL, env={"LD_LIBRARY_PATH": "/one\n/two"}, chosen={"libb.so": "/two/libb.so"}),
        ),
    ),
    Case(
        name="04c-environment-tokens",
        proves="$ORIGIN in LD_LIBRARY_PATH is expanded by glibc, taken literally by musl",
        tree=(library("app/lib/libb.so"), program(needs=("libb.so",))),
        truths=(
            Listing(on=GLIBC, env={"LD_LIBRARY_PATH": "$ORIGIN/lib"}, chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=GLIBC, env={"LD_LIBRARY_PATH": "${ORIGIN}/lib"}, chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=MUSL, env={"LD_LIBRARY_PATH": "$ORIGIN/lib"}, missing=(("libb.so", "/app/main"),)),
        ),
    ),
    Case(
        name="05-already-loaded-by-name",
        proves="a library that is loaded already is taken by its name, wherever its next user would look",
        tree=(
            library("app/lib/libb.so"),
            library("app/lib/liba.so", needs=("libb.so",)),
            program(needs=("liba.so", "libb.so"), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(
                on=(*GLIBC, *MUSL),
                chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/lib/libb.so"},
            ),
        ),
    ),
    Case(
        name="05b-order-of-loading",
        proves="needs are met breadth first: what the program itself needs is loaded before what its libraries need",
        tree=(
            library("app/lib/libb.so"),
            library("app/other/libb.so"),
            library("app/lib/liba.so", needs=("libb.so",), runpath="/app/other"),
            program(needs=("liba.so", "libb.so"), runpath=_ORIGIN_LIB),
        ),
        truths=(Listing(on=(*GLIBC, *MUSL), chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/lib/libb.so"}),),
    ),
    Case(
        name="06-already-loaded-by-soname",
        proves="a loaded library is taken for its DT_SONAME too by glibc; musl knows it only by its file's name",
        source="glibc elf/dl-load.c _dl_map_object: DT_SONAME of l; musl load_library: p->shortname",
        tree=(
            library("app/lib/libfile.so", soname="libsoname.so"),
            library("app/lib/liba.so", needs=("libsoname.so",)),
            program(needs=("libfile.so", "liba.so"), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libfile.so": "/app/lib/libfile.so", "liba.so": "/app/lib/liba.so"}),
            Listing(
                on=MUSL,
                missing=(("libsoname.so", "/app/lib/liba.so"),),
                chosen={"libfile.so": "/app/lib/libfile.so", "liba.so": "/app/lib/liba.so"},
            ),
        ),
    ),
    Case(
        name="06b-same-file-twice",
        proves="two names for one file give one object",
        source="glibc elf/dl-load.c _dl_map_object_from_fd: file id; musl load_library: dev and ino",
        tree=(
            library("app/lib/libb.so", soname="libb.so"),
            Link("app/lib/libother.so", "libb.so"),
            program(needs=("libb.so", "libother.so"), runpath=_ORIGIN_LIB),
        ),
        truths=(Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),),
    ),
    Case(
        name="07-symlink-loop",
        proves="a file that fails otherwise than by not being there ends its path list; glibc tries the next stage",
        source="glibc elf/dl-load.c open_path: `if (here_any && errno != ENOENT && errno != EACCES) return -1`",
        tree=(
            Link("app/one/libb.so", "libb.so"),
            library("app/two/libb.so"),
            program(needs=("libb.so",), runpath="/app/one:/app/two"),
        ),
        truths=(
            Listing(on=GLIBC, missing=("libb.so",)),
            Listing(on=MUSL, missing=(("libb.so", "/app/main"),), warnings=("Symbolic link loop",)),
        ),
    ),
    Case(
        name="07b-symlink-loop-then-default",
        proves="after such a failure glibc still looks in the default directories, musl nowhere",
        tree=(
            Link("app/one/libb.so", "libb.so"),
            library("usr/lib/libb.so"),
            program(needs=("libb.so",), runpath="/app/one"),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libb.so": "/lib/libb.so"}),
            Listing(on=MUSL, missing=(("libb.so", "/app/main"),), warnings=("Symbolic link loop",)),
        ),
    ),
    Case(
        name="15-program-through-symlink",
        proves="$ORIGIN of a started program is where its file lies; given to ld.so by name, where the name points",
        source="glibc sysdeps/unix/sysv/linux/dl-origin.c: readlink of /proc/self/exe",
        tree=(
            library("app/lib/liba.so"),
            program(needs=("liba.so",), runpath=_ORIGIN_LIB),
            Link("opt/tool", "/app/main"),
        ),
        truths=(
            Start(on=(*GLIBC, *MUSL), subject="/opt/tool"),
            Listing(on=GLIBC, subject="/opt/tool", started=True, chosen={"liba.so": "/app/lib/liba.so"}),
            Listing(on=GLIBC, subject="/opt/tool", missing=("liba.so",)),
            Listing(on=MUSL, subject="/opt/tool", missing=(("liba.so", "/opt/tool"),)),
        ),
    ),
    Case(
        name="15b-no-proc",
        proves="without /proc the $ORIGIN of a started program is unknown, and its path element is dropped",
        source="musl ldso/dynlink.c fixup_rpath: readlink of /proc/self/exe, for kernel_mapped objects",
        tree=(library("app/lib/liba.so"), program(needs=("liba.so",), runpath=_ORIGIN_LIB)),
        truths=(
            Start(on=GLIBC, proc=False, rc=127, stderr=("liba.so: cannot open shared object file",)),
            Start(on=MUSL, proc=False, rc=127, stderr=("Error loading shared library liba.so",)),
            Listing(on=(*GLIBC, *MUSL), proc=False, chosen={"liba.so": "/app/lib/liba.so"}),
        ),
    ),
    Case(
        name="16-origin-of-symlinked-library",
        proves="$ORIGIN of a library is where it was found, not where a symbolic link leads",
        tree=(
            library("opt/real/libb.so"),
            library("opt/real/liba.so", needs=("libb.so",), runpath="$ORIGIN"),
            Link("app/lib/liba.so", "/opt/real/liba.so"),
            program(needs=("liba.so",), rpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(on=GLIBC, missing=("libb.so",), chosen={"liba.so": "/app/lib/liba.so"}),
            Listing(on=MUSL, missing=(("libb.so", "/app/lib/liba.so"),), chosen={"liba.so": "/app/lib/liba.so"}),
        ),
    ),
    Case(
        name="17-hwcaps",
        proves="glibc-hwcaps subdirectories that the CPU can use come first, per directory, since 2.33",
        source="glibc sysdeps/x86_64/dl-hwcaps-subdirs.c, elf/dl-load.c open_path",
        tree=(
            library("app/lib/libb.so"),
            library("app/lib/glibc-hwcaps/x86-64-v2/libb.so"),
            library("app/lib/glibc-hwcaps/x86-64-v3/libb.so"),
            program(needs=("libb.so",), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(on=GLIBC, emulator=Emulator(cpu="qemu64"), chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=("bullseye-amd64",), emulator=Emulator(cpu="Haswell"), chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(
                on=("bookworm-amd64", "trixie-amd64"),
                emulator=Emulator(cpu="Nehalem"),
                chosen={"libb.so": "/app/lib/glibc-hwcaps/x86-64-v2/libb.so"},
            ),
            Listing(
                on=("bookworm-amd64", "trixie-amd64"),
                emulator=Emulator(cpu="Haswell"),
                chosen={"libb.so": "/app/lib/glibc-hwcaps/x86-64-v3/libb.so"},
            ),
            Listing(on=MUSL, chosen={"libb.so": "/app/lib/libb.so"}),
        ),
    ),
    Case(
        name="17b-legacy-hwcaps",
        proves="the directories tls, haswell and x86_64 were looked into first before 2.37",
        source="glibc NEWS 2.37; elf/dl-hwcaps.c",
        tree=(
            library("app/lib/libb.so"),
            library("app/lib/haswell/libb.so"),
            library("app/lib/x86_64/libc1.so"),
            library("app/lib/libc1.so"),
            library("app/lib/tls/libd.so"),
            library("app/lib/libd.so"),
            program(needs=("libb.so", "libc1.so", "libd.so"), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(
                on=("bullseye-amd64", "bookworm-amd64"),
                emulator=Emulator(cpu="Haswell"),
                chosen={
                    "libb.so": "/app/lib/haswell/libb.so",
                    "libc1.so": "/app/lib/x86_64/libc1.so",
                    "libd.so": "/app/lib/tls/libd.so",
                },
            ),
            Listing(
                on=("bullseye-amd64", "bookworm-amd64"),
                emulator=Emulator(cpu="Nehalem"),
                chosen={
                    "libb.so": "/app/lib/libb.so",
                    "libc1.so": "/app/lib/x86_64/libc1.so",
                    "libd.so": "/app/lib/tls/libd.so",
                },
            ),
            Listing(
                on=("trixie-amd64",),
                emulator=Emulator(cpu="Haswell"),
                chosen={
                    "libb.so": "/app/lib/libb.so",
                    "libc1.so": "/app/lib/libc1.so",
                    "libd.so": "/app/lib/libd.so",
                },
            ),
        ),
    ),
    Case(
        name="17c-hwcaps-in-cache",
        proves="the cache gives the best glibc-hwcaps entry that the CPU can use",
        source="glibc elf/dl-cache.c search_cache",
        tree=(
            library("opt/libs/libb.so"),
            library("opt/libs/glibc-hwcaps/x86-64-v2/libb.so"),
            library("opt/libs/glibc-hwcaps/x86-64-v3/libb.so"),
            Ldconfig(("/opt/libs",), keep_conf=False),
            program(needs=("libb.so",)),
        ),
        truths=(
            Listing(on=GLIBC, emulator=Emulator(cpu="qemu64"), chosen={"libb.so": "/opt/libs/libb.so"}),
            Listing(on=("bullseye-amd64",), emulator=Emulator(cpu="Haswell"), chosen={"libb.so": "/opt/libs/libb.so"}),
            Listing(
                on=("bookworm-amd64", "trixie-amd64"),
                emulator=Emulator(cpu="Nehalem"),
                chosen={"libb.so": "/opt/libs/glibc-hwcaps/x86-64-v2/libb.so"},
            ),
            Listing(
                on=("bookworm-amd64", "trixie-amd64"),
                emulator=Emulator(cpu="Haswell"),
                chosen={"libb.so": "/opt/libs/glibc-hwcaps/x86-64-v3/libb.so"},
            ),
        ),
    ),
    Case(
        name="23-lib-token",
        proves="$LIB is the multiarch directory of Debian's glibc; musl drops a path that holds it (case M07)",
        source="glibc elf/dl-load.c _dl_dst_substitute, DL_DST_LIB; musl fixup_rpath",
        tree=(
            library("app/lib/x86_64-linux-gnu/libb.so"),
            program(needs=("libb.so",), runpath="/app/$LIB"),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libb.so": "/app/lib/x86_64-linux-gnu/libb.so"}),
            Listing(on=MUSL, missing=(("libb.so", "/app/main"),)),
        ),
    ),
    Case(
        name="23b-platform-token",
        proves="$PLATFORM is x86_64, or haswell where the CPU is one and glibc is old enough",
        source="glibc sysdeps/x86/cpu-features.c: GLRO(dl_platform)",
        tree=(
            library("app/x86_64/libb.so"),
            library("app/haswell/libb.so"),
            program(needs=("libb.so",), runpath="/app/$PLATFORM"),
        ),
        truths=(
            Listing(on=GLIBC, emulator=Emulator(cpu="Nehalem"), chosen={"libb.so": "/app/x86_64/libb.so"}),
            Listing(on=GLIBC, emulator=Emulator(cpu="Haswell"), chosen={"libb.so": "/app/haswell/libb.so"}),
        ),
    ),
    Case(
        name="23c-unknown-token",
        proves="a name after $ that is no token stands for itself on glibc, and voids the whole path on musl",
        tree=(
            library("app/lib/libb.so"),
            library("app/$OTHER/libc1.so"),
            program(needs=("libb.so", "libc1.so"), runpath="/app/lib:/app/$OTHER"),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libb.so": "/app/lib/libb.so", "libc1.so": "/app/$OTHER/libc1.so"}),
            Listing(on=MUSL, missing=(("libb.so", "/app/main"), ("libc1.so", "/app/main"))),
        ),
    ),
    Case(
        name="23d-origin-spelt-with-braces",
        proves="${ORIGIN} is $ORIGIN, and a token ends where its name ends",
        tree=(
            library("app/lib/libb.so"),
            program(needs=("libb.so",), runpath="${ORIGIN}/lib"),
            program("app/glued", needs=("libb.so",), runpath="/app/lib$ORIGINAL:$ORIGIN/lib"),
        ),
        truths=(
            Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),
            Listing(on=GLIBC, subject="/app/glued", chosen={"libb.so": "/app/lib/libb.so"}),
        ),
    ),
    Case(
        name="24-empty-path-element",
        proves="an empty element of a path is the current directory for glibc, nothing for musl",
        source='glibc elf/dl-load.c fillin_rpath: `cp = ""` -> "./"; musl path_open: strspn(s, ":\\n")',
        tree=(library("work/libb.so"), program(needs=("libb.so",), runpath=":/nowhere")),
        truths=(
            Listing(on=GLIBC, cwd="/work", chosen={"libb.so": "libb.so"}),
            Listing(on=GLIBC, cwd="/", missing=("libb.so",)),
            Listing(on=MUSL, cwd="/work", missing=(("libb.so", "/app/main"),)),
        ),
    ),
    Case(
        name="24b-empty-environment-element",
        proves="an empty element of LD_LIBRARY_PATH is the current directory for glibc; an empty variable is not",
        tree=(library("work/libb.so"), program(needs=("libb.so",))),
        truths=(
            Listing(on=GLIBC, cwd="/work", env={"LD_LIBRARY_PATH": "/x:"}, chosen={"libb.so": "libb.so"}),
            Listing(on=GLIBC, cwd="/work", env={"LD_LIBRARY_PATH": ":"}, chosen={"libb.so": "libb.so"}),
            Listing(on=GLIBC, cwd="/work", env={"LD_LIBRARY_PATH": ""}, missing=("libb.so",)),
            Listing(on=MUSL, cwd="/work", env={"LD_LIBRARY_PATH": "/x:"}, missing=(("libb.so", "/app/main"),)),
        ),
    ),
    Case(
        name="24c-relative-path-element",
        proves="a relative element of a path is taken from the current directory",
        tree=(library("work/lib/libb.so"), program(needs=("libb.so",), runpath="lib")),
        truths=(
            Listing(on=(*GLIBC, *MUSL), cwd="/work", chosen={"libb.so": "lib/libb.so"}),
            Listing(on=GLIBC, cwd="/", missing=("libb.so",)),
        ),
    ),
    Case(
        name="25-nodefaultlib",
        proves="DF_1_NODEFLIB shuts out the default directories; musl does not know it",
        tree=(
            library("usr/lib/libb.so"),
            program(needs=("libb.so",), flags=("-Wl,-z,nodefaultlib",)),
        ),
        truths=(
            Listing(on=GLIBC, missing=("libb.so",)),
            Listing(on=MUSL, chosen={"libb.so": "/usr/lib/libb.so"}),
        ),
    ),
    Case(
        name="25b-nodefaultlib-and-cache",
        proves="DF_1_NODEFLIB shuts out cache entries in default directories, and no others",
        source="glibc elf/dl-load.c _dl_map_object: `l->l_flags_1 & DF_1_NODEFLIB`, system_dirs",
        tree=(
            library("usr/lib/libb.so"),
            library("opt/libs/libc1.so"),
            Ldconfig(("/opt/libs",)),
            program(needs=("libb.so", "libc1.so"), flags=("-Wl,-z,nodefaultlib",)),
        ),
        truths=(Listing(on=GLIBC, missing=("libb.so",), chosen={"libc1.so": "/opt/libs/libc1.so"}),),
    ),
    Case(
        name="26-own-rpath-first",
        proves="an object's own RPATH comes before the RPATHs of its loaders",
        tree=(
            library("app/own/libb.so"),
            library("app/lib/libb.so"),
            library("app/lib/liba.so", needs=("libb.so",), rpath="/app/own"),
            program(needs=("liba.so",), rpath=_ORIGIN_LIB),
        ),
        truths=(Listing(on=(*GLIBC, *MUSL), chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/own/libb.so"}),),
    ),
    Case(
        name="29-needed-with-slash",
        proves="a needed name with a slash is a path, taken as it stands",
        tree=(
            library("opt/x/libb.so"),
            library("work/y/libc1.so"),
            program(needs=("/opt/x/libb.so", "y/libc1.so")),
        ),
        truths=(
            Listing(
                on=(*GLIBC, *MUSL),
                cwd="/work",
                chosen={"/opt/x/libb.so": "/opt/x/libb.so", "y/libc1.so": "y/libc1.so"},
            ),
            Listing(on=GLIBC, missing=("y/libc1.so",), chosen={"/opt/x/libb.so": "/opt/x/libb.so"}),
            Listing(on=MUSL, missing=(("y/libc1.so", "/app/main"),), chosen={"/opt/x/libb.so": "/opt/x/libb.so"}),
        ),
    ),
    Case(
        name="29b-needed-with-token",
        proves="$ORIGIN in a needed name is expanded by glibc, literal for musl",
        source="glibc elf/dl-deps.c expand_dst",
        tree=(library("app/x/libb.so"), program(needs=("$ORIGIN/x/libb.so",))),
        truths=(
            Listing(on=GLIBC, chosen={"/app/x/libb.so": "/app/x/libb.so"}),
            Listing(on=MUSL, missing=(("$ORIGIN/x/libb.so", "/app/main"),)),
        ),
    ),
    Case(
        name="R07-conf-without-ldconfig",
        proves="ld.so reads the cache, never ld.so.conf",
        tree=(
            library("opt/conf/libb.so"),
            Text("etc/ld.so.conf", "/opt/conf\n"),
            program(needs=("libb.so",)),
        ),
        truths=(Listing(on=GLIBC_EVERYWHERE, missing=("libb.so",)),),
    ),
    Case(
        name="R08-cache-only",
        proves="what the cache holds is found, whatever ld.so.conf says by now",
        tree=(
            library("opt/conf/libb.so"),
            Ldconfig(("/opt/conf",), keep_conf=False),
            program(needs=("libb.so",)),
        ),
        truths=(Listing(on=GLIBC_EVERYWHERE, chosen={"libb.so": "/opt/conf/libb.so"}),),
    ),
    Case(
        name="R08b-stale-cache",
        proves="a cache entry whose file is gone is passed over for the default directories",
        tree=(
            Link("opt/conf/libb.so", "libb.real"),
            library("opt/conf/libb.real", soname="libb.so"),
            library("usr/lib/libb.so"),
            Ldconfig(("/opt/conf",)),
            Link("opt/moved", "conf"),
            program(needs=("libb.so",)),
        ),
        truths=(Listing(on=GLIBC, chosen={"libb.so": "/opt/conf/libb.so"}),),
    ),
    Case(
        name="R08c-cache-named-by-soname",
        proves="ldconfig enters libraries under their soname, found where no file has that name",
        tree=(
            library("opt/conf/libb.so.1.2.3", soname="libb.so.1"),
            Ldconfig(("/opt/conf",)),
            program(needs=("libb.so.1",)),
        ),
        truths=(Listing(on=GLIBC, chosen={"libb.so.1": "/opt/conf/libb.so.1"}),),
    ),
    Case(
        name="R09-multiarch-defaults",
        proves="Debian's loader has its multiarch directories built in, without any ld.so.conf",
        tree=(
            library("usr/lib/x86_64-linux-gnu/libb.so"),
            library("usr/lib/libc1.so"),
            library("usr/lib64/libd.so"),
            library("usr/local/lib/libe.so"),
            program(needs=("libb.so", "libc1.so", "libd.so", "libe.so")),
        ),
        truths=(
            Listing(
                on=GLIBC,
                missing=("libd.so", "libe.so"),
                chosen={"libb.so": "/lib/x86_64-linux-gnu/libb.so", "libc1.so": "/lib/libc1.so"},
            ),
            Listing(
                on=MUSL,
                missing=(("libb.so", "/app/main"), ("libd.so", "/app/main")),
                chosen={"libc1.so": "/usr/lib/libc1.so", "libe.so": "/usr/local/lib/libe.so"},
            ),
        ),
    ),
    Case(
        name="R09b-order-of-defaults",
        proves="the multiarch directories come before /lib and /usr/lib; the cache before all of them",
        tree=(
            library("usr/lib/x86_64-linux-gnu/libb.so"),
            library("usr/lib/libb.so"),
            library("opt/libs/libc1.so"),
            library("usr/lib/libc1.so"),
            Ldconfig(("/opt/libs",)),
            program(needs=("libb.so", "libc1.so")),
        ),
        truths=(
            Listing(
                on=GLIBC,
                chosen={"libb.so": "/lib/x86_64-linux-gnu/libb.so", "libc1.so": "/opt/libs/libc1.so"},
            ),
        ),
    ),
    Case(
        name="R11-secure-execution",
        proves="AT_SECURE drops $ORIGIN that leads to no trusted directory, and LD_LIBRARY_PATH",
        source="glibc elf/dl-load.c _dl_dst_substitute, is_trusted_path_normalize",
        tree=(
            library("app/lib/libb.so"),
            program(needs=("libb.so",), runpath=_ORIGIN_LIB),
            Mode("app/main", 0o4755),
        ),
        truths=(
            Start(on=GLIBC, uid=1000, rc=127, stderr=("libb.so: cannot open shared object file",)),
            Start(
                on=GLIBC,
                uid=1000,
                env={"LD_LIBRARY_PATH": "/app/lib"},
                rc=127,
                stderr=("libb.so: cannot open shared object file",),
            ),
            Start(on=(*GLIBC, *MUSL), uid=0),
            Start(on=MUSL, uid=1000, rc=127, stderr=("Error loading shared library libb.so",)),
        ),
    ),
    Case(
        name="R11b-secure-execution-absolute",
        proves="AT_SECURE leaves paths without $ORIGIN alone",
        tree=(
            library("app/lib/libb.so"),
            program(needs=("libb.so",), runpath="/app/lib"),
            Mode("app/main", 0o4755),
        ),
        truths=(Start(on=(*GLIBC, *MUSL), uid=1000),),
    ),
    Case(
        name="R11c-secure-execution-trusted",
        proves="AT_SECURE keeps $ORIGIN where it leads to a trusted directory",
        tree=(
            library("usr/lib/priv/libb.so"),
            library("usr/lib/x86_64-linux-gnu/libc1.so"),
            program("usr/bin/inner", needs=("libb.so",), runpath="$ORIGIN/../lib/priv"),
            program("usr/bin/main", needs=("libc1.so",), runpath="$ORIGIN/../lib/x86_64-linux-gnu"),
            Mode("usr/bin/main", 0o4755),
            Mode("usr/bin/inner", 0o4755),
        ),
        truths=(
            Start(on=GLIBC, subject="/usr/bin/main", uid=1000),
            Start(on=GLIBC, subject="/usr/bin/inner", uid=1000),
        ),
    ),
    Case(
        name="R15-preload",
        proves="LD_PRELOAD is loaded first; what of it cannot be found is passed over, by musl without a word",
        tree=(
            library("app/lib/libp.so", soname="libp.so"),
            library("app/lib/libb.so"),
            program(needs=("libb.so",), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(
                on=(*GLIBC, *MUSL),
                env={"LD_PRELOAD": "/app/lib/libp.so"},
                chosen={"/app/lib/libp.so": "/app/lib/libp.so", "libb.so": "/app/lib/libb.so"},
            ),
            Listing(
                on=GLIBC,
                env={"LD_PRELOAD": "libgone.so"},
                chosen={"libb.so": "/app/lib/libb.so"},
                warnings=("libgone.so' from LD_PRELOAD cannot be preloaded",),
            ),
            Listing(
                on=MUSL,
                env={"LD_PRELOAD": "libgone.so"},
                chosen={"libb.so": "/app/lib/libb.so"},
            ),
        ),
    ),
    Case(
        name="R15b-preload-file",
        proves="/etc/ld.so.preload is read by glibc only",
        tree=(
            library("app/lib/libp.so"),
            Text("etc/ld.so.preload", "/app/lib/libp.so\n"),
            library("app/lib/libb.so"),
            program(needs=("libb.so",), runpath=_ORIGIN_LIB),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"/app/lib/libp.so": "/app/lib/libp.so", "libb.so": "/app/lib/libb.so"}),
            Listing(on=MUSL, chosen={"libb.so": "/app/lib/libb.so"}),
        ),
    ),
    Case(
        name="R16-unreadable-directory",
        proves="a directory that may not be searched is passed over (asked as an ordinary user)",
        tree=(
            library("app/shut/libb.so"),
            library("app/lib/libb.so"),
            program(needs=("libb.so",), runpath="/app/shut:/app/lib"),
            Mode("app/shut", 0o700),
        ),
        truths=(Start(on=(*GLIBC, *MUSL), uid=1000),),
    ),
    Case(
        name="R17-file-in-place-of-directory",
        proves="a path element that is a file is passed over",
        tree=(
            Text("app/notdir", "x"),
            library("app/lib/libb.so"),
            program(needs=("libb.so",), runpath="/app/notdir:/app/lib"),
        ),
        truths=(Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),),
    ),
    Case(
        name="R18-dangling-link",
        proves="a symbolic link to nothing is not there",
        tree=(
            Link("app/one/libb.so", "gone"),
            library("app/lib/libb.so"),
            Folder("app/empty"),
            program(needs=("libb.so",), runpath="/app/one:/app/empty:/app/lib"),
        ),
        truths=(Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),),
    ),
    Case(
        name="R19-filters",
        proves="glibc loads what DT_FILTER and, where it is there, DT_AUXILIARY name; musl knows neither",
        source="glibc elf/dl-deps.c _dl_map_object_deps",
        tree=(
            library("app/lib/libf.so"),
            library("app/lib/libx.so"),
            library("app/lib/liba.so", flags=("-Wl,-F,libf.so", "-Wl,-f,libx.so"), runpath="$ORIGIN"),
            library("app/lib/libb.so", flags=("-Wl,-f,libgone.so",)),
            program(needs=("liba.so", "libb.so"), runpath=_ORIGIN_LIB),
            library("app/two/libb.so", flags=("-Wl,-F,libgone.so",)),
            program("app/other", needs=("libb.so",), runpath="/app/two"),
        ),
        truths=(
            Listing(
                on=GLIBC,
                missing=("libgone.so",),
                chosen={
                    "liba.so": "/app/lib/liba.so",
                    "libb.so": "/app/lib/libb.so",
                    "libf.so": "/app/lib/libf.so",
                    "libx.so": "/app/lib/libx.so",
                },
            ),
            Start(on=(*GLIBC, *MUSL)),
            Listing(on=GLIBC, subject="/app/other", missing=("libgone.so",), chosen={"libb.so": "/app/two/libb.so"}),
            Start(on=GLIBC, subject="/app/other", rc=127, stderr=("libgone.so: cannot open shared object file",)),
            Listing(on=MUSL, chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/lib/libb.so"}),
            Start(on=MUSL, subject="/app/other"),
        ),
    ),
    Case(
        name="R20-secure-environment",
        proves="AT_SECURE makes musl drop LD_LIBRARY_PATH and LD_PRELOAD; the rest of the search goes on",
        tree=(
            library("app/lib/libb.so"),
            program(needs=("libb.so",)),
            Mode("app/main", 0o4755),
        ),
        truths=(
            Start(on=(*GLIBC, *MUSL), uid=0, env={"LD_LIBRARY_PATH": "/app/lib"}),
            Start(
                on=GLIBC,
                uid=1000,
                env={"LD_LIBRARY_PATH": "/app/lib"},
                rc=127,
                stderr=("libb.so: cannot open shared object file",),
            ),
            Start(
                on=MUSL,
                uid=1000,
                env={"LD_LIBRARY_PATH": "/app/lib"},
                rc=127,
                stderr=("Error loading shared library libb.so",),
            ),
        ),
    ),
)
