"""Which objects a process holds: the program, what is preloaded, and every needed library, breadth first.

Source: glibc ``elf/rtld.c`` (dl_main, handle_preload), ``elf/dl-deps.c`` (_dl_map_object_deps),
``elf/dl-load.c`` (_dl_map_object, _dl_name_match_p).
"""

from __future__ import annotations

import posixpath
from collections.abc import Hashable

from runworthy.model.elf import ElfFile
from runworthy.model.records import replace
from runworthy.model.trace import Event, Probe
from runworthy.simulate.glibc.accept import Refused, Skipped, opens_only_at_start
from runworthy.simulate.glibc.search import LD_SO_PRELOAD, Found, Search, StopError
from runworthy.simulate.library import library_need, missing_step, refused_step, unjudged_step
from runworthy.simulate.linkmap import LinkMap, Loaded, Request, start_origin
from runworthy.targets.view import UnseenError

__all__ = ["Loader"]


_VDSO = frozenset(("linux-vdso.so.1", "linux-vdso64.so.1", "linux-vdso32.so.1", "linux-gate.so.1"))


class Loader:
    """Maps the objects of one process. ``interpreter`` is the loader's own path as the program names it."""

    def __init__(self, search: Search, interpreter: str) -> None:
        self._search = search
        self._interpreter = interpreter
        self._map = LinkMap()
        self._identities: dict[Hashable, Loaded] = {}
        self._ldso: Loaded | None = None

    def start(self, path: str, elf: ElfFile, called: str | None = None) -> LinkMap:
        """Return the objects of a process that begins with the file ``elf`` at the real path ``path``.

        ``called`` is the path that the loader was given when it was started by hand. $ORIGIN then comes from it;
        the kernel's own start leaves it to /proc/self/exe (_dl_get_origin).
        """
        main = Loaded(path, elf, elf.facts, path, origin=start_origin(path, called, self._search.launch), is_main=True)
        self._name(main, path)
        self._map.objects.append(main)
        self._hold_loader()
        for name, origin in self._preloads():
            self._map_object(name, main, optional=origin)
        self._map_needed(0)
        return self._map

    def open(self, link_map: LinkMap, path: str, elf: ElfFile, by: Loaded) -> Loaded:
        """Add a library that ``by`` opens with dlopen, and what it needs. Return it.

        A path is no name that objects share: the file is opened, and compared with those that are mapped by device and
        inode (_dl_map_object_from_fd).
        """
        self._map = link_map
        identity = self._search.identity(self._search.view.resolve(path))
        held = self._identities.get(identity)
        if held is not None:
            self._join(held, path)
            return held
        opened = Loaded(path, elf, elf.facts, path, loader=by, origin=posixpath.dirname(path), local=True)
        first = len(link_map.objects)
        self._identities[identity] = opened
        link_map.objects.append(opened)
        self._name(opened, path)
        self._map_needed(first)
        for late in link_map.objects[first:]:
            late.local = True
        return opened

    def refuses(self, path: str, elf: ElfFile) -> str:
        """Return with what words dlopen refuses the file at a real path, empty when it takes it."""
        outcome = self._search.accept(self._search.view.resolve(path))
        if isinstance(outcome, Refused):
            return outcome.message
        if isinstance(outcome, Skipped):
            return f"cannot open shared object file: {outcome.reason}"
        return "shared object cannot be dlopen()ed" if opens_only_at_start(elf.facts) else ""

    def can_open(self, name: str, by: Loaded) -> bool:
        """Whether ``by`` would find ``name`` with dlopen."""
        try:
            return name in self._map.by_name or self._search.find(name, by) is not None
        except StopError:
            return False

    # -- the walk ---------------------------------------------------------------------------

    def _map_needed(self, first: int) -> None:
        objects = self._map.objects
        at = first
        while at < len(objects):
            by = objects[at]
            for name in (*by.facts.needed, *by.facts.filters):
                self._map_object(name, by)
            for name in by.facts.auxiliaries:  # loaded before the object they help, where they are there at all
                self._map_object(name, by, optional="DT_AUXILIARY")
            at += 1

    def _map_object(self, written: str, by: Loaded, optional: str = "") -> None:
        name = self._search.expand(written, by) or written if "$" in written else written
        held = self._map.by_name.get(name)
        if name in _VDSO:  # mapped by the kernel, and known by its soname (setup_vdso)
            return
        if held is not None:
            self._join(held, name)
            self._note(by, name, held, "already loaded")
            return
        try:
            found = self._search.find(name, by)
        except StopError as stop:
            self._refused(name, by, stop, optional)
            return
        except UnseenError as error:  # it may lie there, so that the search is not to go on
            self._map.miss(unjudged_step(library_need(name, by.path), (), str(error)))
            return
        if found is None:
            self._missing(name, by, optional)
            return
        self._note(by, name, self._enter(name, found, by), found.origin)

    def _enter(self, name: str, found: Found, by: Loaded) -> Loaded:
        """Enter a found file, unless the same file is loaded under another name already."""
        identity = self._search.identity(found.resolved)
        held = self._identities.get(identity)
        if held is None:
            elf = found.outcome.elf
            # l_origin is the directory of the path that led here, links unresolved (_dl_get_origin, l_realname).
            held = Loaded(
                found.resolved.path,
                elf,
                elf.facts,
                found.path,
                loader=by,
                origin=posixpath.dirname(found.path),
                asked=name,
            )
            self._identities[identity] = held
            self._map.objects.append(held)
        self._join(held, name)
        self._name(held, name)
        return held

    def _join(self, loaded: Loaded, name: str) -> None:
        """Put the loader itself into the scope where it is first needed."""
        if loaded is self._ldso and not loaded.asked:
            loaded.asked = name
            self._map.objects.append(loaded)

    def _note(self, by: Loaded, name: str, found: Loaded, origin: str) -> None:
        if self._search.launch.trace:
            self._map.requests.append(Request(by, name, found, origin))

    def _name(self, loaded: Loaded, *names: str) -> None:
        """Make an object known by the names given, its path and its soname; the first object of a name keeps it."""
        for name in (*names, loaded.name, loaded.facts.soname):
            if name:
                self._map.by_name.setdefault(name, loaded)

    def _hold_loader(self) -> None:
        """Enter the loader itself, which is mapped before anything is searched; it joins the scope when needed."""
        held = self._search.loader(self._interpreter)
        if held is None:
            return
        resolved, elf = held
        loaded = Loaded(resolved.path, elf, elf.facts, self._interpreter, is_ldso=True)
        self._ldso = loaded
        self._identities[self._search.identity(resolved)] = loaded
        self._name(loaded)

    def _preloads(self) -> list[tuple[str, str]]:
        """Return (name, where it is written) of what LD_PRELOAD and /etc/ld.so.preload ask for."""
        launch = self._search.launch
        text = launch.env.get("LD_PRELOAD", "").replace(":", " ").split()
        names = [(name, "LD_PRELOAD") for name in text if not launch.secure or "/" not in name]
        listed = self._search.preload_file()
        lines = [line.partition("#")[0] for line in listed.splitlines()]
        return names + [(name, LD_SO_PRELOAD) for line in lines for name in line.replace(":", " ").split()]

    # -- what goes wrong --------------------------------------------------------------------

    def _missing(self, name: str, by: Loaded, optional: str) -> None:
        if optional:
            self._ignored(name, by, optional)
            return
        target = self._search.target
        need, probes = library_need(name, by.path), self._search.explain(name, by)
        better = None if target.assumes(name) else self._search.on_better_cpu(name, by)
        step = missing_step(target, need, probes)
        if better:  # what only an assumed CPU refuses is no failure
            searched = (*probes, better)
            step = replace(refused_step(need, searched, ""), assumption=target.machine.cpu, fatal=False)
        self._map.miss(step)

    def _ignored(self, name: str, by: Loaded, optional: str) -> None:
        """Write down what do_preload and DT_AUXILIARY pass over when it cannot be loaded."""
        kind = "auxiliary-ignored" if optional == "DT_AUXILIARY" else "preload-ignored"
        text = f"{name} from {optional} cannot be loaded: ignored"
        self._map.steps.append(Event(stage="load", kind=kind, text=text, by=by.path))

    def _refused(self, name: str, by: Loaded, stop: StopError, optional: str) -> None:
        if optional:
            self._ignored(name, by, optional)
            return
        probes = self._search.explain(name, by) or (Probe(path=stop.path, origin=""),)
        need = library_need(name, by.path)
        if isinstance(stop.outcome, Refused):
            self._map.miss(refused_step(need, probes, f"{stop.path}: {stop.outcome.message}"))
        else:
            self._map.miss(unjudged_step(need, probes, str(stop.outcome.error)))
