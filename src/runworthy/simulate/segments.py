"""Whether a file's segments can be what the program headers say: a file that was cut off, or was never whole.

The kernel and the loaders map segments without comparing them with the file's length; the process ends by a
signal at the first access behind it (mmap(2), SIGBUS). Source of the rest: Linux ``fs/binfmt_elf.c`` (elf_load,
load_elf_binary), ``mm/mmap.c``.
"""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.elf import ElfFacts
from runworthy.model.trace import Answer, Evidence, Need, Stage, Step

__all__ = ["segment_steps"]

_PAGE = 4096
_TASK_SIZE = {32: 1 << 32, 64: 1 << 56}
_EXECUTE = 1
_EM_PPC64, _PPC64_ABI, _PPC64_ELF_V2 = 21, 3, 2


def segment_steps(path: str, facts: ElfFacts, stage: Stage, *, starts: bool) -> Iterator[Step]:
    """Yield what is wrong with the segments; ``starts``: the kernel is to start the file itself."""
    if facts.header.phoff == 0:  # recorded facts do not hold program headers
        return
    detail = _cut_off(facts) or _impossible(facts) or (_unstartable(facts) if starts else "")
    if detail:
        need = Need(kind="segments", name="segments", by=path, evidence=Evidence(file=path, section="program headers"))
        yield Step(stage=stage, need=need, answer=Answer.UNMET, detail=detail)


def _cut_off(facts: ElfFacts) -> str:
    """Return how far the segments reach behind the file's last page, empty when they do not."""
    end = max((segment.offset + segment.filesz for segment in facts.load_segments if segment.filesz), default=0)
    whole = -(-facts.size // _PAGE) * _PAGE
    return f"its segments reach to byte {end}, the file ends at {facts.size}" if end > whole else ""


def _impossible(facts: ElfFacts) -> str:
    limit = _TASK_SIZE[facts.header.elf_class]
    for segment in facts.load_segments:
        if segment.memsz < segment.filesz:
            return "a segment is larger in the file than in memory"
        if segment.vaddr + segment.memsz > limit:
            return "a segment lies outside any address space"
    return ""


def _unstartable(facts: ElfFacts) -> str:
    if not facts.load_segments:
        return "it has no segment that would be loaded"
    if facts.interpreter is not None and not facts.dynamic:
        return "it names a loader, but has no dynamic section for it"
    if facts.header.machine == _EM_PPC64 and facts.header.flags & _PPC64_ABI != _PPC64_ELF_V2:
        return ""  # the entry point is that of a descriptor, which is data (arch/powerpc/kernel/process.c start_thread)
    entry = facts.header.entry
    inside = (s for s in facts.load_segments if s.vaddr <= entry < s.vaddr + s.memsz)
    if not any(segment.flags & _EXECUTE for segment in inside):
        return f"its entry point {entry:#x} lies in no executable segment"
    return ""
