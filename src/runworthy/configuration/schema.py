"""The JSON Schema of a project's file, for editors: made of the same table that the reader follows.

Draft 7, which the editors' tool for TOML reads (https://taplo.tamasfe.dev/configuration/using-schemas.html). A date of
TOML is a string with the format ``date`` to it.
"""

from __future__ import annotations

import json

from runworthy.configuration.keys import SET_NAME, TOP, VARIABLE, Key
from runworthy.model.waiver import NEVER

__all__ = ["ID", "schema", "schema_json"]

ID = "urn:runworthy:toml:1"
"""Absolute, as taplo needs it; a name of nothing on a network, for editors that would fetch it."""

Data = dict[str, object]


def schema() -> Data:
    """Return the schema of ``runworthy.toml``, which is that of the table ``tool.runworthy`` too."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "runworthy.toml",
        "description": "What `runworthy check` does in this project; the same as `[tool.runworthy]` in pyproject.toml.",
        **_table(TOP),
    }


def schema_json() -> str:
    """Return it as JSON text."""
    return json.dumps(schema(), indent=2) + "\n"


def _table(keys: tuple[Key, ...]) -> Data:
    needed = [key.name for key in keys if key.needed]
    return {
        "type": "object",
        "properties": {key.name: {"description": key.about, **_value(key)} for key in keys},
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def _value(key: Key) -> Data:
    text: Data = {"type": "string", "minLength": 1}
    texts: Data = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    if key.holds == "text":
        return {"enum": list(key.choices)} if key.choices else {**text, **_examples(key)}
    if key.holds == "texts":
        return {**texts, **_examples(key)}
    if key.holds == "day":
        return {"anyOf": [{"const": NEVER}, {"type": "string", "format": "date"}]}
    if key.holds == "variables":
        return _named(VARIABLE, {"type": "string"})
    if key.holds == "sets":
        return _named(SET_NAME, texts)
    if key.holds == "table":
        return _table(key.keys)
    if key.holds == "tables":
        return {"type": "array", "items": _table(key.keys)}
    return {"type": "boolean"} if key.holds == "flag" else {"type": "integer", "minimum": 0}


def _named(pattern: str, held: Data) -> Data:
    return {"type": "object", "patternProperties": {f"^{pattern}$": held}, "additionalProperties": False}


def _examples(key: Key) -> Data:
    return {"examples": list(key.examples)} if key.examples else {}
