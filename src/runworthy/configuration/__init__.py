"""What a project states once: subjects, targets, options, waivers, in ``runworthy.toml`` or ``pyproject.toml``.

``keys`` declares what can be written; ``reading`` and the schema for editors follow from that. ``waiving`` applies
waivers to a report.
"""
