"""Sharing carried out: links and shared extents in the place of copies, with a journal before each deed."""
