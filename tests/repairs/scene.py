"""A broken pair in the flesh: a root of its own for each trial, in which the subject is really started."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from tests.cases.build import Builder
from tests.cases.recipe import Case, program
from tests.judges import qemu, roots
from tests.judges.process import Jail, Outcome
from tests.judges.qemu import Emulator
from tests.judges.roots import Root
from tests.repairs.broken import Broken, Corpus, Package
from tests.repairs.repository import Repository

__all__ = ["Ending", "Scene", "Scenes", "Tree", "private_mounts", "tree_of"]

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x00020000, 0x4000, 0x40000, 2
_libc = ctypes.CDLL(None, use_errno=True)

_DLOPEN = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **words)
{ if (dlopen(words[1], RTLD_LAZY | RTLD_GLOBAL)) return 0; puts(dlerror()); return 1; }
"""
_PERL = "require DynaLoader; DynaLoader::dl_load_file($ARGV[0], 1) or die DynaLoader::dl_error();"

Tree = Mapping[str, tuple[object, ...]]
"""Path -> all that can be seen of what lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a subject ended that was really started, and whether that is how it should."""

    ran: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A root in a directory, with a broken pair in it. ``outside`` is the directory with the tree, if it lies apart."""

    root: Root
    outside: Path | None = None

    def given(self, path: str) -> Path:
        """Return a path of the tree as it is called on this machine."""
        return (self.outside or self.root.path) / path.lstrip("/")

    def inside(self, path: str) -> str:
        """Return a path of the tree as it is called by who runs in the root."""
        return str(self.outside / path.lstrip("/")) if self.outside else path


def private_mounts() -> None:
    """Give this process mounts of its own: what it mounts vanishes with it, however it ends. Raises OSError."""
    for done in (_libc.unshare(_CLONE_NEWNS), _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)):
        if done != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


class Scenes:
    """Makes scenes below one directory; what was compiled or fetched once is used again."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._builder = Builder(top / "built")
        self._repository = Repository(top / "repository")
        self._layers: dict[str, Path] = {}

    @contextmanager
    def made(self, broken: Broken, *, root: str = "") -> Iterator[Scene]:
        """Return a root of its own with the broken pair in it; with ``root`` the pair's tree in another one."""
        base = roots.requires(root or broken.root)
        with tempfile.TemporaryDirectory(prefix="scene-", dir=self._top) as scratch, ExitStack() as closing:
            top = Path(scratch)
            top.chmod(0o755)
            path = top / "root"
            path.mkdir(mode=0o755)
            layers = self._below(base, broken) if not root else [base.path]
            tree = self._tree(broken)
            if broken.outside:
                subprocess.run(["cp", "-a", f"{tree}/.", top / "given"], check=True)
            else:
                layers = [tree, *layers]
            if base.libc == "musl":  # small enough to be copied: on the file system itself, no layer in between
                for layer in reversed(layers):
                    subprocess.run(["cp", "-a", f"{layer}/.", path], check=True)
                for gone in broken.away if not root else ():
                    (path / gone.lstrip("/")).unlink()
            else:
                _overlay(path, layers, top)
                closing.callback(_libc.umount2, os.fsencode(path), _MNT_DETACH)
                (path / "var/log/apt").mkdir(parents=True, exist_ok=True)  # apt wants it, and setup.sh prunes it
            yield Scene(root=replace(base, path=path), outside=top / "given" if broken.outside else None)

    def _tree(self, broken: Broken) -> Path:
        """Return the directory with the tree of a broken pair."""
        path = self._top / "trees" / broken.root / broken.name
        if not path.exists():
            made = path.with_name(f".{path.name}")
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            steps = tuple(step for step in broken.tree if not isinstance(step, (Corpus, Package)))
            case = Case(name=broken.name, proves="", tree=steps, truths=())
            for step in broken.tree:
                if isinstance(step, Corpus):
                    shutil.copytree(roots.requires_corpus(step.name), made / step.at, symlinks=True, dirs_exist_ok=True)
                elif isinstance(step, Package):
                    self._repository.unpack(_suite(broken.root), step.name, made)
            self._builder.lay(case, roots.requires(broken.root), made)
            made.rename(path)
        return path

    def _below(self, base: Root, broken: Broken) -> list[Path]:
        """Return the directories below the tree: the root, with what was taken away from it and put into it."""
        if base.libc == "musl" or not (broken.away or broken.purged or broken.at_hand):
            return [base.path]
        key = sha256(repr((base.name, broken.away, broken.purged, broken.at_hand)).encode()).hexdigest()[:16]
        if key not in self._layers:
            work = Path(tempfile.mkdtemp(prefix=f"layer-{key}-", dir=self._top))
            (work / "root").mkdir()
            upper = _overlay(work / "root", [base.path], work)
            try:
                if broken.purged:
                    purge = ["dpkg", f"--root={work / 'root'}", "--purge", "--force-depends", *broken.purged]
                    subprocess.run(purge, check=True, capture_output=True)
                for gone in broken.away:
                    (work / "root" / gone.lstrip("/")).unlink()
                if broken.at_hand:
                    self._repository.put(_suite(base.name), broken.at_hand, work / "root")
            finally:
                _libc.umount2(os.fsencode(work / "root"), _MNT_DETACH)
            self._layers[key] = upper
        return [self._layers[key], base.path]

    # -- running -----------------------------------------------------------------------------------------------

    def run(self, broken: Broken, scene: Scene, subject: str = "") -> Ending:
        """Start the subject of a scene, or the file ``subject`` of its root in its place."""
        root = scene.root
        binds = dict(qemu.binds_for(root))
        if scene.outside is not None:
            binds[str(scene.outside)] = scene.outside
        subject = subject or scene.inside(broken.subject)
        argv = [subject, *broken.arguments]
        if broken.kind == "library" and root.libc == "musl":
            binds["/judge/dlopen"] = self._opener(root)
            argv = ["/judge/dlopen", subject]
        elif broken.kind == "library":
            argv = ["/usr/bin/perl", "-e", _PERL, subject]
        emulator = Emulator.for_root(root)
        with Jail(root.path, binds=binds) as jail:
            said = jail.run(emulator.command(argv, {}) if emulator else argv, env={"PATH": "/usr/bin:/bin"}, timeout=60)
        wanted = broken.code if broken.kind == "program" else 0
        ran = said.rc == wanted and broken.prints in said.stdout
        return Ending(ran=ran, words=_words(said))

    def _opener(self, root: Root) -> Path:
        """Return a program that loads a library."""
        made = self._top / "openers" / root.name
        if not made.exists():
            made.mkdir(parents=True)
            step = program("opener", _DLOPEN, libc="own", interpreter=root.loader)
            self._builder.lay(Case(name="opener", proves="", tree=(step,), truths=()), root, made)
        return made / "opener"


