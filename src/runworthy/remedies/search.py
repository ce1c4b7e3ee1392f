"""The search for the cheapest edits that leave nothing unmet: planners propose, the judge says what is left.

A state is what would be if some proposals were carried out. The cheapest state is taken first; its first cause is put
to the planners, and each of their proposals makes another state, once judging again has shown that this cause is gone.
Where no cause is left, the edits of the state are a remedy; where nobody knows an answer, they are one that leaves
something.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count

from runworthy.engine.verdict import known_host_in, weight_of
from runworthy.model.edit import Edit, InstallPackages, SwitchHandlers
from runworthy.model.errors import RunworthyError
from runworthy.model.finding import Approach, Cost, Remedy, Result, Verdict
from runworthy.model.records import dataclass, replace
from runworthy.model.trace import Answer, Step
from runworthy.remedies.judging import applicability, lost
from runworthy.remedies.planners import of_the_whole, proposals_for
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.edits import edited
from runworthy.targets.target import Target

__all__ = ["Limits", "causes", "solve", "step_key"]

_PROVED = "judged again with the edits in place"
_PRICES: dict[Approach, float] = {
    "": 2,
    "configure": 1,
    "patch": 2,
    "handler": 2,
    "install": 3,
    "build": 4,
    "supply": 5,
    "target": 8,
    "rebuild": 100,
}
"""What an approach costs somebody, before its size is counted: how far it reaches beyond the file itself."""
_PARTIAL = 2
"""How many remedies are told that leave something which fails."""
_PER_PACKAGE, _BYTES, _UNSAFE, _LAST, _UNKNOWN_SIZE = 0.5, 32 << 20, 6, 40, 1

_TOGETHER: frozenset[Approach] = frozenset(("install", "supply"))
_MIXED = 4
"""What it costs somebody to look after some libraries, where the others are left to a package manager.

It is not proposed where either alone is proved.
"""

_BY_NAME: dict[type[Edit], str] = {SwitchHandlers: "switch-binfmt-off"}
"""What takes more away than anybody asks for is proposed only to those who name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a search ends: after so many judgements, or when it has found so many remedies that are proved."""

    judgements: int = 120
    remedies: int = 6
    steps: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What would be: ``at`` is the situation that is looked at, all before it have no cause left.

    ``target`` and ``paths`` are where the subjects lie by now, ``result`` is that of the situation ``at``. ``skipped``
    are causes to which nobody has an answer.
    """

    target: Target
    paths: tuple[str, ...]
    at: int
    result: Result
    chain: tuple[Proposal, ...] = ()
    skipped: frozenset[str] = frozenset()


def solve(situations: Sequence[Situation], limits: Limits | None = None) -> tuple[Remedy, ...]:
    """Return the remedies for subjects on one target, best first: proved ones by their price, then the others.

    The situations share their target, in which all of them are placed. None of the remedies is carried out.
    """
    return _Search(situations, limits or Limits()).run() if situations else ()


def causes(result: Result) -> list[tuple[Verdict, Step]]:
    """Return what keeps a subject from running, what is fatal first; consequences of other causes are left out."""
    host = known_host_in(result.trace)
    weighed = [(weight_of(step, known_host=host), step) for step in result.trace.needs if step.because is None]
    order: tuple[Verdict, ...] = ("fails", "unknown", "risky")
    return [pair for verdict in order for pair in weighed if pair[0] == verdict]


