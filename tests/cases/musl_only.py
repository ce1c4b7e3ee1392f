"""Cases that are about musl's loader alone, or about programs of one libc on the other."""

from .recipe import MUSL, Bring, Case, Folder, Link, Listing, Mode, Start, Text, library, program

_PATH_FILE = "etc/ld-musl-x86_64.path"
_B_MISSING = (("libb.so", "/app/main"),)

_IFUNC = """
static int one(void) { return 0; }
static void *choose(void) { return one; }
int f(void) __attribute__((ifunc("choose")));
"""

_OPEN = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **names) {
    void *found = dlopen(names[1], RTLD_NOW);
    if (!found) { fprintf(stderr, "%s\\n", dlerror()); return 3; }
    return 0;
}
"""

_LOOK = """
#define _GNU_SOURCE
#include <dlfcn.h>
int main(int count, char **names) { return dlsym(RTLD_DEFAULT, names[1]) ? 0 : 3; }
"""


def _user_of(*functions: str) -> str:
    """A program that refers to functions and calls none."""
    declared = " ".join(f"int {name}(void);" for name in functions)
    return f"{declared} void *used[] = {{{', '.join(functions)}}}; int main(void) {{ return 0; }}"


def _definer_of(*functions: str) -> str:
    return " ".join(f"int {name}(void) {{ return 0; }}" for name in functions)


_ADDED_1_2_2 = ("_Fork", "gettid", "reallocarray", "tcgetwinsize", "tcsetwinsize")
_ADDED_1_2_3 = ("pthread_getname_np", "qsort_r")
_ADDED_1_2_5 = ("preadv2", "pwritev2", "statx")
_LARGE_FILES = ("fopen64", "lseek64", "stat64", "readdir64", "mmap64")

CASES = (
    Case(
        name="M04-path-file",
        proves="the path file replaces the default directories; ':' and newline separate",
        source="musl ldso/dynlink.c load_library: /etc/ld-musl-ARCH.path",
        tree=(
            Text(_PATH_FILE, "/one\n/two:/three\n"),
            library("two/libb.so"),
            library("three/libc1.so"),
            library("usr/lib/libd.so"),
            program(needs=("libb.so", "libc1.so", "libd.so")),
        ),
        truths=(
            Listing(
                on=MUSL,
                missing=(("libd.so", "/app/main"),),
                chosen={"libb.so": "/two/libb.so", "libc1.so": "/three/libc1.so"},
            ),
        ),
    ),
    Case(
        name="M04b-path-file-empty",
        proves="an empty path file leaves no directory",
        tree=(Text(_PATH_FILE), library("usr/lib/libb.so"), program(needs=("libb.so",))),
        truths=(Listing(on=MUSL, missing=_B_MISSING, warnings=("No error information",)),),
    ),
    Case(
        name="M04c-path-file-is-directory",
        proves="a path file that cannot be read leaves no directory",
        tree=(Folder(_PATH_FILE), library("usr/lib/libb.so"), program(needs=("libb.so",))),
        truths=(Listing(on=MUSL, missing=_B_MISSING, warnings=("Is a directory",)),),
    ),
    Case(
        name="M04d-path-file-not-permitted",
        proves="a path file that may not be opened leaves no directory",
        tree=(
            Text(_PATH_FILE, "/usr/lib\n"),
            Mode(_PATH_FILE, 0o600),
            library("usr/lib/libb.so"),
            program(needs=("libb.so",)),
        ),
        truths=(
            Start(on=MUSL, uid=0),
            Start(on=MUSL, uid=1000, rc=127, stderr=("Error loading shared library libb.so",)),
        ),
    ),
    Case(
        name="M04e-path-file-dangling",
        proves="a path file that is a link to nothing counts as absent",
        tree=(Link(_PATH_FILE, "gone"), library("usr/lib/libb.so"), program(needs=("libb.so",))),
        truths=(Listing(on=MUSL, chosen={"libb.so": "/usr/lib/libb.so"}),),
    ),
    Case(
        name="M04f-default-order",
        proves="the default directories are /lib, /usr/local/lib, /usr/lib in this order",
        tree=(
            library("usr/local/lib/libb.so"),
            library("usr/lib/libb.so"),
            library("lib/libc1.so"),
            library("usr/local/lib/libc1.so"),
            program(needs=("libb.so", "libc1.so")),
        ),
        truths=(Listing(on=MUSL, chosen={"libb.so": "/usr/local/lib/libb.so", "libc1.so": "/lib/libc1.so"}),),
    ),
    Case(
        name="M05-reserved-names",
        proves="names that begin like a part of libc are the loader itself; glibc's other libraries are not",
        source="musl ldso/dynlink.c load_library: reserved[]",
        tree=(
            library("usr/lib/libm.so.6"),
            program(
                needs=(
                    "libc.so.6",
                    "libm.so.6",
                    "libpthread.so.0",
                    "libdl.so.2",
                    "librt.so.1",
                    "libutil.so.1",
                    "libxnet.so",
                    "libc.anything",
                    "libmvec.so.1",
                    "libresolv.so.2",
                    "libanl.so.1",
                    "libnsl.so.1",
                    "libcrypt.so.1",
                    "ld-linux-x86-64.so.2",
                    "libm-2.31.so",
                ),
            ),
        ),
        truths=(
            Listing(
                on=MUSL,
                missing=tuple(
                    (name, "/app/main")
                    for name in (
                        "libmvec.so.1",
                        "libresolv.so.2",
                        "libanl.so.1",
                        "libnsl.so.1",
                        "libcrypt.so.1",
                        "ld-linux-x86-64.so.2",
                        "libm-2.31.so",
                    )
                ),
            ),
        ),
    ),
    Case(
        name="M05b-second-libc",
        proves="a library that defines both __libc_start_main and stdin gives way to the loader",
        tree=(
            library("usr/lib/libother.so", "int __libc_start_main(void) { return 0; } int stdin; int extra;"),
            library("usr/lib/libhalf.so", "int __libc_start_main(void) { return 0; }"),
            program(
                source="extern int extra; int *p = &extra; int main(void) { return 0; }",
                needs=("usr/lib/libother.so", "libhalf.so"),
            ),
        ),
        truths=(
            Listing(
                on=MUSL,
                chosen={"libhalf.so": "/usr/lib/libhalf.so"},
                undefined=(("/app/main", "extra", None),),
            ),
        ),
    ),
    Case(
        name="M08-empty-segment",
        proves="a PT_LOAD of no bytes cannot be mapped up to 1.2.2",
        source="musl ldso/dynlink.c map_library: mmap of length 0 gives EINVAL",
        tree=(
            library("app/lib/libb.so", "int f(void) { return 0; }", filler=False),
            program(needs=("libb.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(on=("musl-1.2.2-x86_64",), missing=_B_MISSING, warnings=("Invalid argument",)),
            Listing(on=("musl-1.2.3-x86_64", "musl-1.2.5-x86_64"), chosen={"libb.so": "/app/lib/libb.so"}),
        ),
    ),
    Case(
        name="M09-ifunc-export",
        proves="an IFUNC symbol of a library is not found by others",
        source="musl ldso/dynlink.c find_sym: OK_TYPES",
        tree=(
            library("app/lib/libb.so", _IFUNC),
            program(
                source="int f(void); int main(void) { return f(); }",
                needs=("app/lib/libb.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Listing(
                on=MUSL,
                chosen={"libb.so": "/app/lib/libb.so"},
                undefined=(("/app/main", "f", None),),
            ),
        ),
    ),
    Case(
        name="M09b-irelative",
        proves="an IRELATIVE relocation is refused",
        source="musl ldso/dynlink.c do_relocs: unsupported relocation type",
        tree=(
            library(
                "app/lib/libb.so",
                _IFUNC.replace("int f", "static int f") + "int g(void) { return f(); }",
            ),
            program(needs=("app/lib/libb.so",), runpath="/app/lib"),
        ),
        truths=(
            Listing(
                on=MUSL,
                chosen={"libb.so": "/app/lib/libb.so"},
                relocations=(("/app/lib/libb.so", "unsupported relocation type 37"),),
            ),
        ),
    ),
    Case(
        name="M10-dlopen-search",
        proves="dlopen searches with the RUNPATH of the program",
        source="musl ldso/dynlink.c dlopen: load_library(file, head)",
        tree=(
            library("app/lib/libb.so"),
            program("app/main", libc="own", source=_OPEN, runpath="/app/lib"),
            program("app/without", libc="own", source=_OPEN),
        ),
        truths=(
            Start(on=MUSL, arguments=("libb.so",)),
            Start(
                on=MUSL,
                subject="/app/without",
                arguments=("libb.so",),
                rc=3,
                stderr=("Error loading shared library libb.so",),
            ),
        ),
    ),
    Case(
        name="M10b-dlopen-by-library",
        proves="a library that opens another is not asked for its own RUNPATH on musl; glibc asks it",
        source="musl ldso/dynlink.c dlopen: needed_by is head; glibc elf/dl-open.c: the caller's map is the loader",
        tree=(
            Bring("libc.so.6"),
            library("app/plugins/libq.so"),
            library(
                "app/lib/libp.so",
                '#include <dlfcn.h>\nint open_it(void) { return dlopen("libq.so", RTLD_NOW) ? 0 : 3; }',
                libc="own",
                runpath="/app/plugins",
            ),
            program(
                libc="own",
                source="int open_it(void); int main(void) { return open_it(); }",
                needs=("app/lib/libp.so",),
                runpath="/app/lib",
            ),
        ),
        truths=(
            Start(on=MUSL, rc=3),
            Start(on=("bookworm-amd64", "trixie-amd64")),
        ),
    ),
    Case(
        name="M15-prefix-of-interpreter",
        proves="the path file is looked for two levels above the program's PT_INTERP, whichever loader runs",
        source="musl ldso/dynlink.c __dls3: ldso.name is the program's PT_INTERP; load_library: prefix",
        tree=(
            Text("opt/musl/etc/ld-musl-x86_64.path", "/opt/musl/lib\n"),
            Text(_PATH_FILE, "/usr/lib\n"),
            library("opt/musl/lib/libb.so"),
            library("usr/lib/libb.so"),
            program(needs=("libb.so",), interpreter="/opt/musl/lib/ld-musl-x86_64.so.1"),
            program("app/plain", needs=("libb.so",)),
        ),
        truths=(
            Listing(on=MUSL, chosen={"libb.so": "/opt/musl/lib/libb.so"}),
            Listing(on=MUSL, subject="/app/plain", chosen={"libb.so": "/usr/lib/libb.so"}),
        ),
    ),
    Case(
        name="M11-large-file-names",
        proves="foo64 names bind on every version; dlsym sees them up to 1.2.3 only",
        source="musl 1.2.4: ldso/dynlink.c get_lfs64",
        tree=(
            library("ghost/libc.so", _definer_of(*_LARGE_FILES)),
            program(source=_user_of(*_LARGE_FILES), needs=("ghost/libc.so",)),
            program("app/look", libc="own", source=_LOOK),
        ),
        truths=(
            Listing(on=MUSL),
            Start(on=("musl-1.2.2-x86_64", "musl-1.2.3-x86_64"), subject="/app/look", arguments=("fopen64",)),
            Start(on=("musl-1.2.5-x86_64",), subject="/app/look", arguments=("fopen64",), rc=3),
        ),
    ),
    Case(
        name="M12-symbols-by-version",
        proves="which functions came with which version",
        tree=(
            library("ghost/libc.so", _definer_of(*_ADDED_1_2_2, *_ADDED_1_2_3, *_ADDED_1_2_5)),
            program(source=_user_of(*_ADDED_1_2_2, *_ADDED_1_2_3, *_ADDED_1_2_5), needs=("ghost/libc.so",)),
        ),
        truths=(
            Listing(
                on=("musl-1.2.2-x86_64",),
                undefined=tuple(("/app/main", name, None) for name in (*_ADDED_1_2_3, *_ADDED_1_2_5)),
            ),
            Listing(
                on=("musl-1.2.3-x86_64",),
                undefined=tuple(("/app/main", name, None) for name in _ADDED_1_2_5),
            ),
            Listing(on=("musl-1.2.5-x86_64",)),
        ),
    ),
    Case(
        name="M13-glibc-program",
        proves="a plain program for glibc fails on musl for nothing but its missing loader",
        tree=(program(libc="gnu", interpreter="/lib64/ld-linux-x86-64.so.2"),),
        truths=(Listing(on=MUSL), Start(on=MUSL, rc=None, errno=2)),
    ),
    Case(
        name="M14-long-name",
        proves="a name longer than NAME_MAX is looked for nowhere",
        tree=(program(needs=("lib" + "x" * 300 + ".so",)),),
        truths=(
            Listing(on=MUSL, missing=(("lib" + "x" * 300 + ".so", "/app/main"),), warnings=("needed by /app/main",)),
        ),
    ),
)
