"""The requirements, as the US Core test kit lists them: one group for each profile.

The kit writes YAML with Ruby symbols for keys (`:name`); here they lose the colon. Nothing in this runner
names a profile, a parameter or an element: all of that comes from this file.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass
class Search:
    """One required search: the parameters that go together, and how strongly it is required."""

    names: list[str]
    expectation: str


class Group:
    """What one profile requires."""

    def __init__(self, data: dict):
        self.data = data
        self.resource: str = data["resource"]
        self.profile: str = data["profile_url"]
        self.title: str = data["title"]
        self.searches = [Search(one["names"], one["expectation"]) for one in data["searches"]]
        self.parameters: dict[str, dict] = data["search_definitions"]
        self.includes: list[str] = data["include_params"]
        self.revincludes: list[str] = data["revincludes"]
        self.must_supports: dict = data["must_supports"]
        self.interactions = {one["code"]: one["expectation"] for one in data["interactions"]}
        self.operations = {one["code"]: one["expectation"] for one in data["operations"]}
        self.granular = "granular_scope_tests" in data

    def claimed_by(self, resource: dict) -> bool:
        """Whether a resource says that it follows this profile, of whatever version."""
        claims = resource.get("meta", {}).get("profile", [])
        return any(claim.split("|")[0] == self.profile for claim in claims)

    def fits(self, resource: dict) -> bool:
        """Whether a resource has the codes that tell this profile from others of its type."""
        slices = [one for one in self.must_supports.get("slices", []) if one["path"] == "category"]
        fixed = [one for one in self.must_supports["elements"] if one["path"] == "code.coding.code" and "fixed_value" in one]
        codes = {coding.get("code") for coding in resource.get("code", {}).get("coding", [])}
        return bool(slices or fixed) and all(one["fixed_value"] in codes for one in fixed) and all(
            any(category_has(category, one["discriminator"]) for category in resource.get("category", []))
            for one in slices
        )


def category_has(category: dict, discriminator: dict) -> bool:
    """Whether a CodeableConcept is in the slice that a discriminator describes."""
    return any(pair in discriminator_codes(discriminator) for pair in codings(category))


def codings(concept: dict) -> list[tuple]:
    return [(coding.get("system"), coding.get("code")) for coding in concept.get("coding", [])]


def discriminator_codes(discriminator: dict) -> list[tuple]:
    """System and code of each concept in a slice of CodeableConcepts."""
    match discriminator["type"]:
        case "patternCodeableConcept":
            return [(discriminator["system"], discriminator["code"])]
        case "requiredBinding":
            return [(one["system"], one["code"]) for one in discriminator["values"]]
        case "value":
            values = {one["path"]: one["value"] for one in discriminator["values"]}
            return [(values.get("coding.system"), values.get("coding.code"))]
    return []


def read(folder: Path) -> list[Group]:
    """All groups of the newest metadata file that lists groups."""
    files = [path for path in sorted(folder.glob("v*.yml"))]
    if not files:
        raise SystemExit(f"{folder}: no v*.yml that lists the groups")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = without_colons(yaml.load(files[-1].read_text(), loader))
    return [Group(one) for one in data["groups"]]


def without_colons(value):
    if isinstance(value, dict):
        return {str(key).removeprefix(":"): without_colons(member) for key, member in value.items()}
    if isinstance(value, list):
        return [without_colons(item) for item in value]
    return value