class _Search:
    def __init__(self, situations: Sequence[Situation], limits: Limits) -> None:
        self._situations = situations
        self._limits = limits
        self._judgements = 0
        self._found: list[Remedy] = []
        self._partial: list[Remedy] = []
        self._unproved: list[Remedy] = []
        # What is merely risky is left as it is where something else is wrong.
        wrong = any(one.result.verdict in ("fails", "unknown") for one in situations)
        self._asked: tuple[Verdict, ...] = ("fails", "unknown") if wrong else ("fails", "unknown", "risky")

    def run(self) -> tuple[Remedy, ...]:
        """Go on until nothing is left to try, or enough is known."""
        first = self._situations[0]
        paths = tuple(one.path for one in self._situations)
        start = _State(target=first.target, paths=paths, at=0, result=first.result)
        heap: list[tuple[float, int, _State]] = []
        number = count()
        most = self._limits.judgements + 4 * len(self._situations)
        for state in (start, *self._whole(start)):
            heapq.heappush(heap, (_price(state.chain), next(number), state))
        while heap and self._judgements < most and len(self._found) < self._limits.remedies:
            state = heapq.heappop(heap)[2]
            if _is_mixed(state.chain) and any(one.approach in _TOGETHER for one in self._found):
                continue
            for further in self._expand(state):
                heapq.heappush(heap, (_price(further.chain), next(number), further))
        return tuple(_ranked(self._found, self._partial, self._unproved))

    # -- states ------------------------------------------------------------------------------------------------

    def _expand(self, state: _State) -> Iterator[_State]:
        """Yield the states that answers to the first cause lead to; a state without a cause is a remedy."""
        following = self._next(state)
        if following is None:
            self._settle(state)
            return
        state, cause = following
        if len(state.chain) >= self._limits.steps:
            return
        situation = self._situation(state)
        answered = False
        last: list[Proposal] = []
        for proposal in self._proposals(situation, cause):
            if proposal.last:
                last.append(proposal)
                continue
            further = self._advance(state, cause, proposal)
            if further is not None:
                answered = True
                yield further
        for proposal in last if not answered else ():
            further = self._advance(state, cause, proposal)
            if further is not None:
                answered = True
                yield further
        if not answered:
            yield replace(state, skipped=state.skipped | {_key(state, cause)})

    def _next(self, state: _State) -> tuple[_State, Step] | None:
        """Return the state at its next cause, None where none is left in any situation."""
        while True:
            for verdict, step in self._causes(state.at, state.result):
                if verdict in self._asked and _key(state, step) not in state.skipped:
                    return state, step
            if state.at + 1 == len(self._situations):
                return None
            result = self._judge(state.at + 1, state.target, state.paths[state.at + 1])
            if isinstance(result, str):
                return None
            state = replace(state, at=state.at + 1, result=result)

    def _situation(self, state: _State) -> Situation:
        """Return the situation as it is in a state."""
        held = self._situations[state.at]
        return replace(held, target=state.target, path=state.paths[state.at], result=state.result)

    @staticmethod
    def _proposals(situation: Situation, cause: Step) -> Iterator[Proposal]:
        allowed = situation.means.allowed if situation.means else frozenset[str]()
        try:
            for proposal in proposals_for(situation, cause):
                if not any(type(edit) in _BY_NAME and _BY_NAME[type(edit)] not in allowed for edit in proposal.edits):
                    yield proposal
        except (RunworthyError, OSError):  # what a planner cannot read, it has no answer to
            return

    def _whole(self, start: _State) -> Iterator[_State]:
        """Yield the states in which another build or another target takes the place of this one."""
        situation = self._situation(start)
        try:
            for proposal in of_the_whole(situation):
                further = self._advance(start, None, proposal)
                if further is not None:
                    yield further
        except (RunworthyError, OSError):
            return

    def _advance(self, state: _State, cause: Step | None, proposal: Proposal) -> _State | None:
        """Return the state after a proposal, None where it does not help or nobody can tell."""
        chain = (*state.chain, proposal)
        if proposal.unprovable:
            self._unproved.append(self._remedy(replace(state, chain=chain), (), proposal.unprovable))
            return None
        paths = (*state.paths[: state.at], proposal.path or state.paths[state.at], *state.paths[state.at + 1 :])
        try:
            target = edited(proposal.target or state.target, proposal.edits)
            if self._at_boot and proposal.edits:
                target = self._booted(target)
        except (RunworthyError, OSError) as error:
            self._unproved.append(self._remedy(replace(state, chain=chain), (), f"cannot be judged: {error}"))
            return None
        result = self._judge(state.at, target, paths[state.at])
        if isinstance(result, str):
            self._unproved.append(self._remedy(replace(state, chain=chain), (), result))
            return None
        by = proposal.path == ""  # what takes the subject's place has another name
        if cause is not None and step_key(cause, by=by) in {
            step_key(step, by=by) for _, step in self._causes(state.at, result)
        }:
            return None
        if proposal.target is not None and result.verdict == "fails":
            return None  # nobody wants another target on which something is to be mended, too
        return replace(state, target=target, paths=paths, result=result, chain=chain)

    @property
    def _at_boot(self) -> bool:
        return self._situations[0].at_boot and self._situations[0].boot is not None

    def _booted(self, target: Target) -> Target:
        boot = self._situations[0].boot
        return boot(target) if boot is not None else target

    def _causes(self, at: int, result: Result) -> list[tuple[Verdict, Step]]:
        settled = self._situations[at].settled
        return [pair for pair in causes(result) if step_key(pair[1]) not in settled]

    def _unmet(self, at: int, result: Result) -> bool:
        return any(verdict in ("fails", "unknown") for verdict, _ in self._causes(at, result))

    def _judge(self, at: int, target: Target, path: str) -> Result | str:
        """Return what becomes of a subject, or in words why that cannot be told."""
        self._judgements += 1
        try:
            return self._situations[at].judge(target, path)
        except (RunworthyError, OSError) as error:
            return f"cannot be judged: {error}"

    # -- remedies ----------------------------------------------------------------------------------------------

    def _settle(self, state: _State) -> None:
        """Keep the remedy of a state in which nobody has an answer to what is left."""
        if not state.chain:
            return
        state = self._without_needless(state)
        left = self._left(state)
        wrong = next((verdict for verdict in ("fails", "unmet", "unknown") if verdict in left), "")
        words = tuple(dict.fromkeys(text for texts in left.values() for text in texts))
        if not wrong:
            stays = self._does_stay(state)
            booting = self._situations[0].boot is not None and any(one.stays for one in state.chain)
            proof = f"{_PROVED}, and after the next boot" if booting and stays else _PROVED
            self._found.append(replace(self._remedy(state, words, proof), proved=True, stays=stays))
        elif wrong == "unmet":
            self._unproved.append(self._remedy(state, words, "it starts, and ends where it first uses what is left"))
        elif wrong == "unknown":
            self._unproved.append(self._remedy(state, words, "what is left cannot be told here"))
        else:
            self._partial.append(self._remedy(state, words, "something is left that fails"))

    def _left(self, state: _State) -> dict[str, list[str]]:
        """Return in words what is left unsolved in any situation, by what it makes of the verdict.

        What is missed only when it is first used is ``unmet``: nobody can tell whether that comes to pass.
        """
        left: dict[str, list[str]] = {}
        for at, path in enumerate(state.paths):
            result = state.result if at == state.at == 0 else self._judge(at, state.target, path)
            if isinstance(result, str):
                left.setdefault("unknown", []).append(result)
                continue
            for verdict, step in self._causes(at, result):
                late = verdict == "risky" and step.answer is Answer.UNMET and step.assumption is None
                left.setdefault("unmet" if late else verdict, []).append(_words(step))
        return left

    def _without_needless(self, state: _State) -> _State:
        """Return the state without the proposals that others in its chain have made needless."""
        for one in state.chain:
            chain = tuple(other for other in state.chain if other is not one)
            if not chain or any(other.path or other.target for other in state.chain):
                continue
            try:
                target = edited(self._situations[0].target, _edits(chain))
                if self._at_boot:
                    target = self._booted(target)
            except (RunworthyError, OSError):
                continue
            results = [self._judge(at, target, path) for at, path in enumerate(state.paths)]
            if all(not isinstance(one, str) and not self._unmet(at, one) for at, one in enumerate(results)):
                state = replace(state, chain=chain, target=target)
        return state

    def _does_stay(self, state: _State) -> bool:
        """Whether the remedy holds after the next boot as well: files do, what is told to a kernel does not."""
        if not all(one.stays or one.approach not in ("", "handler") for one in state.chain):
            return False
        boot = self._situations[0].boot
        if boot is None or all(one.approach not in ("", "handler") for one in state.chain):
            return True
        try:
            target, before = boot(state.target), boot(self._situations[0].target)
            if state.chain[0].target is None and any(lost(before.handlers, target.handlers, _edits(state.chain))):
                return False
        except (RunworthyError, OSError):
            return False
        results = [self._judge(at, target, path) for at, path in enumerate(state.paths)]
        return all(not isinstance(one, str) and not self._unmet(at, one) for at, one in enumerate(results))

    def _remedy(self, state: _State, leaves: tuple[str, ...], proof: str) -> Remedy:
        chain = state.chain
        edits = _edits(chain)
        unsafe = "; ".join(dict.fromkeys(one.unsafe for one in chain if one.unsafe))
        by_hand = any(not one.edits and not one.path and one.target is None for one in chain)
        how = "manual" if by_hand or not edits else "unsafe" if unsafe else applicability(edits)
        path = state.paths[0] if len(state.paths) == 1 and any(one.path for one in chain) else ""
        return Remedy(
            title=_title(chain),
            applicability=how,
            edits=edits,
            proof=proof,
            approach=max((one.approach for one in chain), key=lambda one: _PRICES[one]),
            cost=_cost(chain),
            leaves=leaves,
            recipe=tuple(line for one in chain for line in one.recipe),
            path=path,
            elsewhere=next((one.target.name for one in chain if one.target is not None), ""),
            unsafe=unsafe,
        )


