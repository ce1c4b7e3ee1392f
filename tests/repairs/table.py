"""Broken pairs, made by recipes: what may be wrong, by the roots in which it may be."""

from __future__ import annotations

from collections.abc import Iterator

from tests.cases.recipe import GLIBC, MUSL, Link, Mode, Step, Text, library, program
from tests.repairs.broken import Broken, Corpus, Package

__all__ = ["few", "many"]

_GLIBC_NEW = ("bookworm-amd64", "trixie-amd64")
_BOTH = ("bookworm-amd64", "musl-1.2.5-x86_64")
_EVERYWHERE = (*GLIBC, *MUSL)

_OLD = ("bullseye-amd64", "musl-1.2.2-x86_64")

_LIBC = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }'
_CALL = "int given(void); int main(void) { return given() - 7; }"
_GIVEN = "int given(void) { return 7; }"
_SECOND = "int second(void); int given(void) { return second(); }"


def _user(at: str = "app/main", **options: object) -> Step:
    return program(at, _CALL, **options)


def _search(root: str) -> Iterator[Broken]:
    """Libraries that are there, and not where the loader looks."""
    given = library("opt/odd/libgiven.so.1", _GIVEN)
    use = _user(needs=("opt/odd/libgiven.so.1",))
    yield Broken(name="odd-directory", root=root, tree=(given, use))
    beside = library("app/libgiven.so.1", _GIVEN)
    yield Broken(name="beside", root=root, tree=(beside, _user(needs=("app/libgiven.so.1",))))
    in_lib = library("app/lib/libgiven.so.1", _GIVEN)
    yield Broken(name="in-lib-beside", root=root, tree=(in_lib, _user(needs=("app/lib/libgiven.so.1",))))
    wrong = _user(needs=("app/lib/libgiven.so.1",), runpath="/build/tree/lib")
    yield Broken(name="wrong-runpath", root=root, tree=(in_lib, wrong))
    second = library("app/lib/libsecond.so.1", "int second(void) { return 7; }")
    above = library("app/lib/libgiven.so.1", _SECOND, needs=("app/lib/libsecond.so.1",))
    use = _user(needs=("app/lib/libgiven.so.1",), runpath="$ORIGIN/lib")
    if not root.startswith("musl"):  # which takes the search path of who needs the library too
        yield Broken(name="runpath-not-inherited", root=root, tree=(second, above, use))
    named = library("usr/local/lib/libgiven.so.1.2.3", _GIVEN, soname="libgiven.so.1")
    use = _user(needs=("usr/local/lib/libgiven.so.1.2.3",))
    yield Broken(name="no-soname-link", root=root, tree=(named, use))
    dangling = (Link("usr/local/lib/libgiven.so.1", "libgiven.so.1.0"), named, use)
    yield Broken(name="dangling-soname-link", root=root, tree=dangling)
    yield Broken(name="outside-beside", root=root, tree=(beside, _user(needs=("app/libgiven.so.1",))), outside=True)
    yield Broken(name="outside-in-lib", root=root, tree=(in_lib, wrong), outside=True)
    deep = library("app/vendor/x86/libgiven.so.1", _GIVEN)
    yield Broken(
        name="odd-vendor", root=root, tree=(deep, _user(needs=("app/vendor/x86/libgiven.so.1",))), outside=True
    )
    lib = library("app/libtop.so", _SECOND.replace("given", "top"), needs=("app/lib/libsecond.so.1",))
    yield Broken(name="library-beside", root=root, tree=(second, lib), subject="/app/libtop.so", kind="library")


