"""Several packages of one project: a package of npm and those that it takes for one platform each.

Source: @npmcli/arborist ``build-ideal-tree.js`` and ``optional-set.js``: every optional dependency whose ``os``, ``cpu``
and ``libc`` do not fit is left out, and nothing is said. The package's own code then asks for the one for its platform
by name, and fails at its first use where that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from runworthy.model.layout import Choice, Claim, Layout, Platform
from runworthy.model.trace import Answer, Event, Probe, Step
from runworthy.simulate.layout.npm import accepts
from runworthy.simulate.layout.words import fits, layout_need, layout_step, platform_words

__all__ = ["choose_among"]

Reading = Callable[[str], Claim]
"""Returns what a name says that a thing is for: ``formats.layout.claims.claim_of``."""


def choose_among(packages: Mapping[str, Layout], platform: Platform, reading: Reading) -> Choice:
    """Return which of several packages of npm are installed on a platform. ``packages`` are by the names of their files.

    Those that no other of them depends on are what is installed; of the others npm takes those that fit.
    """
    held = {layout.name: file for file, layout in packages.items() if layout.npm is not None}
    taken: set[str] = set()
    among: set[str] = set()
    steps: list[Step | Event] = []
    for layout in packages.values():
        for names in _families(layout, reading):
            files = {held[name]: packages[held[name]] for name in names if name in held}
            among |= set(files)
            fitting = [file for file, one in files.items() if one.npm is not None and accepts(one.npm, platform)]
            taken |= set(fitting)
            steps.append(_step(layout, names, held, fitting, packages, platform, reading))
            steps += _left_out(files, fitting, platform)
    return Choice(among=frozenset(among), taken=frozenset(taken), steps=tuple(steps))


def _families(layout: Layout, reading: Reading) -> list[list[str]]:
    """Return the optional dependencies that are builds of one thing each: their names say for which platform."""
    families: dict[str, list[str]] = {}
    for name in layout.npm.optional if layout.npm else ():
        claim = reading(name)
        if claim.system and claim.arch:
            families.setdefault(_stem(name, claim), []).append(name)
    return [names for names in families.values() if len(names) > 1]


def _stem(name: str, claim: Claim) -> str:
    """Return what is before the system in a name: ``@img/sharp-libvips-`` of ``@img/sharp-libvips-linuxmusl-x64``."""
    scope, slash, last = name.rpartition("/")
    words = last.split("-")
    known = next((at for at, word in enumerate(words) if _is_system(word, claim)), len(words))
    return f"{scope}{slash}{'-'.join(words[:known])}"


_SYSTEM_WORDS = ("linuxmusl", "linux", "darwin", "macos", "osx", "win32", "windows", "webcontainers", "wasi", "sunos")


def _is_system(word: str, claim: Claim) -> bool:
    return word in _SYSTEM_WORDS or word == claim.system


def _step(
    layout: Layout,
    names: Sequence[str],
    held: Mapping[str, str],
    fitting: Sequence[str],
    packages: Mapping[str, Layout],
    platform: Platform,
    reading: Reading,
) -> Step:
    """Return whether one of a family is there for the platform."""
    need = layout_need(layout, "build", f"{layout.name} ({_common(names)}*)")
    if fitting:
        probes = [Probe(path=packages[file].name, origin=file, outcome="taken") for file in fitting]
        return layout_step(need, Answer.MET, met_by=fitting[0], searched=probes)
    named = [name for name in names if fits(reading(name), platform) and name not in held]
    if named:
        probes = [Probe(path=name, origin="its name", outcome="not given") for name in named]
        detail = "the package for it was not given"
        return layout_step(need, Answer.UNKNOWN, searched=probes, why="not-modelled", detail=detail)
    probes = [Probe(path=name, origin="optional dependency", outcome="another platform") for name in names]
    return layout_step(need, Answer.UNMET, searched=probes, detail=f"there is none for {platform_words(platform)}")


def _common(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:length]


def _left_out(files: Iterable[str], fitting: Sequence[str], platform: Platform) -> list[Event]:
    left = [file for file in files if file not in fitting]
    text = f"npm leaves out {', '.join(left)} on {platform.target}"
    return [Event(stage="environment", kind="left-out", text=text)] if left else []