# -- what a chain of proposals comes to --------------------------------------------------------------------------


def _edits(chain: Sequence[Proposal]) -> tuple[Edit, ...]:
    """Return the edits of a chain; packages of one manager that follow one another are asked for together."""
    edits: list[Edit] = []
    for edit in (one for proposal in chain for one in proposal.edits):
        held = edits[-1] if edits else None
        if isinstance(edit, InstallPackages) and isinstance(held, InstallPackages) and held.manager == edit.manager:
            names = tuple(dict.fromkeys((*held.names, *edit.names)))
            others = tuple(one for one in dict.fromkeys((*held.with_them, *edit.with_them)) if one not in names)
            effects = tuple(dict.fromkeys((*held.effects, *edit.effects)))
            edits[-1] = replace(held, names=names, with_them=others, effects=effects)
        else:
            edits.append(edit)
    return tuple(edits)


def _title(chain: Sequence[Proposal]) -> str:
    """Return in words what is to be done, one thing after another; packages are asked for together."""
    titles: list[str] = []
    for proposal in chain:
        installs = len(proposal.edits) == 1 and isinstance(proposal.edits[0], InstallPackages)
        if not installs:
            titles.append(proposal.title)
    if len(titles) < len(chain):
        from runworthy.remedies.export.words import argv_of

        together = [edit for edit in _edits(chain) if isinstance(edit, InstallPackages)]
        commands = [" ".join(argv_of(edit)).removeprefix("env DEBIAN_FRONTEND=noninteractive ") for edit in together]
        titles[:0] = [f"`{command}`" for command in commands]
    times = {title: titles.count(title) for title in titles}  # of several subjects some may want the same
    return "; ".join(title if number == 1 else f"{title} ({number} times)" for title, number in times.items())