def _extra(root: str) -> Iterator[Broken]:
    """Libraries that are nowhere."""
    yield Broken(name="unused-needed", root=root, tree=(program(needs=("libnobody.so.3",)),))
    ghost = library("ghost/libgiven.so.1", _GIVEN)
    yield Broken(name="used-and-nowhere", root=root, tree=(ghost, _user(needs=("ghost/libgiven.so.1",))))
    brought = library("bring/libgiven.so.1", _GIVEN)
    use = _user(needs=("bring/libgiven.so.1",))
    yield Broken(name="brought", root=root, tree=(brought, use), brought=("/bring",))
    yield Broken(name="brought-outside", root=root, tree=(brought, use), brought=("/bring",), outside=True)
    second = library("bring/libsecond.so.1", "int second(void) { return 7; }")
    above = library("bring/libgiven.so.1", _SECOND, needs=("bring/libsecond.so.1",))
    yield Broken(name="brought-with-its-own", root=root, tree=(second, above, use), brought=("/bring",))
    lacks = library("bring/libgiven.so.1", "int other(void) { return 7; }")
    lying = (ghost, lacks, _user(needs=("ghost/libgiven.so.1",)))
    yield Broken(name="brought-without-the-symbol", root=root, tree=lying, brought=("/bring",))
    old = library("bring/libgiven.so.1", _GIVEN, versions="GIVEN_1 { given; };")
    new = library("ghost/libgiven.so.1", _GIVEN, versions="GIVEN_1 { }; GIVEN_2 { given; } GIVEN_1;")
    versioned = (new, old, _user(needs=("ghost/libgiven.so.1",)))
    yield Broken(name="brought-without-the-version", root=root, tree=versioned, brought=("/bring",))


def _start(root: str) -> Iterator[Broken]:
    """Programs that the kernel does not start."""
    yield Broken(name="not-executable", root=root, tree=(program(), Mode("app/main", 0o644)))
    yield Broken(name="no-such-interpreter", root=root, tree=(program(interpreter="/lib/ld-nowhere.so.1"),))
    if root not in _OLD:  # the compilers' C libraries are newer
        own = program(source=_LIBC, interpreter="/opt/vendor/ld.so", libc="own" if root.startswith("musl") else "gnu")
        yield Broken(name="own-interpreter", root=root, tree=(own,), prints="hello")
    yield Broken(name="nix-interpreter", root=root,
                 tree=(program(interpreter="/nix/store/abc-glibc-2.40/lib/ld-linux-x86-64.so.2"),))  # fmt: skip
    yield Broken(name="outside-interpreter", root=root, outside=True,
                 tree=(program(interpreter="/opt/vendor/ld.so"),))  # fmt: skip


def _scripts(root: str) -> Iterator[Broken]:
    """Scripts; the small roots of musl have no shell."""
    bodies = {
        "script-cr": "#!/bin/sh\r\nexit 0\r\n",
        "script-bom": "\ufeff#!/bin/sh\nexit 0\n",
        "script-bad-interpreter": "#!/usr/local/bin/sh\nexit 0\n",
        "script-env-cr": "#!/usr/bin/env sh\r\nexit 0\r\n",
        "script-no-such-perl": "#!/usr/local/bin/perl\nexit 0;\n",
        "script-env-options": "#!/usr/bin/env sh -e\nexit 0\n",
    }
    for name, text in bodies.items():
        yield Broken(name=name, root=root, tree=(Text("app/main", text), Mode("app/main", 0o755)))
    yield Broken(name="script-not-executable", root=root, tree=(Text("app/main", "#!/bin/sh\nexit 0\n"),))


def _stack(root: str) -> Iterator[Broken]:
    """Libraries that want an executable stack."""
    given = library("app/libgiven.so.1", _GIVEN, flags=("-Wl,-z,execstack",))
    use = _user(needs=("app/libgiven.so.1",), runpath="$ORIGIN")
    yield Broken(name="execstack", root=root, tree=(given, use), subject="/app/libgiven.so.1", kind="library")


_CXX = """
#include <string>
#include <vector>
#include <iostream>
#include <stdexcept>
int main(int count, char **)
{ std::vector<std::string> words(count, "word");
  try { words.at(9); } catch (std::out_of_range &error) { std::cout << "caught" << std::endl; return words.size() - 1; }
  return 9; }
"""
_OPENMP = """
#include <omp.h>
#include <stdio.h>
int main(void) { int sum = 0;
_Pragma("omp parallel for reduction(+:sum)") for (int i = 0; i < 100; i++) sum += i;
printf("%d\\n", sum); return sum != 4950 || omp_get_max_threads() < 1; }
"""
_ATOMIC = """
#include <stdatomic.h>
struct wide { long a, b, c; };
_Atomic struct wide held;
int main(int count, char **words)
{ struct wide one = {count, 2, 3}; atomic_store(&held, one); return atomic_load(&held).b - 2; }
"""
_QUAD = "#include <quadmath.h>\nint main(int count, char **words) { return (int)sqrtq(count) - 1; }"


