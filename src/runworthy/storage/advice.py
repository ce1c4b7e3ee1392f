"""Which settings of installers keep copies from coming back, and whether they would work between two places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from runworthy.model.records import dataclass, replace
from runworthy.model.storage import Advice, Cause, Environment, Place, Trial, Waste
from runworthy.storage.causes import Situation
from runworthy.storage.installers import INSTALLERS, first_that_can

__all__ = ["Advised", "advice_of", "setting_for", "with_trials", "works"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """A setting, where it is written, and the first version of the installer that has it where an older one is used.

    ``moves`` says that the cache is to lie at ``cache`` from then on.
    """

    setting: str
    where: str
    cache: str = ""
    since: str = ""
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What is to be done, where, and which version does it without being told."""
        told = f"`{self.setting}` in {self.where}" if self.where else self.setting
        return f"{told}; {self.since} and later do so of their own accord" if self.since else told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """How an installer is told where its cache is, and to link; ``{cache}`` is the directory.

    ``link`` and ``clone`` are empty where nothing tells it. ``under`` is where the cache lies below others.
    """

    name: str
    under: str
    cache: str
    cache_where: str
    link: str = ""
    clone: str = ""
    link_where: str = ""


_UV = _Words(
    cache='cache-dir = "{cache}"',
    cache_where="uv.toml, [tool.uv] of pyproject.toml, or UV_CACHE_DIR",
    link='link-mode = "hardlink"',
    clone='link-mode = "clone"',
    link_where="uv.toml, [tool.uv] of pyproject.toml, or UV_LINK_MODE",
    name="uv",
    under="uv",
)
_RATTLER_CACHE = "PIXI_CACHE_DIR={cache}"
# uv `crates/uv-settings/src/settings.rs`; pixi `crates/pixi_config/src/lib.rs`; conda `base/context.py`;
# pnpm `pnpm/crates/config/src/workspace_yaml.rs`.
_WORDS: Mapping[str, _Words] = {
    "uv": _UV,
    "pixi": _Words(
        cache=_RATTLER_CACHE,
        cache_where="the environment of pixi",
        link="allow-hard-links = true",
        clone="allow-ref-links = true",
        link_where="config.toml of pixi; unset PIXI_NO_HARD_LINKS and PIXI_NO_REF_LINKS",
        name="pixi",
        under="pixi",
    ),
    "rattler": _Words(
        cache="RATTLER_CACHE_DIR={cache}",
        cache_where="the environment of what installs",
        link="allow-hard-links = true",
        clone="allow-ref-links = true",
        link_where="its configuration",
        name="rattler",
        under="rattler",
    ),
    "conda": _Words(
        cache="pkgs_dirs: [{cache}]",
        cache_where=".condarc, or CONDA_PKGS_DIRS",
        link="always_copy: false",
        link_where=".condarc; unset CONDA_ALWAYS_COPY",
        name="conda",
        under="conda/pkgs",
    ),
    "pnpm": _Words(
        cache="storeDir: {cache}",
        cache_where="pnpm-workspace.yaml (store-dir in .npmrc before pnpm 10)",
        link="packageImportMethod: auto",
        clone="packageImportMethod: clone",
        link_where="pnpm-workspace.yaml (package-import-method in .npmrc before pnpm 10)",
        name="pnpm",
        under="pnpm/store",
    ),
}
_WORDS_OF = {**_WORDS, "mamba": _WORDS["conda"], "micromamba": _WORDS["conda"]}
_UV_OF_PIXI = _Words(name="uv", under="pixi", cache=_RATTLER_CACHE, cache_where="the environment of pixi")
_WITHIN: Mapping[tuple[str, str], _Words] = {("uv", "pixi"): _UV_OF_PIXI, ("uv", "magic"): _UV_OF_PIXI}

# What an installer that always copies has to give way to; what else helps there is said of its own arguments alone.
_INSTEAD: Mapping[str, tuple[str, str]] = {
    "pip": ("use uv, which links what it installs", "`uv pip install` takes the same arguments as `pip install`"),
    "poetry": ("use uv, which links what it installs", ""),
    "installer": ("use uv, which links what it installs", ""),
    "npm": ("use pnpm, which links what it installs", "`pnpm import` takes over package-lock.json"),
}
_NO_MAGIC: Mapping[Cause, str] = {
    "other-filesystem": ", and have its cache beside it",
    "bind-mount": ", and have its cache beside it",
    "subvolume": " and makes reflinks",
    "copy-setting": "",
}
_AGAIN = "or run `runworthy dedupe PATH --apply` after each install"


def setting_for(
    cause: Cause, installer: str, version: str, cache: Place | None, environment: Environment | None
) -> Advised | None:
    """Return how an installer would have shared what a cause stored again in an environment, None if it could not."""
    if cause == "copying-installer":
        instead, note = _INSTEAD.get(installer, ("", ""))
        return Advised(setting=instead, where="", notes=tuple(filter(None, (note, _AGAIN)))) if instead else None
    if installer == "magic" and cause in _NO_MAGIC:
        return Advised(setting=f"use pixi, which took the place of magic{_NO_MAGIC[cause]}", where="")
    words = _words_of(installer, environment)
    if words is None or environment is None:
        return None
    if cause in ("other-filesystem", "bind-mount"):
        return _beside(words, environment.place)
    if cause == "subvolume":
        return _clone(words, version) or _beside(words, environment.place, environment.path.rpartition("/")[0])
    if cause == "copy-setting" and words.link:
        return Advised(setting=words.link, where=words.link_where, cache=cache.path if cache else "")
    return None