def _cost(chain: Sequence[Proposal]) -> Cost:
    """Return what a chain costs; a package that two proposals bring is counted once."""
    names: set[str] = set()
    for edit in _edits(chain):
        if isinstance(edit, InstallPackages):
            names.update(edit.names, edit.with_them)
    sizes = [one.cost.size for one in chain]
    return Cost(
        packages=len(names),
        size=None if None in sizes else sum(size for size in sizes if size is not None),
        rebuild=any(one.cost.rebuild for one in chain),
    )


def _price(chain: Sequence[Proposal]) -> float:
    """Return one number for what a chain costs somebody: the search takes the lowest first."""
    price = 0.0
    for one in chain:
        price += _PRICES[one.approach] + _PER_PACKAGE * one.cost.packages
        if one.approach != "target":  # of those the planner knows where people go first
            price += _UNKNOWN_SIZE if one.cost.size is None else max(one.cost.size, 0) / _BYTES
        price += _UNSAFE * bool(one.unsafe) + _LAST * one.last
    return price + _MIXED * _is_mixed(chain)


def _is_mixed(chain: Sequence[Proposal]) -> bool:
    """Whether some libraries are brought along and others installed."""
    return {one.approach for one in chain} >= _TOGETHER


def _ranked(found: Sequence[Remedy], partial: Sequence[Remedy], unproved: Sequence[Remedy]) -> Iterator[Remedy]:
    """Yield remedies, each once and none that does more than one before it for the same end."""
    kept: list[Remedy] = []
    for remedy in found:
        if not any(set(one.edits) <= set(remedy.edits) and one.edits and remedy.edits for one in kept):
            kept.append(remedy)
    yield from kept
    told = list(kept)
    for remedy in (*unproved, *partial[:_PARTIAL]):
        known = any(remedy.title == one.title or _is_part(one, remedy) for one in told)
        if not known and not any(_is_part(remedy, one) for one in told if not one.proved):
            told.append(remedy)
            yield remedy


def _is_part(longer: Remedy, shorter: Remedy) -> bool:
    """Whether a remedy is the beginning of another one, or all of it."""
    return bool(shorter.edits) and set(shorter.edits) <= set(longer.edits)


# -- causes ------------------------------------------------------------------------------------------------------


def step_key(step: Step, *, by: bool = True) -> str:
    """Return what makes two steps one cause. Without ``by`` it does not matter in which file the need is."""
    need = step.need
    return "\0".join((need.kind, need.name, need.version or "", need.by if by else "", step.taken))


def _key(state: _State, step: Step) -> str:
    return f"{state.at}\0{step_key(step)}"


def _words(step: Step) -> str:
    version = f" {step.need.version}" if step.need.version else ""
    what = f"{step.need.kind} {step.need.name}{version}".replace("-", " ", 1)
    return f"{what} is {step.answer.value}" if not step.taken else f"{what} is {step.taken}"
