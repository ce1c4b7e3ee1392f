"""Cases on symbol versions and on the binding of symbols."""

from .edits import weak_version
from .recipe import (
    GLIBC,
    GLIBC_EVERYWHERE,
    MUSL,
    Bring,
    Case,
    Edit,
    Listing,
    Start,
    library,
    program,
)

_V1 = "V1 { global: old; local: *; };"
_V2 = "V1 { global: old; local: *; }; V2 { global: new; } V1;"
_OLD = "int old(void) { return 1; }"
_BOTH = _OLD + " int new(void) { return 2; }"
_LIB = "/app/lib/libv.so"
_USES_NEW = "int new(void); int main(void) { return new() - 2; }"
_NEWER = {"at": "ghost/libv.so", "source": _BOTH, "versions": _V2}


CASES = (
    Case(
        name="19-version-missing",
        proves="a version that the library does not define is fatal on glibc; musl does not look at versions",
        source="glibc elf/dl-version.c _dl_check_map_versions",
        tree=(
            library(**_NEWER),
            library("app/lib/libv.so", _BOTH, versions="V1 { global: old; new; local: *; };"),
            program(source=_USES_NEW, needs=("ghost/libv.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(
                on=GLIBC_EVERYWHERE,
                versions=((_LIB, "V2", "/app/main"),),
                undefined=(("/app/main", "new", "V2"),),
                chosen={"libv.so": _LIB},
            ),
            Start(on=GLIBC_EVERYWHERE, rc=1, stderr=("version `V2' not found (required by /app/main)",)),
            Listing(on=MUSL, chosen={"libv.so": _LIB}),
            Start(on=MUSL),
        ),
    ),
    Case(
        name="19b-version-missing-unused",
        proves="a missing version is fatal whether or not the symbol that brought it is there",
        tree=(
            library(**_NEWER),
            library("app/lib/libv.so", _OLD, versions=_V1),
            program(
                source="int old(void); int new(void) __attribute__((weak));"
                " int main(void) { return new ? 7 : old() - 1; }",
                needs=("ghost/libv.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(
                on=GLIBC,
                versions=((_LIB, "V2", "/app/main"),),
                chosen={"libv.so": _LIB},
            ),
            Start(on=GLIBC, rc=1, stderr=("version `V2' not found",)),
            Listing(on=MUSL, chosen={"libv.so": _LIB}),
            Start(on=MUSL),
        ),
    ),
    Case(
        name="19c-library-without-versions",
        proves="a library without any versions draws a warning, and then fails up to 2.40",
        source="glibc elf/dl-version.c match_symbol, elf/dl-lookup.c check_match",
        tree=(
            library(**_NEWER),
            library("app/lib/libv.so", _BOTH),
            program(source=_USES_NEW, needs=("ghost/libv.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(
                on=("bullseye-amd64", "bookworm-amd64"),
                chosen={"libv.so": _LIB},
                warnings=("no version information available (required by /app/main)",),
                fatal="check_match: Assertion",
            ),
            Listing(
                on=("trixie-amd64",),
                chosen={"libv.so": _LIB},
                warnings=("no version information available (required by /app/main)",),
            ),
            Start(on=("bullseye-amd64", "bookworm-amd64"), rc=127, stderr=("Inconsistency detected by ld.so",)),
            Start(on=("trixie-amd64",), stderr=("no version information available",)),
            Start(on=MUSL),
        ),
    ),
    Case(
        name="19d-version-missing-in-library",
        proves="versions that libraries require of each other are checked too",
        tree=(
            library(**_NEWER),
            library("app/lib/libv.so", _OLD, versions=_V1),
            library("app/lib/liba.so", "int new(void); int a(void) { return new(); }", needs=("ghost/libv.so",)),
            program(needs=("app/lib/liba.so",), rpath="/app/lib"),
        ),
        truths=(
            Listing(
                on=GLIBC,
                versions=((_LIB, "V2", "/app/lib/liba.so"),),
                undefined=(("/app/lib/liba.so", "new", "V2"),),
                chosen={"liba.so": "/app/lib/liba.so", "libv.so": _LIB},
            ),
            Listing(
                on=MUSL,
                undefined=(("/app/lib/liba.so", "new", None),),
                chosen={"liba.so": "/app/lib/liba.so", "libv.so": _LIB},
            ),
        ),
    ),
    Case(
        name="19e-version-of-absent-library",
        proves="versions of a library that is missing itself are not reported again",
        tree=(
            library(**_NEWER),
            library("app/lib/libz1.so", "int z(void) { return 0; }", versions="Z1 { global: z; };"),
            program(
                source="int new(void); int z(void); int main(void) { return new() + z(); }",
                needs=("ghost/libv.so", "app/lib/libz1.so"),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(
                on=GLIBC,
                missing=("libv.so",),
                undefined=(("/app/main", "new", "V2"),),
                chosen={"libz1.so": "/app/lib/libz1.so"},
            ),
            Listing(
                on=MUSL,
                missing=(("libv.so", "/app/main"),),
                undefined=(("/app/main", "new", None),),
                chosen={"libz1.so": "/app/lib/libz1.so"},
            ),
        ),
    ),
    Case(
        name="19h-trace-dies",
        proves="where every library with versions is missing, tracing ld.so dies: it says nothing of symbols then",
        source="glibc elf/dl-version.c _dl_check_map_versions: a faked object does not raise ndx_high",
        tree=(
            library(**_NEWER),
            program(source=_USES_NEW, needs=("ghost/libv.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(on=GLIBC, missing=("libv.so",), fatal="killed by SIGSEGV"),
            Start(on=GLIBC, rc=127, stderr=("libv.so: cannot open shared object file",)),
            Listing(on=MUSL, missing=(("libv.so", "/app/main"),), undefined=(("/app/main", "new", None),)),
        ),
    ),
    Case(
        name="19f-weak-version-reference",
        proves="a version reference that is itself weak draws a warning only",
        source="glibc elf/dl-version.c match_symbol: VER_FLG_WEAK",
        tree=(
            library(**_NEWER),
            library("app/lib/libv.so", _OLD, versions=_V1),
            program(
                source="int new(void) __attribute__((weak)); int main(void) { return new ? 7 : 0; }",
                needs=("ghost/libv.so",),
                runpath="/app/lib",
            ),
            Edit("app/main", weak_version("V2")),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libv.so": _LIB}, warnings=("weak version `V2' not found",)),
            Start(on=GLIBC),
        ),
    ),
    Case(
        name="19g-version-moved",
        proves="the version is checked against the file that the reference names, the symbol may come from another",
        source="glibc elf/dl-lookup.c do_lookup_x: any object of the scope that has the name and the version",
        tree=(
            library("ghost/libold.so", "int f(void) { return 1; }", versions="V1 { global: f; };"),
            library("app/lib/libold.so", "int g(void) { return 0; }", versions="V1 { global: g; };"),
            library("app/lib/libnew.so", "int f(void) { return 5; }", versions="V1 { global: f; };"),
            program(
                source="int f(void); int main(void) { return f() - 5; }",
                needs=("ghost/libold.so", "libnew.so"),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libold.so": "/app/lib/libold.so", "libnew.so": "/app/lib/libnew.so"}),
            Start(on=(*GLIBC, *MUSL)),
        ),
    ),
    Case(
        name="20-weak-undefined",
        proves="an undefined weak symbol is no failure anywhere",
        tree=(
            library("app/lib/libb.so"),
            library("ghost/libw.so", "int maybe(void) { return 3; }", soname="libb.so"),
            program(
                source="int maybe(void) __attribute__((weak)); int main(void) { return maybe ? 3 : 0; }",
                needs=("ghost/libw.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),
            Start(on=(*GLIBC, *MUSL)),
        ),
    ),
    Case(
        name="22-undefined-now",
        proves="with BIND_NOW an undefined function is fatal though it is never called",
        tree=(
            library("app/lib/libb.so"),
            library("ghost/libb.so", "int gone(void) { return 3; }"),
            program(
                source="int gone(void); int main(int c) { return c > 90000 ? gone() : 0; }",
                needs=("ghost/libb.so",),
                runpath="/app/lib",
                flags=("-Wl,-z,now",),
            ),
        ),
        truths=(
            Listing(
                on=(*GLIBC, *MUSL),
                chosen={"libb.so": "/app/lib/libb.so"},
                undefined=(("/app/main", "gone", None),),
            ),
            Start(on=GLIBC, rc=127, stderr=("symbol lookup error: /app/main: undefined symbol: gone",)),
            Start(on=MUSL, rc=127, stderr=("gone: symbol not found",)),
        ),
    ),
    Case(
        name="22b-undefined-lazy",
        proves="bound lazily it runs on glibc; musl binds everything at start (case M06)",
        source="musl ldso/dynlink.c do_relocs: lazy only after start",
        tree=(
            library("app/lib/libb.so"),
            library("ghost/libb.so", "int gone(void) { return 3; }"),
            program(
                source="int gone(void); int main(int c) { return c > 90000 ? gone() : 0; }",
                needs=("ghost/libb.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(
                on=(*GLIBC, *MUSL),
                chosen={"libb.so": "/app/lib/libb.so"},
                undefined=(("/app/main", "gone", None),),
            ),
            Start(on=GLIBC),
            Start(on=GLIBC, env={"LD_BIND_NOW": "1"}, rc=127, stderr=("undefined symbol: gone",)),
            Start(on=MUSL, rc=127, stderr=("gone: symbol not found",)),
        ),
    ),
    Case(
        name="22c-undefined-data",
        proves="an undefined variable is fatal at once, lazy binding or not",
        tree=(
            library("app/lib/libb.so"),
            library("ghost/libb.so", "int gone = 3;"),
            library("app/lib/liba.so", "extern int gone; int *a(void) { return &gone; }", needs=("ghost/libb.so",)),
            program(needs=("app/lib/liba.so",), rpath="/app/lib"),
        ),
        truths=(
            Listing(
                on=(*GLIBC, *MUSL),
                chosen={"liba.so": "/app/lib/liba.so", "libb.so": "/app/lib/libb.so"},
                undefined=(("/app/lib/liba.so", "gone", None),),
            ),
            Start(on=GLIBC, rc=127, stderr=("undefined symbol: gone",)),
        ),
    ),
    Case(
        name="30-weak-symbol-strong-version",
        proves="a weak symbol does not make its version reference weak",
        tree=(
            library(**_NEWER),
            library("app/lib/libv.so", _OLD, versions=_V1),
            program(
                source="int new(void) __attribute__((weak)); int main(void) { return new ? 7 : 0; }",
                needs=("ghost/libv.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(on=GLIBC, versions=((_LIB, "V2", "/app/main"),), chosen={"libv.so": _LIB}),
            Start(on=GLIBC, rc=1, stderr=("version `V2' not found",)),
            Start(on=MUSL),
        ),
    ),
    Case(
        name="S01-scope-order",
        proves="a symbol comes from the first object, breadth first, that defines it; the program comes before all",
        tree=(
            library("app/lib/libdeep.so", "int f(void) { return 9; } int g(void) { return 9; }"),
            library("app/lib/liba.so", "int a;", needs=("app/lib/libdeep.so",)),
            library("app/lib/libb.so", "int f(void) { return 5; }"),
            library("app/lib/libc1.so", "int g(void); int f(void); int through(void) { return f() * 10 + g(); }"),
            program(
                source="int through(void); int g(void) { return 1; } int main(void) { return through(); }",
                needs=("app/lib/liba.so", "app/lib/libb.so", "app/lib/libc1.so"),
                rpath="/app/lib",
                flags=("-Wl,-E",),
            ),
        ),
        truths=(Start(on=(*GLIBC, *MUSL), rc=51),),
    ),
    Case(
        name="S02-symbolic",
        proves="DT_SYMBOLIC makes a library look into itself first on glibc; musl does not know it",
        tree=(
            library(
                "app/lib/libb.so",
                "int f(void) { return 5; } int through(void) { return f(); }",
                flags=("-Wl,-Bsymbolic", "-Wl,--no-gc-sections"),
            ),
            program(
                source="int through(void); int f(void) { return 1; } int main(void) { return through(); }",
                needs=("app/lib/libb.so",),
                rpath="/app/lib",
                flags=("-Wl,-E",),
            ),
        ),
        truths=(Start(on=(*GLIBC, *MUSL), rc=5),),
    ),
    Case(
        name="S03-hidden-version",
        proves="an unversioned reference binds on glibc to the first version, even hidden; musl sees default ones",
        source="glibc elf/dl-lookup.c check_match: `(verstab[symidx] & 0x7fff) >= ... 3`; musl find_sym: versym >= 0",
        tree=(
            library("ghost/libv.so", "int f(void) { return 0; }"),
            library(
                "app/lib/libv.so",
                'int f1(void) { return 0; } __asm__(".symver f1,f@V1");',
                versions="V1 { global: f; local: *; };",
            ),
            program(
                source="int f(void); int main(void) { return f(); }",
                needs=("ghost/libv.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libv.so": _LIB}),
            Start(on=GLIBC),
            Listing(on=MUSL, undefined=(("/app/main", "f", None),), chosen={"libv.so": _LIB}),
        ),
    ),
    Case(
        name="S03b-hidden-late-version",
        proves="an unversioned reference does not bind to a hidden version that is not the first",
        tree=(
            library("ghost/libv.so", "int f(void) { return 0; }"),
            library(
                "app/lib/libv.so",
                'int f2(void) { return 0; } __asm__(".symver f2,f@V2");'
                ' int g1(void) { return 0; } __asm__(".symver g1,g@V1");',
                versions="V1 { global: g; local: *; }; V2 { global: f; } V1;",
            ),
            program(
                source="int f(void); int main(void) { return f(); }",
                needs=("ghost/libv.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(on=GLIBC, undefined=(("/app/main", "f", None),), chosen={"libv.so": _LIB}),
            Listing(on=MUSL, undefined=(("/app/main", "f", None),), chosen={"libv.so": _LIB}),
        ),
    ),
    Case(
        name="S04-unversioned-definition",
        proves="a versioned reference binds to a definition without versions in another object",
        tree=(
            library("ghost/libv.so", "int f(void) { return 1; } int g;", versions="V1 { global: f; g; };"),
            library("app/lib/libv.so", "int g;", versions="V1 { global: g; };"),
            library("app/lib/libplain.so", "int f(void) { return 6; }"),
            program(
                source="int f(void); int main(void) { return f(); }",
                needs=("ghost/libv.so", "libplain.so"),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(on=GLIBC, chosen={"libv.so": _LIB, "libplain.so": "/app/lib/libplain.so"}),
            Start(on=(*GLIBC, *MUSL), rc=6),
        ),
    ),
    Case(
        name="S05-copy-size",
        proves="a copy relocation of a variable that grew draws a warning only",
        tree=(
            library("ghost/libb.so", "int table[2] = {1, 2};"),
            library("app/lib/libb.so", "int table[4] = {0, 2, 3, 4};"),
            program(
                source="extern int table[]; int main(void) { return table[0]; }",
                needs=("ghost/libb.so",),
                runpath="/app/lib",
                flags=("-no-pie", "-fno-pic"),
            ),
        ),
        truths=(
            Listing(
                on=GLIBC,
                chosen={"libb.so": "/app/lib/libb.so"},
                warnings=("Symbol `table' has different size in shared object",),
            ),
            Start(on=(*GLIBC, *MUSL)),
        ),
    ),
    Case(
        name="S06-loader-in-scope",
        proves="symbols that ld.so itself exports are bound where ld.so is needed",
        tree=(
            Bring("libc.so.6"),
            program(
                libc="own",
                source="void *__tls_get_addr(void *); int main(int c) { return c > 9000 ? !__tls_get_addr(0) : 0; }",
            ),
        ),
        truths=(
            Start(on=("bookworm-amd64", "trixie-amd64")),
            Listing(on=("bookworm-amd64", "trixie-amd64"), chosen={"libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6"}),
        ),
    ),
    Case(
        name="S07-newer-libc",
        proves="a program that was linked with glibc 2.36 needs GLIBC_2.34 and does not start on 2.31",
        tree=(Bring("libc.so.6"), program(libc="own")),
        truths=(
            Listing(
                on=("bullseye-amd64",),
                versions=(("/lib/x86_64-linux-gnu/libc.so.6", "GLIBC_2.34", "/app/main"),),
                undefined=(("/app/main", "__libc_start_main", "GLIBC_2.34"),),
                chosen={"libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6"},
            ),
            Start(on=("bullseye-amd64",), rc=1, stderr=("version `GLIBC_2.34' not found",)),
            Start(on=("bookworm-amd64", "trixie-amd64")),
        ),
    ),
    Case(
        name="S08-version-without-symbols",
        proves="versions that mark an ABI have no symbols; Debian's 2.41 has one that upstream's 2.41 has not",
        source="GLIBC_ABI_GNU2_TLS: glibc 2.42, backported by Debian to 2.41",
        tree=(
            Bring("libc.so.6"),
            library(
                "ghost/libc.so.6", "int mark(void) { return 0; }", versions="GLIBC_ABI_GNU2_TLS { global: mark; };"
            ),
            program(
                source="int mark(void) __attribute__((weak)); int main(void) { return mark ? 1 : 0; }",
                needs=("ghost/libc.so.6",),
            ),
        ),
        truths=(
            Listing(
                on=("bullseye-amd64", "bookworm-amd64"),
                versions=(("/lib/x86_64-linux-gnu/libc.so.6", "GLIBC_ABI_GNU2_TLS", "/app/main"),),
                chosen={"libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6"},
            ),
            Listing(on=("trixie-amd64",), chosen={"libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6"}),
        ),
    ),
    Case(
        name="S09-sysv-hash",
        proves="a library with only the old hash table serves as well",
        tree=(
            library("app/lib/libb.so", "int f(void) { return 6; }", flags=("-Wl,--hash-style=sysv",)),
            program(
                source="int f(void); int main(void) { return f(); }", needs=("app/lib/libb.so",), runpath="/app/lib"
            ),
        ),
        truths=(
            Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}),
            Start(on=(*GLIBC, *MUSL), rc=6),
        ),
    ),
    Case(
        name="S10-protected-and-local",
        proves="a symbol of hidden visibility is not exported; a weak definition serves like a strong one",
        tree=(
            library("ghost/libb.so", "int f(void) { return 1; } int g(void) { return 1; }"),
            library(
                "app/lib/libb.so",
                '__attribute__((visibility("hidden"))) int f(void) { return 6; }'
                " __attribute__((weak)) int g(void) { return 6; }",
            ),
            program(
                source="int f(void); int g(void); int main(int c) { return c ? f() : g(); }",
                needs=("ghost/libb.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(on=(*GLIBC, *MUSL), chosen={"libb.so": "/app/lib/libb.so"}, undefined=(("/app/main", "f", None),)),
            Start(on=GLIBC, rc=6),
        ),
    ),
    Case(
        name="S11-weak-before-strong",
        proves="the first definition in the scope counts, though it is weak and a later one strong",
        source="glibc elf/dl-lookup.c do_lookup_x: STB_WEAK matters with LD_DYNAMIC_WEAK only",
        tree=(
            library("app/lib/libb.so", "__attribute__((weak)) int f(void) { return 6; }"),
            library("app/lib/libc1.so", "int f(void) { return 7; }"),
            program(
                source="int f(void); int main(void) { return f(); }",
                needs=("app/lib/libb.so", "app/lib/libc1.so"),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Start(on=(*GLIBC, *MUSL), rc=6),
            Start(on=GLIBC, env={"LD_DYNAMIC_WEAK": "1"}, rc=7),
        ),
    ),
)