def _runtime(root: str) -> Iterator[Broken]:
    """What a compiler's runtime libraries bring, in a root without them and with a repository of their packages."""
    for name, source, flag, package, prints in (
        ("openmp", _OPENMP, "-fopenmp", "libgomp1", "4950"),
        ("atomic", _ATOMIC, "-latomic", "libatomic1", ""),
        ("quadmath", _QUAD, "-lquadmath", "libquadmath0", ""),
    ):
        tree = (program(source=source, flags=(flag,), libc="gnu"),)
        purged = (package,) if package == "libgomp1" else ()
        yield Broken(name=name, root=root, tree=tree, prints=prints, purged=purged, at_hand=(package,))
        yield Broken(name=f"{name}-by-heart", root=root, tree=tree, prints=prints, purged=purged)


def _no_cxx(root: str) -> Iterator[Broken]:
    """A root whose C++ library is gone, and with it what its package manager needs."""
    cxx = program(source=_CXX, flags=("-xc++", "-lstdc++"), libc="gnu")
    lib = "/usr/lib/x86_64-linux-gnu"
    yield Broken(name="no-libstdcxx", root=root, tree=(cxx,), prints="caught", away=(f"{lib}/libstdc++.so.6",))
    of_gcc = lib.removeprefix("/usr") if root.startswith("bullseye") else lib
    yield Broken(name="no-libgcc", root=root, tree=(cxx,), prints="caught", away=(f"{of_gcc}/libgcc_s.so.1",))


_PROGRAMS = {
    "jq": ("jq", ("--version",)),
    "sqlite3": ("sqlite3", ("-version",)),
    "file": ("file", ("--help",)),
    "curl": ("curl", ("--version",)),
    "bc": ("bc", ("--version",)),
    "psql": ("postgresql-client-{pg}", ("--version",)),
    "rsync": ("rsync", ("--version",)),
    "gawk": ("gawk", ("--version",)),
    "htop": ("htop", ("--version",)),
    "gpg": ("gpg", ("--version",)),
    "wget": ("wget", ("--version",)),
    "lua5.4": ("lua5.4", ("-v",)),
}
_WHERE = {"psql": "/usr/lib/postgresql/{pg}/bin/psql"}
_POSTGRES = {"bookworm": "15", "trixie": "17", "bullseye": "13"}


def _programs(root: str) -> Iterator[Broken]:
    """Real programs of the root's own release, unpacked without what they depend on."""
    suite = root.partition("-")[0]
    pg = _POSTGRES[suite]
    for name, (package, arguments) in _PROGRAMS.items():
        yield Broken(
            name=f"program-{name}",
            root=root,
            tree=(Package(package.format(pg=pg)),),
            subject=_WHERE.get(name, f"/usr/bin/{name}").format(pg=pg),
            arguments=arguments,
            at_hand=(package.format(pg=pg),),
        )


_LIBRARIES = {
    "bookworm": {
        "libssl3": "libssl.so.3",
        "libsqlite3-0": "libsqlite3.so.0",
        "libpng16-16": "libpng16.so.16",
        "libgfortran5": "libgfortran.so.5",
        "libglib2.0-0": "libglib-2.0.so.0",
        "libyaml-0-2": "libyaml-0.so.2",
        "libexpat1": "libexpat.so.1",
        "libncurses6": "libncurses.so.6",
    },
    "trixie": {
        "libsqlite3-0": "libsqlite3.so.0",
        "libpng16-16t64": "libpng16.so.16",
        "libgfortran5": "libgfortran.so.5",
        "libglib2.0-0t64": "libglib-2.0.so.0",
        "libexpat1": "libexpat.so.1",
    },
}


