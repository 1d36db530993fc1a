"""Read, vread, history, create, update, patch and delete, as far as a profile lists them and the server says that
it has them; and the references of the profile's elements."""

import copy

from elements import at
from metadata import Group
from report import Report
from server import Sample, Server, name_of, same_content

# How many resources of a profile each interaction is tried with.
TRIES = 2
JSON_PATCH = "application/json-patch+json"


class Interactions:
    """The interactions of one profile."""

    def __init__(self, server: Server, sample: Sample, report: Report, group: Group, candidates: list[dict], offered: set):
        self.server, self.sample, self.report, self.group = server, sample, report, group
        self.candidates, self.offered = candidates, offered

    def check(self):
        steps = {"read": self.read, "vread": self.vread, "history-instance": self.history, "history-type": self.history_of_type}
        for code, step in steps.items():
            if code in self.group.interactions:
                self.note(code, [step(one) for one in self.candidates[:TRIES]])
        self.changes()
        self.references()

    def note(self, code: str, problems: list[str | None]):
        expectation = self.group.interactions[code]
        if code not in self.offered:
            # What may be left out and is left out is no failure.
            problems = None if expectation == "MAY" else ["not offered by the CapabilityStatement"]
        elif not problems:
            problems = None
        self.report.add(self.group.title, "interaction", code, expectation, problems and [one for one in problems if one])

    # ---- reading -----------------------------------------------------------------------------

    def read(self, resource: dict) -> str | None:
        return self.same(name_of(resource), resource)

    def vread(self, resource: dict) -> str | None:
        return self.same(f"{name_of(resource)}/_history/1", resource)

    def same(self, path: str, resource: dict) -> str | None:
        answer = self.server.read(path)
        if answer.status_code != 200 or not same_content(resource, answer.json()):
            return f"{path}: {answer.status_code}, not what was stored"
        return None if answer.headers.get("ETag") == 'W/"1"' else f"{path}: ETag {answer.headers.get('ETag')}"

    def history(self, resource: dict) -> str | None:
        path = f"{name_of(resource)}/_history"
        answer = self.server.send("GET", path)
        bundle = answer.json()
        versions = [one["resource"]["meta"]["versionId"] for one in bundle.get("entry", []) if "resource" in one]
        return None if bundle.get("type") == "history" and "1" in versions else f"{path}: {answer.status_code}, {versions}"

    def history_of_type(self, resource: dict) -> str | None:
        path = f"{self.group.resource}/_history?_count=5"
        bundle = self.server.send("GET", path).json()
        types = {one["resource"]["resourceType"] for one in bundle.get("entry", []) if "resource" in one}
        return None if bundle.get("type") == "history" and types == {self.group.resource} else f"{path}: {types}"

    # ---- changing ----------------------------------------------------------------------------

    def changes(self):
        """Creates a copy of a resource, changes it and deletes it, so that the sample stays as it is."""
        codes = [code for code in ("create", "update", "patch", "delete") if code in self.group.interactions]
        problems: dict[str, list] = {code: [] for code in codes}
        for resource in self.candidates[:1]:
            answer = self.server.send("POST", self.group.resource, without_id(resource))
            problems.get("create", []).append(None if answer.status_code == 201 else f"{answer.status_code} {answer.text[:200]}")
            if answer.status_code != 201:
                continue
            path = answer.headers["Location"].split("/_history/")[0]
            for code, step in (("update", self.update), ("patch", self.patch), ("delete", self.delete)):
                if code in codes and code in self.offered:
                    problems[code].append(step(path))
        for code in codes:
            self.note(code, problems[code])

    def update(self, path: str) -> str | None:
        resource = self.server.send("GET", path).json()
        resource["language"] = "en-GB"
        answer = self.server.send("PUT", path, resource)
        stored = self.server.send("GET", path).json()
        done = answer.status_code == 200 and stored["meta"]["versionId"] == "2" and same_content(resource, stored)
        return None if done else f"{answer.status_code}, version {stored['meta']['versionId']}"

    def patch(self, path: str) -> str | None:
        answer = self.server.send("PATCH", path, [{"op": "add", "path": "/language", "value": "en-US"}], JSON_PATCH)
        stored = self.server.send("GET", path).json()
        done = answer.status_code == 200 and stored.get("language") == "en-US"
        return None if done else f"{answer.status_code} {answer.text[:200]}"

    def delete(self, path: str) -> str | None:
        answer = self.server.send("DELETE", path)
        after = self.server.send("GET", path).status_code
        return None if answer.status_code in (200, 204) and after == 410 else f"{answer.status_code}, then {after}"

    # ---- references --------------------------------------------------------------------------

    def references(self):
        """Each must-support reference leads to a resource of a type that its element allows."""
        for element in self.group.must_supports["elements"]:
            if "Reference" not in element.get("types", []):
                continue
            found = [at(one, element["path"]) for one in self.candidates]
            names = {one["reference"] for values in found for one in values if isinstance(one, dict) and "reference" in one}
            known = sorted(name for name in names if name in self.sample.resources)
            problems = [self.leads(name) for name in known[:TRIES]] or None
            name = f"reference {element['path']}"
            self.report.add(self.group.title, "reference", name, "SHALL", problems and [one for one in problems if one])

    def leads(self, name: str) -> str | None:
        answer = self.server.send("GET", name)
        return None if answer.status_code == 200 and name_of(answer.json()) == name else f"{name}: {answer.status_code}"


def without_id(resource: dict) -> dict:
    one = copy.deepcopy(resource)
    del one["id"]
    return one