def _words_of(installer: str, environment: Environment | None) -> _Words | None:
    """Return how an installer is told: uv by pixi and magic where it is they that install wheels by it."""
    within = environment.kind if environment else ""
    return _WITHIN.get((installer, within)) or _WORDS_OF.get(installer)


def _beside(words: _Words, place: Place, top: str = "") -> Advised:
    """Return that the cache is to lie below a directory: the top of the environment's mount, if there is no other."""
    top = top or place.point.rstrip("/")
    at = f"{f'{top}/.cache' if top else '/var/cache'}/{words.under}"
    return Advised(setting=words.cache.format(cache=at), where=words.cache_where, cache=at)


def _clone(words: _Words, version: str) -> Advised | None:
    """Return that reflinks are to be made, which lead from one subvolume to another, where the installer can."""
    if not words.clone:
        return None
    itself = first_that_can(INSTALLERS[words.name], version, "clone")
    return Advised(
        setting=words.clone,
        where=words.link_where,
        since=itself,
        notes=(f"{words.name} does it of its own accord since {itself}",) if itself else (),
    )


# -- advice ----------------------------------------------------------------------------------


def advice_of(
    wastes: Iterable[Waste], situation: Situation, trials: Callable[[str, str], Trial | None]
) -> tuple[Advice, ...]:
    """Return each setting once for a cache and the environments on one mount, what would have spared most first.

    The one of them that has most stored again is told, and tried.

    ``trials`` really makes links from one directory to another, and takes them away; None where it cannot.
    """
    groups: dict[_Once, dict[str, tuple[int, Advice]]] = {}
    for waste in wastes:
        one = _advice(waste, situation)
        if one is not None:
            targets = groups.setdefault(_once(one, situation), {})
            size = targets[one.target][0] if one.target in targets else 0
            targets[one.target] = (size + waste.size, one)
    ranked = sorted(groups.items(), key=lambda item: (-sum(size for size, _ in item[1].values()), item[0]))
    return tuple(_one_of(list(targets.values()), trials) for _, targets in ranked)


_Once = tuple[str, str, str, int]


def _once(advice: Advice, situation: Situation) -> _Once:
    """Return what is the same of advice that is told, and tried, once."""
    mount = situation.environments[advice.target].place.mount
    return advice.installer, advice.setting, advice.source, mount


def with_trials(wastes: Iterable[Waste], advice: Iterable[Advice], situation: Situation) -> tuple[Waste, ...]:
    """Return wastes with whether their settings would work, as far as trials of this advice have shown it."""
    tried = {_once(one, situation): one.works for one in advice}
    told = []
    for waste in wastes:
        own = _advice(waste, situation)
        works = tried.get(_once(own, situation)) if own else None
        told.append(waste if works is None else replace(waste, works=works))
    return tuple(told)


def _one_of(targets: list[tuple[int, Advice]], trials: Callable[[str, str], Trial | None]) -> Advice:
    """Return the advice for the environment that it would have spared most, with what a trial shows."""
    _, advice = min(targets, key=lambda one: (-one[0], one[1].target))
    more = len(targets) - 1
    if more:
        several = "environments" if more > 1 else "environment"
        advice = replace(advice, notes=(*advice.notes, f"the same for {more} more {several} on the same mount"))
    return _tried(advice, trials(advice.source, advice.target) if advice.source else None)


def _advice(waste: Waste, situation: Situation) -> Advice | None:
    environment = situation.environments.get(waste.cause_in)
    if environment is None or environment.is_cache:
        return None
    cache = next((one.place for one in situation.caches if one.path == waste.cache), None)
    advised = setting_for(waste.cause, waste.installer, waste.version, cache, environment)
    if advised is None:
        return None
    return Advice(
        installer=waste.installer,
        setting=advised.setting,
        where=advised.where,
        source=advised.cache or waste.cache,
        target=environment.path,
        works=None,
        version=waste.version,
        since=advised.since,
        notes=advised.notes,
    )


def _tried(advice: Advice, trial: Trial | None) -> Advice:
    if trial is None:
        return advice
    known = INSTALLERS[advice.installer]
    return replace(advice, works=works(trial, clones="clone" in known.ways), trial=_told(trial, advice))


def works(trial: Trial, *, clones: bool) -> bool:
    """Whether an installer would link between the two: by hard links, or by reflinks where it makes such."""
    return not trial.hard or (clones and not trial.clone)


def _told(trial: Trial, advice: Advice) -> str:
    """Return how it went, and where it was tried where a directory is not there yet."""
    hard = f"a hard link is refused ({trial.hard})" if trial.hard else "a hard link works"
    clone = f"a reflink is refused ({trial.clone})" if trial.clone else "a reflink works"
    meant = (trial.source, trial.target) == (advice.source, advice.target)
    return f"{'' if meant else f'tried from {trial.source} to {trial.target}: '}{hard}, {clone}"
