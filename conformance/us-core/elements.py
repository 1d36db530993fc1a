"""Elements of a resource by the paths of the metadata: `name.family`, `onsetDateTime`, `effective`,
`medication[x]`, `category:VSCat.coding`, `extension.where(url='…').valueDateTime`."""

import re
from collections.abc import Callable, Iterator

from metadata import codings, discriminator_codes

WHERE_URL = re.compile(r"^extension\.where\(url\s*=\s*'([^']*)'\)\.?(.*)$")


def at(value, path: str, slices: "Slices | None" = None, types: set[str] | None = None) -> list:
    """All elements that a path leads to; of a choice of types only those of `types`, where that is given."""
    if not path:
        return [value]
    if where := WHERE_URL.match(path):
        url, rest = where.groups()
        extensions = [one for one in value.get("extension", []) if one.get("url") == url]
        return [found for one in extensions for found in at(one, rest, slices, types)]
    name, _, rest = path.partition(".")
    return [found for one in step(value, name, slices, types) for found in at(one, rest, slices, types)]


def step(value, name: str, slices: "Slices | None", types: set[str] | None) -> list:
    if not isinstance(value, dict):
        return []
    name, _, slice_name = name.partition(":")
    found = member(value, name, types)
    if slice_name and slices:
        return [one for one in found if slices.holds(name, slice_name, one)]
    return found


def member(value: dict, name: str, types: set[str] | None = None) -> list:
    """The values of an element; of a choice of types (`effective`, `value[x]`) whichever is there."""
    if name in value:
        found = value[name]
        return found if isinstance(found, list) else [found]
    stem = name.removesuffix("[x]")
    suffixes = {key: key[len(stem) :] for key in value if key.startswith(stem)}
    typed = [key for key, suffix in suffixes.items() if suffix[:1].isupper() and is_one_of(suffix, types)]
    return [found for key in typed for found in member(value, key)]


def is_one_of(suffix: str, types: set[str] | None) -> bool:
    return types is None or any(suffix[0].lower() + suffix[1:] in (one, one[0].lower() + one[1:]) for one in types)


class Slices:
    """The slices of a profile, by the names that paths give them."""

    def __init__(self, slices: list[dict]):
        self.by_name = {one["slice_name"]: one for one in slices}

    def holds(self, element: str, name: str, value) -> bool:
        """Whether a value is in the slice. Slices by type are told by the property that held the value."""
        known = self.by_name.get(name)
        return known is None or in_slice(known["discriminator"], value)

    def members(self, resource: dict, slice_: dict) -> list:
        """What of a resource is in a slice."""
        discriminator = slice_["discriminator"]
        path = slice_["path"]
        if discriminator["type"] == "type":
            return at(resource, path.removesuffix("[x]") + discriminator["code"])
        return [one for one in at(resource, path) if in_slice(discriminator, one)]


def in_slice(discriminator: dict, value) -> bool:
    kind = discriminator["type"]
    if kind == "type":
        return True
    if kind == "value":
        return all(one["value"] in at(value, one["path"]) for one in discriminator["values"])
    targets = at(value, discriminator.get("path") or "")
    match kind:
        case "patternCodeableConcept" | "requiredBinding":
            wanted = discriminator_codes(discriminator)
            return any(pair in wanted for one in targets for pair in codings(one))
        case "patternCoding":
            return any((one.get("system"), one.get("code")) == (discriminator.get("system"), discriminator["code"]) for one in targets)
        case "patternIdentifier":
            return any(one.get("system") == discriminator["system"] for one in targets)
    raise SystemExit(f"a slice by {kind} is new to this runner: {discriminator}")


def references(value) -> Iterator[str]:
    """Every literal reference below a value."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def with_references(value, change: Callable[[str], str]):
    """A copy of a value with every literal reference changed."""
    if isinstance(value, dict):
        return {
            key: change(one) if key == "reference" and isinstance(one, str) else with_references(one, change)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [with_references(one, change) for one in value]
    return value
