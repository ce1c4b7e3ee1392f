"""The GNU C Library's dynamic loader.

``search`` finds files, ``accept`` decides what becomes of a file that was found, ``load`` walks the needed
libraries, ``version`` and ``bind`` check what the loaded objects ask of each other. Each cites the source
file of glibc that it follows; differences between releases are written where they act.
"""
