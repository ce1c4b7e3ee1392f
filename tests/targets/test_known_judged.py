"""What is known by heart against the real thing: packages that apt installs, and files that Alpine built."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from runworthy.formats.content import FileContent
from runworthy.formats.elf import read_elf
from runworthy.model.edit import InstallPackages
from runworthy.model.elf import ElfFile
from runworthy.model.records import replace
from runworthy.remedies.search import solve
from runworthy.targets.catalogue.record import RecordedExports
from runworthy.targets.names import TargetName
from runworthy.targets.overlay import Overlay
from runworthy.targets.packages.choice import Wanted
from runworthy.targets.packages.known import known_choices
from runworthy.targets.packages.recorded import recorded
from tests.judges.roots import lacking, requires, requires_corpus, requires_tool
from tests.remedies.made import situation
from tests.targets.known_script import build_known_packages

pytestmark = pytest.mark.judge
MUSL = "/lib/ld-musl-x86_64.so.1"
ROOTS = {"bullseye-amd64": "debian:11", "bookworm-amd64": "debian:12", "trixie-amd64": "debian:13"}
SUITES = {"bullseye": "11", "bookworm": "12", "trixie": "13"}


def read(path: Path) -> ElfFile:
    return read_elf(FileContent(str(path), path.stat().st_size))


def rows(held: ElfFile) -> frozenset[str]:
    exports = held.exports()
    if not isinstance(exports, RecordedExports):
        return build_known_packages.rows_of(exports)
    texts = ((name.decode("utf-8", "surrogateescape"), node, default) for name, node, default in exports.references())
    found = (
        name if node is None else f"{name}{'@@' if default else '@'}{node}"
        for name, node, default in texts
        if name != node
    )
    return frozenset(found)


# -- Alpine's own files, out of wheels -------------------------------------------------------------


@pytest.mark.parametrize("wheel", ["numpy-musllinux-x86_64", "scipy-musllinux-x86_64", "pyarrow-musllinux-x86_64"])
def test_alpine_built_libraries_export_what_is_recorded(wheel: str) -> None:
    folder = requires_corpus(wheel)
    releases = {build: f"alpine:{name}" for name, build in build_known_packages.ALPINE.items()}
    compared = 0
    for path in sorted(folder.glob("*.libs/lib*")):
        soname = build_known_packages.RUNTIME.get(path.name.partition("-")[0])
        comment = re.search(rb"GCC: \(Alpine ([^)]+)\)", path.read_bytes())
        if soname is None or comment is None:
            continue
        held = read(path)
        system = releases[comment[1].decode()]
        known = recorded(soname, "x86_64", system)
        assert rows(known) == rows(held), path.name
        # musl looks at nothing but the default names.
        assert known.exports().default == {name for name in held.exports().default if name.decode() not in _nodes(held)}
        assert len(known.facts.needed) == len(held.facts.needed)
        compared += 1
    assert compared


def _nodes(held: ElfFile) -> set[str]:
    return {row.name for row in held.facts.version_defs}


FOR_MUSL = r"""
extern char wanted __asm__("{symbol}");
char *held = &wanted;
int main(void) {{ return held == 0; }}
"""


@pytest.mark.parametrize(
    ("soname", "symbol", "runs"),
    [
        ("libgcc_s.so.1", "_Unwind_Resume", True),
        ("libgcc_s.so.1", "_Unwind_Resume_ever", False),
        ("libstdc++.so.6", "_ZNSt6localeC1Ev", True),
        ("libstdc++.so.6", "_ZSt28__throw_bad_array_new_lengthv", True),
        ("libstdc++.so.6", "_ZNKSt6chrono4tzdb12current_zoneEv", True),
        ("libstdc++.so.6", "_ZSt21ios_base_library_initv", False),  # Debian's of that release has it
    ],
)
def test_musl_runs_with_alpines_files_what_is_proved_for_them(
    *,
    soname: str,
    symbol: str,
    runs: bool,
    tmp_path: Path,
) -> None:
    """The wheel's files are those of Alpine 3.20, under names of their own."""
    bundled = requires_corpus("pyarrow-musllinux-x86_64") / "pyarrow.libs"
    loader = requires("musl-1.2.5-x86_64").path / MUSL[1:]
    requires_tool("musl-gcc", package="musl-tools")
    libraries = tmp_path / "lib"
    libraries.mkdir()
    (libraries / "libc.musl-x86_64.so.1").symlink_to(loader)
    for path in bundled.glob("lib*"):
        shutil.copy(path, libraries)
        own = build_known_packages.RUNTIME.get(path.name.partition("-")[0])
        if own is not None:
            assert b"Alpine 13.2.1_git20240309" in path.read_bytes()
            (libraries / own).symlink_to(path.name)
    program = tmp_path / "app"
    (tmp_path / "app.c").write_text(FOR_MUSL.format(symbol=symbol))
    stub = tmp_path / soname  # what it is linked with has every name, as a build machine's may have
    asked = f"-Wl,-soname,{soname}"
    (tmp_path / "stub.c").write_text(f'char stub __asm__("{symbol}");')
    for words in (["-shared", "-fPIC", asked, "-o", stub, "stub.c"], ["-fPIC", "-pie", "-o", program, "app.c", stub]):
        subprocess.run(["musl-gcc", *map(str, words)], cwd=tmp_path, check=True, timeout=60)

    done = subprocess.run([loader, "--library-path", libraries, program], capture_output=True, check=False, timeout=60)
    assert (done.returncode == 0) == runs, done.stderr
    assert (symbol.encode() in done.stderr) == (not runs)

    target = TargetName(text="alpine:3.20").open(read(program).facts.architecture)
    overlay = Overlay(target.view)
    overlay.add_file("/opt/app", program.read_bytes())
    # musl-gcc names musl by the name that its own distribution has for it.
    overlay.add_link("/lib/libc.so", MUSL)
    found = solve([situation(replace(target, view=overlay), "/opt/app")])
    assert [one.proved for one in found] == [runs]
    assert [edit.names for one in found for edit in one.edits if isinstance(edit, InstallPackages)] == [
        ("libgcc",) if soname == "libgcc_s.so.1" else ("libstdc++",)
    ]


