"""Turns what plugins return for deployments and endpoints into records with `name`, as MLflow guarantees."""

from __future__ import annotations

from typing import Any

from .results import plain

# The keys under which services keep the name, without case and separators.
NAMES = "name deploymentname endpointname servicename modelname displayname deploymentid endpointid id".split()


def record(value: Any, name: str | None) -> dict[str, Any]:
    """Returns one record. `name` is the requested name, for a record without one."""
    converted = plain(value)
    if isinstance(converted, str):
        return {"name": converted}
    if not isinstance(converted, dict):
        converted = {} if converted is None else {"value": converted}
    if isinstance(converted.get("name"), str):
        return converted
    found = name if name is not None else _name_in(converted)
    given = converted.get("name")
    return {**converted, "name": found if given is None else str(given)}


def maybe_record(value: Any, name: str) -> dict[str, Any] | None:
    """Returns the record of an update, or None if there is none."""
    return None if value is None else record(value, name)


def records(value: Any) -> list[dict[str, Any]]:
    """Returns a list of records, from a list of names or records, or from a dictionary of records."""
    converted = plain(value)
    if converted is None:
        return []
    if isinstance(converted, dict):
        for key in ("deployments", "endpoints", "items", "value"):
            if isinstance(converted.get(key), list):
                return records(converted[key])
        if all(isinstance(member, dict) for member in converted.values()):
            return [record(member, key) for key, member in converted.items()]
        return [record(converted, None)]
    return [_listed(each) for each in converted] if isinstance(converted, list) else [record(converted, None)]


def _listed(value: Any) -> dict[str, Any]:
    """Returns an element of a list. `{"a": {...}}` is the record `a`."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, member),) = value.items()
        if isinstance(member, dict):
            return record(member, key)
    return record(value if isinstance(value, (dict, str)) else str(value), None)


def _name_in(members: dict[str, Any]) -> str:
    short = {key.lower().replace("_", "").replace("-", ""): value for key, value in members.items()}
    found = next((short[name] for name in NAMES if isinstance(short.get(name), (str, int))), "")
    return str(found)
