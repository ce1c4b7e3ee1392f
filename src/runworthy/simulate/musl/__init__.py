"""musl's dynamic loader: ``load`` finds and maps objects, ``bind`` checks relocations and symbols.

Each cites ``ldso/dynlink.c`` of musl 1.2.5; differences between releases are written where they act.
"""
