"""Carry out what `runworthy fix` proposes, for real: ``python -m bench.repairs [--write] [-v] [ROOT/NAME...]``.

Each broken pair of ``tests/repairs/table.py`` is planned for in a root of its own. What is proved is carried out as a
person would, by ``runworthy.fix``; what is not is carried out whatever judging says of it; then the subject is really
started, or loaded, by the root's own loader. Needs root, the judges of ``tests/judges``, and Debian's archive.
``--write`` puts the table into the READMEs.
"""

# ruff: noqa: RUF001 - one of the READMEs is Chinese
from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers import CHECKOUT
from tests.repairs.scene import Scenes, private_mounts
from tests.repairs.table import many
from tests.repairs.trial import Trial, Tried, tried

_BEGIN, _END = "<!-- repairs:begin -->", "<!-- repairs:end -->"
_HEADS = {
    "README.md": "| what is changed | proved, carried out | of these ran | not proved, carried out | ran after all |",
    "README.zh-CN.md": "| 改变什么 | 标为 proved 并付诸实施 | 其中真的运行 | 未证明但付诸实施 | 其中仍然运行 |",
}
_NAMES = {
    "README.md": {
        "": "permissions and scripts",
        "configure": "the loader's configuration",
        "patch": "a patched copy",
        "install": "packages",
        "supply": "libraries brought along",
        "target": "another target",
        "build": "another build",
        "handler": "handlers",
        "rebuild": "a new build",
        "all": "all",
    },
    "README.zh-CN.md": {
        "": "权限和脚本",
        "configure": "加载器的配置",
        "patch": "修改过的副本",
        "install": "软件包",
        "supply": "随带的库",
        "target": "另一个目标",
        "build": "另一个构建",
        "handler": "处理程序",
        "rebuild": "重新构建",
        "all": "合计",
    },
}
_SENTENCES = {
    "README.md": (
        "`python -m bench.repairs` on a Debian 12 machine: {pairs} broken pairs in {roots} roots. For {helped} of\n"
        "them something is proved, for {nothing} nothing is known. Planning took {median:.1f} s in the median,\n"
        "{most:.1f} s at most.\n"
    ),
    "README.zh-CN.md": (
        "`python -m bench.repairs`，在一台 Debian 12 机器上：{roots} 个根里的 {pairs} 对不能运行的组合。\n"
        "其中 {helped} 对有标为 proved 的办法，{nothing} 对没有任何已知的办法。\n"
        "制定计划的时间，中位数为 {median:.1f} 秒，最长 {most:.1f} 秒。\n"
    ),
}


def table(trials: Sequence[Trial], readme: str = "README.md") -> Iterator[str]:
    """Yield the lines of the table in the language of a README: a row for each approach, and one for all."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for one in (one for trial in trials for one in trial.tried):
        kind = "proved" if one.remedy.proved else "other"
        if one.came in ("ran", "did not run") or (one.came == "not carried out" and _can_be(one)):
            rows[one.remedy.approach][kind] += 1
            rows[one.remedy.approach][f"{kind} ran"] += one.came == "ran"
    yield from (_HEADS[readme], "|---|---|---|---|---|")
    names = _NAMES[readme]
    for approach, row in sorted(rows.items(), key=lambda pair: -pair[1]["proved"]):
        yield _row(names[approach], row)
    yield _row(names["all"], sum(rows.values(), Counter()))


def _row(name: str, row: Counter[str]) -> str:
    return f"| {name} | {row['proved']} | {row['proved ran']} | {row['other']} | {row['other ran']} |"


def _can_be(one: Tried) -> bool:
    """Whether a remedy that was not carried out should have been: what only a person can do is none."""
    return bool(one.remedy.edits) and one.remedy.applicability != "manual"


def sentence(trials: Sequence[Trial], readme: str = "README.md") -> str:
    """Return in words what the table is about."""
    seconds = sorted(trial.seconds for trial in trials)
    return _SENTENCES[readme].format(
        pairs=len(trials),
        roots=len({trial.broken.root for trial in trials}),
        helped=sum(any(one.remedy.proved for one in trial.tried) for trial in trials),
        nothing=sum(not trial.tried for trial in trials),
        median=seconds[len(seconds) // 2],
        most=seconds[-1],
    )


def told(trial: Trial, *, everything: bool) -> Iterator[str]:
    """Yield what is to be told of a trial: what is wrong, or everything."""
    name = f"{trial.broken.root}/{trial.broken.name}"
    if everything:
        yield f"{name}: {trial.verdict}; before: {trial.before}; planned in {trial.seconds:.1f} s"
    for one in trial.tried:
        wrong = bool(one.forbidden or one.undone) or (
            one.remedy.proved and (one.came == "did not run" or (one.came == "not carried out" and _can_be(one)))
        )
        if wrong or everything:
            proof = "proved" if one.remedy.proved else f"unproved ({one.remedy.proof})"
            yield f"  {'WRONG ' if wrong else ''}{one.remedy.title}: {proof}, {one.came}: {one.words}"
            yield from (f"    {line}" for line in (*one.undone, *one.forbidden))


def main() -> int:
    """Print the table; the exit status is 1 where something that is proved did not run."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    everything = "-v" in sys.argv[1:]
    private_mounts()
    trials: list[Trial] = []
    wrong = False
    with tempfile.TemporaryDirectory(prefix="runworthy-repairs-") as top:
        Path(top).chmod(0o755)
        scenes = Scenes(Path(top))
        for broken in many():
            if words and not any(word in f"{broken.root}/{broken.name}" for word in words):
                continue
            trial = tried(broken, scenes)
            if trial.before == "runs":  # it is not broken there
                continue
            trials.append(trial)
            lines = list(told(trial, everything=everything))
            wrong = wrong or any(line.startswith("  WRONG") for line in lines)
            print("\n".join(lines), end="\n" * bool(lines), flush=True)
    if not trials:
        return 2
    print("", sentence(trials), *table(trials), sep="\n")
    if "--write" in sys.argv[1:] and not words:
        for readme in _HEADS:
            text = "".join(f"{line}\n" for line in (sentence(trials, readme), *table(trials, readme)))
            path = CHECKOUT / readme
            before, begin, rest = path.read_text(encoding="utf-8").partition(_BEGIN)
            path.write_text(f"{before}{begin}\n{text}{rest[rest.index(_END) :]}", encoding="utf-8")
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
