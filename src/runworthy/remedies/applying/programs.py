"""Package managers and other programs make a change, on this machine or in a root directory, and take it back.

What they change is theirs: the journal holds which packages there were before and after, and it is never called the
same byte by byte.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runworthy.model.edit import InstallPackages, RemovePackages, RunCommand, UnpackPackage, actions, acts_on
from runworthy.model.errors import RemedyError
from runworthy.model.records import dataclass, replace
from runworthy.remedies.applying import kernel
from runworthy.remedies.applying.ground import Ground
from runworthy.remedies.journal import ProgramChange
from runworthy.remedies.managers import CALLS
from runworthy.targets.packages.signature import bears_signature

__all__ = ["carry_out", "changes", "check", "notes", "take_back", "tidy"]

Packages = tuple[tuple[str, str], ...]

_SAID = 4000
_LIMIT = 3600.0
_BLOCK = 1 << 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# No option, and nothing by which apt-get(8) would take a package away ("name-"), or a path.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:~=()\[\]-]*(?<!-)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manager:
    """What is asked of a package manager besides what a person would.

    ``listing`` prints the packages there are, ``parse`` reads that. ``away`` takes exactly the packages away that are
    named, and refuses where others need them; ``insist`` does so even where a system is said to need them, for it did
    without them before; ``exactly`` names a package of one version. ``mend`` ends what was cut off; ``refresh`` fetches
    the lists of packages, which a root may lack.
    """

    away: tuple[str, ...]
    exactly: str
    listing: tuple[str, ...]
    parse: Callable[[str], tuple[str, str] | None]
    mend: tuple[str, ...] = ()
    refresh: tuple[str, ...] = ()
    insist: tuple[str, ...] = ()


def _tabbed(line: str) -> tuple[str, str] | None:
    name, _, version = line.partition("\t")
    return (name, version) if name and version else None


def _of_dpkg(line: str) -> tuple[str, str] | None:
    """Read a line of dpkg-query: its second letter says what is there (dpkg-query(1)); n and c are no package."""
    status, _, rest = line.partition("\t")
    return _tabbed(rest) if status[1:2] not in ("n", "c", "") else None


def _of_apk(line: str) -> tuple[str, str] | None:
    """Read ``name-version-rN``, as apk(8) prints it."""
    parts = line.strip().rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 else None


_MANAGERS: Mapping[str, _Manager] = {
    "apt": _Manager(
        away=("dpkg", "--purge"),
        exactly="{}={}",
        listing=("dpkg-query", "-W", "-f", "${db:Status-Abbrev}\\t${binary:Package}\\t${Version}\\n"),
        parse=_of_dpkg,
        mend=("dpkg", "--configure", "-a"),
        refresh=("apt-get", "-q", "update"),
        insist=("dpkg", "--force-remove-protected", "--purge"),  # libgcc-s1 is protected, of a second architecture too
    ),
    "apk": _Manager(
        away=("apk", "del", "--no-progress"),
        exactly="{}={}",
        listing=("apk", "info", "-v"),
        parse=_of_apk,
        mend=("apk", "fix", "--no-progress"),
        refresh=("apk", "update", "--no-progress"),
    ),
    "dnf": _Manager(
        away=("rpm", "-e"),
        exactly="{}-{}",
        listing=("rpm", "-qa", "--qf", "%{NAME}.%{ARCH}\\t%{VERSION}-%{RELEASE}\\n"),
        parse=_tabbed,
    ),
}


def check(edit: RunCommand | InstallPackages | RemovePackages, ground: Ground) -> None:
    """Raise RemedyError where an edit cannot be made by a program here."""
    if ground.root is None:
        raise RemedyError(
            f"{ground.name or 'the target'} is no root of this machine: it is not possible to {edit.words}"
        )
    if not ground.live and acts_on(edit) == "kernel":
        raise RemedyError(f"{ground.name or 'the target'} has no running kernel: it is not possible to {edit.words}")
    if isinstance(edit, RunCommand):
        if not edit.argv:
            raise RemedyError(f"no command is named to {edit.words}")
    else:
        wrong = next((name for name in edit.names if not _NAME.fullmatch(name)), None)
        if edit.manager not in _MANAGERS or not edit.names or wrong is not None:
            what = f"`{wrong}` is no name of a package" if wrong is not None else f"{edit.manager} cannot be used"
            raise RemedyError(f"it is not possible to {edit.words}: {what}")
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        raise RemedyError(f"only root can {edit.words}", hint="run it as root, as with sudo")


def changes(edit: Any, ground: Ground) -> Iterator[ProgramChange]:  # noqa: ANN401 - one that check took
    """Yield what an edit comes to. Raises RemedyError, OSError."""
    root = os.path.realpath(ground.root or "/")
    if isinstance(edit, RunCommand):
        every = actions(edit.effects)
        back = kernel.back_lines(every) if not edit.undo and every and acts_on(edit) == "kernel" else ()
        yield ProgramChange(words=edit.words, root=root, argv=edit.argv, undo=edit.undo, back=back)
        return
    installs = isinstance(edit, InstallPackages)
    call = CALLS[edit.manager]
    argv = call.unattended(edit.names, install=installs)
    archives: tuple[tuple[str, str, str], ...] = ()
    held = edit.archives if installs else ()
    unsigned = bool(call.unsigned) and not all(bears_signature(one.archive) for one in held)
    # What the manager is told to take unsigned it takes for all: what it was to check itself is left to it.
    if held and not (unsigned and any(one.vouched == "signed" for one in held)):
        archives = _named(held, call.suffix)
        argv = call.from_files([f"./{name}" for name, _, _ in archives], unsigned=unsigned)
    yield ProgramChange(
        words=edit.words,
        root=root,
        argv=argv,
        manager=edit.manager,
        before=_packages(edit.manager, root),
        archives=archives,
    )


def carry_out(change: ProgramChange, place: str) -> ProgramChange:
    """Run the program, and return the change with what came of it. Raises RemedyError, OSError.

    ``place`` is a directory in which copies of package files lie while a package manager installs them. It is made and
    removed; where this is cut off, :func:`tidy` removes it.
    """
    with _laid_out(change, place) as directory:
        code, said = _run(change.root, change.argv, directory=directory)
    refresh = _MANAGERS[change.manager].refresh if change.manager and not change.archives else ()
    if code != 0 and refresh and _run(change.root, refresh)[0] == 0:
        code, said = _run(change.root, change.argv)
    after = _packages(change.manager, change.root) if change.manager else ()
    if code != 0:
        raise RemedyError(f"`{' '.join(change.argv)}` ended with {code}{_end(said)}")
    return replace(change, said=said[-_SAID:], after=after)


def notes(change: ProgramChange) -> list[str]:
    """Return what a person should know of what a package manager did besides."""
    if not change.manager:
        return [] if change.undo or change.back else [f"no command is known that takes this back: {change.words}"]
    _added, _gone, other = _difference(change.before, change.after)
    return [f"{name} was changed from {old} to {new}, which undo does not take back" for name, old, new in other]


def take_back(change: ProgramChange) -> str:
    """Have the change undone by its program; return in words what is left of it. Raises RemedyError, OSError."""
    if change.manager:
        return _packages_back(change)
    if change.back:
        kernel.write_lines(change.back)
        return ""
    if not change.undo:
        return f"no command is known that takes this back: {change.words}"
    code, said = _run(change.root, change.undo)
    return f"`{' '.join(change.undo)}` ended with {code}{_end(said)}" if code else ""


# -- packages --------------------------------------------------------------------------------


def _packages_back(change: ProgramChange) -> str:
    """Remove exactly what came, and install again what went.

    What a person has installed since is no part of it, where the change came to its end.
    """
    manager, root = _MANAGERS[change.manager], change.root
    if not change.after and manager.mend:
        _run(root, manager.mend)
    now = _packages(change.manager, root)
    added, gone, _other = _difference(change.before, change.after or now)
    added = [name for name in added if name in dict(now)]
    gone = [name for name in gone if name not in dict(now)]
    before = dict(change.before)
    said = []
    if added:
        said.append(_away(root, manager, added))
    if gone:
        exact = [manager.exactly.format(name.partition(":")[0], before[name]) for name in gone]
        said.append(_said(root, CALLS[change.manager].unattended(exact, install=True)))
    return "; ".join(filter(None, said))


def _away(root: str, manager: _Manager, names: Sequence[str]) -> str:
    """Have exactly these packages removed; return why they stay, if they do."""
    argv = (*manager.away, *names)
    code, said = _run(root, argv)
    if code and manager.insist and "protected package" in said:
        argv = (*manager.insist, *names)
        code, said = _run(root, argv)
    return f"`{' '.join(argv)}` ended with {code}{_end(said)}" if code else ""


def _said(root: str, argv: Sequence[str]) -> str:
    code, said = _run(root, argv)
    return f"`{' '.join(argv)}` ended with {code}{_end(said)}" if code else ""


def _difference(before: Packages, after: Packages) -> tuple[list[str], list[str], list[tuple[str, str, str]]]:
    """Return the names that came, those that went, and those whose version is another, with both."""
    old, new = dict(before), dict(after)
    other = [(name, old[name], new[name]) for name in old if name in new and old[name] != new[name]]
    return [name for name in new if name not in old], [name for name in old if name not in new], other


def _packages(manager: str, root: str) -> Packages:
    """Return the packages that a manager knows, with their versions. Raises RemedyError."""
    row = _MANAGERS[manager]
    code, said = _run(root, row.listing, apart=True)
    if code != 0:
        raise RemedyError(f"the packages of {root} cannot be listed: `{row.listing[0]}` ended with {code}{_end(said)}")
    return tuple(sorted(pair for line in said.splitlines() if (pair := row.parse(line)) is not None))


# -- files of packages ------------------------------------------------------------------------


def _named(held: Sequence[UnpackPackage], suffix: str) -> tuple[tuple[str, str, str], ...]:
    """Return what the copies of package files are called, with the hash of each, and where it lies now."""
    plain = (re.sub(r"[^A-Za-z0-9+._~-]", "_", one.package) for one in held)
    return tuple(
        (f"{number}-{name}{suffix}", one.sha256, one.archive)
        for number, (name, one) in enumerate(zip(plain, held, strict=True))
    )


@contextlib.contextmanager
def _laid_out(change: ProgramChange, place: str) -> Iterator[str]:
    """Copy the files that are to be installed into a directory of their own. Raises RemedyError, OSError."""
    if not change.archives:
        yield ""
        return
    try:
        # Who may look into the journal is who made it; in a root, apt's own user reads the copies.
        os.mkdir(place)
        os.chmod(place, 0o755)  # noqa: S103 - see above
        for name, digest, source in change.archives:
            _copy(source, digest, os.path.join(place, name))
        yield place
    finally:
        tidy(place)


def _copy(archive: str, digest: str, path: str) -> None:
    """Copy a package file, which has to be the very one that was judged. Raises RemedyError, OSError."""
    from hashlib import sha256

    found = sha256()
    with open(archive, "rb") as source, open(path, "xb") as copy:
        while data := source.read(_BLOCK):
            found.update(data)
            copy.write(data)
        os.chmod(copy.fileno(), 0o644)
    if found.hexdigest() != digest:
        raise RemedyError(f"{archive} has changed since it was judged")


def tidy(place: str) -> None:
    """Remove what copies of package files are left."""
    shutil.rmtree(place, ignore_errors=True)


# -- running ---------------------------------------------------------------------------------


def _run(root: str, argv: Sequence[str], *, apart: bool = False, directory: str = "") -> tuple[int, str]:
    """Return the exit status of a program and what it printed, on stdout where ``apart``. Raises RemedyError.

    ``directory`` is one of this machine in which the program begins, wherever its root is.
    """
    import subprocess

    words = list(argv) if root == "/" else [sys.executable, "-I", "-S", _jail(), root, directory, *argv]
    if root == "/" and shutil.which(argv[0], path=_PATH) is None:
        raise RemedyError(f"`{argv[0]}` is not on this machine")
    environment = {"PATH": _PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    environment |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - the words of a remedy that somebody has allowed
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            env=environment,
            cwd=directory or "/",
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RemedyError(f"`{' '.join(argv)}` did not end within {_LIMIT / 60:.0f} minutes") from error
    return done.returncode, (done.stdout or done.stderr or b"").decode("utf-8", "replace")


def _jail() -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "jail.py")


def _end(said: str) -> str:
    """Return the last line that a program printed, as the rest of a sentence."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""