# -- Debian's packages, really installed -----------------------------------------------------------

INSTALL = r"""
mount -t tmpfs none "$1"
cd "$1"
mkdir up work root
mount -t overlay -o "lowerdir=$2,upperdir=up,workdir=work" overlay root
cp -L /etc/resolv.conf root/etc/resolv.conf
mkdir -p root/var/log/apt root/var/lib/apt/lists/partial root/var/cache/apt/archives/partial
mount -t proc proc root/proc
mount --rbind /dev root/dev
cp "$3" root/subject/app
chroot root /subject/app && exit 90
chroot root apt-get -qq -o Acquire::Languages=none update || exit 91
shift 3
chroot root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" >&2 || exit 91
chroot root /subject/app
for soname in $LIBRARIES; do
    mkdir -p "$OUT"
    cp -L "root/usr/lib/x86_64-linux-gnu/$soname" "$OUT/$soname" 2>/dev/null ||
        cp -L "root/lib/x86_64-linux-gnu/$soname" "$OUT/$soname"
done
"""
LIBRARIES = ("libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "libgomp.so.1", "libatomic.so.1")
PROGRAM = r"""
#include <stdatomic.h>
typedef struct { long a, b; } pair;
static _Atomic pair held;
void _exit(int);
static int work(void)
{
    int sum = 0;
    #pragma omp parallel for reduction(+:sum)
    for (int i = 0; i < 10; i++) sum += i;
    pair one = { 1, 2 };
    atomic_store(&held, one);
    return sum != 45 || atomic_load(&held).b != 2;
}
/* No start files: those of a newer glibc than the root's would not run there. */
__attribute__((force_align_arg_pointer)) void _start(void) { _exit(work()); }
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ROOTS)
def test_what_apt_installs_is_what_was_foretold(name: str, tmp_path: Path) -> None:
    lower, system = requires(name).path, ROOTS[name]
    source, program, scratch, out = (tmp_path / part for part in ("app.c", "app", "scratch", "out"))
    source.write_text(PROGRAM)
    scratch.mkdir()
    compiler = ["gcc", "-nostartfiles", "-fopenmp", "-o", str(program), str(source), "-latomic"]
    subprocess.run(compiler, check=True, timeout=60)
    target = TargetName(text=system).open(read(program).facts.architecture)
    choices = [
        known_choices(target, Wanted(kind="library", name=one, arch=target.arch))[0]
        for one in ("libgomp.so.1", "libatomic.so.1")
    ]
    assert all(one.known for one in choices)
    packages = [package for one in choices for package in one.names]
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", INSTALL, "sh"]
    done = subprocess.run(
        [*words, str(scratch), str(lower), str(program), *packages],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OUT": str(out), "LIBRARIES": " ".join(LIBRARIES)},
        stdout=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert done.returncode != 90, "it ran before anything was installed"
    if done.returncode == 91:
        lacking("the Debian archive cannot be reached")
    assert done.returncode == 0, "it does not run after the installation"
    for soname in LIBRARIES:
        real, known = read(out / soname), recorded(soname, "x86_64", system)
        assert rows(known) == rows(real), soname
        assert set(known.facts.needed) == set(real.facts.needed), soname


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_the_table_says_what_debian_says(suite: str) -> None:
    """Every row of a release is in Debian's own list of files."""
    url = f"{build_known_packages.mirror_of_this_machine()}/dists/{suite}/main/Contents-amd64.gz"
    try:
        with urllib.request.urlopen(url, timeout=300) as answer, gzip.open(answer, "rt", encoding="utf-8") as lines:  # noqa: S310 - the archive of this machine
            told = set(build_known_packages.debian_rows(lines, "x86_64-linux-gnu"))
    except urllib.error.URLError:
        lacking("the Debian archive cannot be reached")
    target = TargetName(text=f"debian:{SUITES[suite]}/amd64").open(None)
    known: dict[str, str] = {}
    for name, _ in told:
        wanted = Wanted(kind="path" if name.startswith("/") else "library", name=name, arch=target.arch)
        for one in known_choices(target, wanted):
            known[name] = one.names[0]
    # What is in other packages on other architectures is left out of the table.
    assert {(name, package) for name, package in told if name in known} == set(known.items())
    assert len(known) > 250
    assert len(told) - len(known) < 3
