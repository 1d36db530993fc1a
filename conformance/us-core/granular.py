"""Granular scopes: with a scope that names a category, searches and reads show what has it and nothing else.

The metadata say for which types this is tested, not with which scopes; the categories are those of the slices of
all profiles of the type."""

from collections.abc import Callable

from elements import Slices
from metadata import Group, discriminator_codes
from report import Report
from searches import Searches, difference
from server import Sample, Server, name_of

# How many categories of a type, how many searches of a profile, and how many reads are tried.
CATEGORIES, SEARCHES, READS = 3, 4, 3


def check(groups: list[Group], searches: dict[str, Searches], sample: Sample, report: Report, sign_in: Callable[[str], Server]):
    """Checks each type that the metadata list granular scopes for; `sign_in` gives a server by scope."""
    for resource in dict.fromkeys(group.resource for group in groups if group.granular):
        of_type = [group for group in groups if group.resource == resource]
        granted = categories(of_type, sample.by_type[resource])
        for (system, code), names in granted:
            server = sign_in(f"system/{resource}.rs?category={system}|{code}")
            for group in of_type:
                by_search(searches[group.title], server, names, code, sample, report)
            by_read(resource, server, names, code, sample, report)


def categories(groups: list[Group], resources: list[dict]) -> list[tuple[tuple, set[str]]]:
    """The categories that the profiles slice by, and which resources have them; the most frequent first."""
    found: dict[tuple, set[str]] = {}
    for slice_ in (one for group in groups for one in group.must_supports.get("slices", [])):
        if slice_["path"] != "category":
            continue
        for system, code in discriminator_codes(slice_["discriminator"]):
            one = slice_ | {"discriminator": {"type": "patternCodeableConcept", "system": system, "code": code}}
            names = {name_of(resource) for resource in resources if Slices([]).members(resource, one)}
            # One that all have would tell nothing.
            if names and len(names) < len(resources):
                found[system, code] = names
    return sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:CATEGORIES]


def by_search(searches: Searches, server: Server, names: set[str], code: str, sample: Sample, report: Report):
    problems = []
    for search in searches.group.searches[:SEARCHES]:
        for query in searches.queries(search)[:1]:
            found = server.search(searches.group.resource, query)
            problems.append(difference(found, searches.expected(query) & names, sample))
    wrong = [one for one in problems if one]
    report.add(searches.group.title, "scope", f"searches, category {code}", "SHALL", wrong if problems else None)


def by_read(resource: str, server: Server, names: set[str], code: str, sample: Sample, report: Report):
    others = {name_of(one) for one in sample.by_type[resource]} - names
    wrong = [f"{name} is not shown" for name in sorted(names)[:READS] if server.send("GET", name).status_code != 200]
    wrong += [f"{name} is shown" for name in sorted(others)[:READS] if server.send("GET", name).status_code not in (403, 404)]
    report.add(resource, "scope", f"reads, category {code}", "SHALL", wrong)