def _words(said: Outcome) -> str:
    if said.errno is not None:
        return os.strerror(said.errno)
    lines = [line for line in (said.stderr + said.stdout).splitlines() if line.strip()]
    return f"{said.rc}" + (f": {lines[0][:200]}" if lines else "")


def _suite(root: str) -> str:
    return root.partition("-")[0]


def _overlay(path: Path, layers: list[Path], scratch: Path) -> Path:
    """Mount directories over one another, the first on top, and return the one that takes what is written."""
    upper, work = scratch / "upper", scratch / "work"
    upper.mkdir(mode=0o755)
    work.mkdir()
    options = f"lowerdir={':'.join(map(str, layers))},upperdir={upper},workdir={work}"
    if _libc.mount(b"overlay", os.fsencode(path), b"overlay", 0, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return upper


def tree_of(top: Path) -> Tree:
    """Return all that can be seen of a directory and of what lies below it, each link by itself."""
    found: dict[str, tuple[object, ...]] = {}
    for above, directories, files in os.walk(top):
        for name in (".", *directories, *files) if above == str(top) else (*directories, *files):
            path = os.path.join(above, name)
            held = os.lstat(path)
            xattrs = {
                one: os.getxattr(path, one, follow_symlinks=False)
                for one in os.listxattr(path, follow_symlinks=False)
                if not one.startswith("trusted.overlay.")
            }
            data: object = None
            if stat.S_ISLNK(held.st_mode):
                data = os.readlink(path)
            elif stat.S_ISREG(held.st_mode):
                with suppress(OSError):
                    data = sha256(Path(path).read_bytes()).hexdigest()
            times = (held.st_mtime_ns,)
            found[os.path.relpath(path, top)] = (
                held.st_mode, held.st_uid, held.st_gid, times, tuple(sorted(xattrs.items())), data,
            )  # fmt: skip
    return found
