"""Programs that are known to answer for the symbols a plug-in leaves open, by the names of their interfaces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["has_own", "host_api", "in_every_process"]

_APIS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("CPython", re.compile(r"_?Py[A-Z_]|_PyObject_|_Py_")),
    ("Node.js", re.compile(r"napi_|node_api_|uv_|_ZNK?2v8|_ZNK?4node|node_module_register")),
    ("Perl", re.compile(r"Perl_|PL_|perl_")),
    ("Ruby", re.compile(r"rb_|ruby_")),
    ("Lua", re.compile(r"lua_|luaL_")),
    ("PHP", re.compile(r"zend_|_?php_|_z(?:val|end)|e(?:free|malloc)|executor_globals|compiler_globals")),
    ("R", re.compile(r"R_[A-Z]|Rf_|Rprintf")),
    ("PostgreSQL", re.compile(r"(?:errstart|errfinish|errmsg|palloc|pfree|SPI_|pg_detoast|MemoryContext)")),
    ("Apache httpd", re.compile(r"ap_|unixd_")),
    ("nginx", re.compile(r"ngx_")),
    ("Tcl", re.compile(r"Tcl_|Tk_")),
)

_OWN_COPIES: dict[str, str] = {"strlcat": "PostgreSQL", "strlcpy": "PostgreSQL"}
"""Functions of some C libraries of which a program has a copy, and exports it, wherever its C library has none.

PostgreSQL: ``configure.ac`` (AC_REPLACE_FUNCS) adds them to ``src/port``, the server uses them itself and exports all
that it has (``src/makefiles/Makefile.linux``).
"""

# File names of the C library itself.
_LIBC_FILES = ("libc.so", "libc-", "ld-", "libc.musl-")


def in_every_process(library: str) -> bool:
    """Whether a library of the root's own C library is in every dynamic process; its companions need a host."""
    return library.rpartition("/")[2].startswith(_LIBC_FILES)


def has_own(symbol: str, imports: Iterable[bytes]) -> bool:
    """Whether a function that the C library lacks is a copy of the program's whose plug-in has these ``imports``."""
    host = _OWN_COPIES.get(symbol)
    names = (name.decode("utf-8", "backslashreplace") for name in imports)
    return host is not None and any(name not in _OWN_COPIES and host_api(name) == host for name in names)


@lru_cache(maxsize=4096)
def host_api(symbol: str) -> str | None:
    """Return the name of the program whose interface ``symbol`` belongs to, None when nobody is known."""
    known = next((name for name, pattern in _APIS if pattern.match(symbol)), None)
    return known or _OWN_COPIES.get(symbol)
