"""What a profile requires stands in the CapabilityStatement."""

from metadata import Group
from report import Report

ORDER = ("SHALL", "SHOULD", "MAY")


class Capabilities:
    """A CapabilityStatement, by resource type."""

    def __init__(self, statement: dict):
        rest = statement["rest"][0]
        self.resources = {one["type"]: one for one in rest["resource"]}
        self.common = {one["name"] for one in rest.get("searchParam", [])}
        self.operations = {one["name"] for one in rest.get("operation", [])}

    def interactions(self, resource: str) -> set[str]:
        return {one["code"] for one in self.resources.get(resource, {}).get("interaction", [])}

    def operations_of(self, resource: str) -> set[str]:
        listed = self.resources.get(resource, {}).get("operation", [])
        return {one["name"].removeprefix("$") for one in listed} | {name.removeprefix("$") for name in self.operations}

    def check(self, group: Group, report: Report):
        stated = self.resources.get(group.resource, {})
        note = lambda name, expectation, there: report.add(
            group.title, "capability", name, expectation, [] if there else ["not stated"]
        )
        for code, expectation in group.interactions.items():
            if expectation != "MAY":
                note(code, expectation, code in self.interactions(group.resource))
        parameters = {one["name"] for one in stated.get("searchParam", [])} | self.common
        for name in group.parameters:
            searches = [one.expectation for one in group.searches if name in one.names]
            note(name, min(searches, key=ORDER.index, default="MAY"), name in parameters)
        for include in group.includes:
            note(f"_include={include}", "SHALL", ":".join(include.split(":")[:2]) in stated.get("searchInclude", []))
        for revinclude in group.revincludes:
            note(f"_revinclude={revinclude}", "SHALL", revinclude in stated.get("searchRevInclude", []))
        for code, expectation in group.operations.items():
            note(f"${code}", expectation, code in self.operations_of(group.resource))