def _libraries(root: str) -> Iterator[Broken]:
    """Programs that need a library of a package of which the root has a repository."""
    for package, soname in _LIBRARIES[root.partition("-")[0]].items():
        tree = (program(needs=(soname,)),)
        yield Broken(name=f"library-{package}", root=root, tree=tree, at_hand=(package,))


def _foreign(root: str) -> Iterator[Broken]:
    """Programs of another libc or architecture."""
    tree = (program(source=_LIBC, arch="i386", interpreter="/lib/ld-linux.so.2", libc="gnu"),)
    yield Broken(name="i386", root=root, tree=tree)


def _musl_lacks(root: str) -> Iterator[Broken]:
    """What musl does not have."""
    glibc = program(source=_LIBC, libc="gnu", interpreter="/lib64/ld-linux-x86-64.so.2")
    yield Broken(name="glibc-program", root=root, tree=(glibc,), prints="hello")
    cxx = program(needs=("libstdc++.so.6", "libgcc_s.so.1"))
    yield Broken(name="no-libstdcxx", root=root, tree=(cxx,))
    for name, declared, call in (
        ("chk", "int __printf_chk(int, const char *, ...);", '__printf_chk(1, "hello\\n") - 6'),
        ("isoc23", "long __isoc23_strtol(const char *, char **, int);", '__isoc23_strtol("0", 0, 10)'),
        ("nobody", "int a_name_of_nobody(void);", "a_name_of_nobody()"),
    ):
        function = declared.partition("(")[0].rpartition(" ")[2]
        ghost = library("ghost/libc.so", f"void {function}(void) {{}}", soname="libc.musl-x86_64.so.1")
        source = f"#include <stdio.h>\n{declared}\nint main(void) {{ int n = {call}; fflush(stdout); return n; }}"
        user = program(source=source, libc="own", needs=("ghost/libc.so",), flags=("-fno-builtin",))
        yield Broken(name=f"missing-{name}", root=root, tree=(ghost, user), prints="hello" if name == "chk" else "")


def _too_new(root: str) -> Iterator[Broken]:
    """Programs that were built where glibc is newer than the root's."""
    for name, call, version in (
        ("dlopen", "#include <dlfcn.h>\nint main(int c, char **w) { return c > 5 && dlopen(w[0], 1) != 0; }", "2.34"),
        ("start", _LIBC, "2.34"),
    ):
        yield Broken(name=f"too-new-{name}-{version}", root=root, tree=(program(source=call, libc="gnu"),))
    yield Broken(name="too-new-cxx", root=root, prints="caught",
                 tree=(program(source=_CXX, flags=("-xc++", "-lstdc++"), libc="gnu"),))  # fmt: skip


def _corpus(root: str) -> Iterator[Broken]:
    """Real libraries of wheels and npm packages."""
    yield Broken(name="esbuild-not-executable", root=root, tree=(Corpus("app", "esbuild-linux-x64"),
                 Mode("app/bin/esbuild", 0o644)), subject="/app/bin/esbuild", arguments=("--version",))  # fmt: skip


def _few(root: str) -> Iterator[Broken]:
    yield from _search(root)
    yield from _extra(root)
    yield from _start(root)


def many() -> Iterator[Broken]:
    """Yield every broken pair."""
    for root in _EVERYWHERE:
        yield from _few(root)
    for root in GLIBC:
        yield from _scripts(root)
        yield from _stack(root)
        yield from _no_cxx(root)
        yield from _foreign(root)
    for root in _GLIBC_NEW:
        yield from _runtime(root)
        yield from _libraries(root)
        yield from _programs(root)
    for root in MUSL:
        yield from _musl_lacks(root)
    yield from _too_new("bullseye-amd64")
    yield from _corpus("bookworm-amd64")


def few() -> Iterator[Broken]:
    """Yield the broken pairs that are tried on every change: of each sort some, and none that fetches anything."""
    for root in _BOTH:
        yield from _few(root)
    yield from _scripts("trixie-amd64")
    yield from _no_cxx("trixie-amd64")
    yield from _too_new("bullseye-amd64")
    yield from _musl_lacks("musl-1.2.5-x86_64")
