"""What a planner knows: the subject in its target, what became of it, and who is to be asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from runworthy.model.binfmt import Handler
from runworthy.model.edit import Edit
from runworthy.model.finding import Approach, Cost, Result
from runworthy.model.program import FileFacts
from runworthy.model.records import dataclass
from runworthy.targets.host import in_container
from runworthy.targets.os_release import family_of, os_release
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["Judge", "Means", "Proposal", "Situation", "System", "exists", "system_of", "taker_of"]

Judge = Callable[[Target, str], Result]
"""Judges the subject again: on a target, by the path at which it lies there, with every step kept."""

Init = Literal["systemd", "openrc", ""]
_SYSTEMD_BINFMT = ("/usr/lib/systemd/systemd-binfmt", "/lib/systemd/systemd-binfmt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a person lets planners use.

    ``scratch`` is a directory of this machine in which files can be made that live as long as the plan. ``packages``
    are files and directories with package indexes or packages, ``builds`` other builds of the subject; ``dockerfile``
    is one that is to be changed. ``network``: the target's configured repositories may be asked. ``allowed`` are the
    names of what is proposed only where somebody asks for it by name.
    """

    scratch: str
    packages: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    dockerfile: str = ""
    network: bool = False
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A subject that fails on a target.

    ``path`` is where it lies in the target, ``file`` what it is (None: an ELF file). ``boot`` returns a target as it
    will be after its next boot; None where the target is none that boots. ``loader`` is the path of an APE loader in
    the target that somebody names, empty where nobody does. ``at_boot``: what the target has for handlers is what its
    files register at boot, so that nothing else counts. ``means`` are what planners may use, None where only what they
    know by heart is asked for. ``settled`` are the keys of causes that somebody else takes care of: a program beside a
    library that has loaded what it misses. ``tree`` is the directory of the target in which the subject lies with all
    that it was given with, empty where it was given alone. ``packed``: it lies in an archive, and stays as it is.
    """

    target: Target
    path: str
    file: FileFacts | None
    result: Result
    judge: Judge
    boot: Callable[[Target], Target] | None = None
    loader: str = ""
    at_boot: bool = False
    means: Means | None = None
    settled: frozenset[str] = frozenset()
    tree: str = ""
    packed: bool = False

    @property
    def name(self) -> str:
        """What the subject is called."""
        return self.result.subject

    @property
    def inside(self) -> bool:
        """Whether the file lies in the target itself, so that it can be changed there."""
        return not self.packed and not self.path.startswith(f"{SUBJECT_ROOT}/")

    @property
    def changeable(self) -> bool:
        """Whether edits of the file mean something: it lies in the target, or somebody carries them out here."""
        return self.inside or self.means is not None

    @property
    def real(self) -> str:
        """Where the subject lies, links followed; the path itself where that leads nowhere."""
        try:
            return self.target.view.resolve(self.path).path
        except (OSError, UnseenError):
            return self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A remedy before it is judged.

    ``stays``: it claims to hold after the next boot. ``path`` is the file that runs in the subject's place, empty where
    it is the subject itself. ``unprovable`` says why nothing here can judge it, empty where it is judged.
    ``last``: it is a last resort. ``target`` is where it is to run in place of the situation's. The other fields are
    those of :class:`~runworthy.model.finding.Remedy`.
    """

    title: str
    edits: tuple[Edit, ...] = ()
    stays: bool = False
    path: str = ""
    unprovable: str = ""
    last: bool = False
    approach: Approach = ""
    cost: Cost = Cost()
    recipe: tuple[str, ...] = ()
    unsafe: str = ""
    target: Target | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What of a target decides how handlers are registered for good.

    ``systemd_binfmt`` is the path of that program, ``family`` the words of os-release that name the distribution and
    those it descends from, ``version`` its VERSION_ID.
    """

    init: Init = ""
    systemd_binfmt: str = ""
    binfmt_support: bool = False
    wsl: bool = False
    container: bool = False
    family: tuple[str, ...] = ()
    version: str = ""


def system_of(target: Target) -> System:
    """Return what a target's files, and what it says of its kernel, tell of it."""
    view = target.view
    program = next((path for path in _SYSTEMD_BINFMT if exists(view, path)), "")
    openrc = exists(view, "/sbin/openrc") or exists(view, "/usr/sbin/openrc")
    release = os_release(view)
    facts = target.machine_facts
    return System(
        init="systemd" if program else "openrc" if openrc else "",
        systemd_binfmt=program,
        binfmt_support=exists(view, "/usr/sbin/update-binfmts"),
        wsl=(facts is not None and "microsoft" in facts.kernel.lower()) or any(map(is_wsl, target.handlers.entries)),
        container=in_container(target),
        family=family_of(release),
        version=release.get("VERSION_ID", ""),
    )


def taker_of(target: Target, result: Result, path: str) -> Handler | None:
    """Return the handler that takes the file at a real path, the subject or one that is executed on the way."""
    for step in result.trace.needs:
        if step.need.kind == "exec-format" and step.need.by == path:
            name = next((probe.path for probe in step.searched if probe.outcome == "takes it"), None)
            return next((one for one in target.handlers.entries if one.name == name), None)
    return None


def is_wsl(handler: Handler) -> bool:
    """Whether a handler is WSL's own, by which it starts Windows programs: its interpreter is no file of the root."""
    return handler.interpreter == "/init" and handler.magic == b"MZ"


def exists(view: FileView, path: str) -> bool:
    """Whether it is known that something lies at a path."""
    try:
        return view.exists(path)
    except UnseenError:
        return False
