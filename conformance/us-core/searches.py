"""The required searches: each finds exactly those sample resources that a second opinion finds."""

from collections.abc import Callable, Iterable
from itertools import islice

import dates
from elements import references
from matching import Parameter, escaped
from metadata import Group, Search
from report import Report
from server import Found, Sample, Server, name_of

# How many different sets of values a search is tried with.
TRIES = 3
# How many values are given at once where several are asked for.
VALUES = 10

Query = list[tuple[str, str]]


class Searches:
    """The searches of one profile."""

    def __init__(self, server: Server, sample: Sample, report: Report, group: Group, candidates: list[dict]):
        self.server, self.sample, self.report, self.group = server, sample, report, group
        self.candidates = candidates
        self.parameters = {name: Parameter(name, one) for name, one in group.parameters.items()}

    def check(self):
        for search in self.group.searches:
            queries = self.queries(search)
            name = "+".join(search.names)
            self.note("search", name, search.expectation, [self.compare(query) for query in queries])
            if queries:
                self.forms(search, queries[0])
            for parameter in (self.parameters[one] for one in search.names):
                self.comparators(search, parameter, queries)
                self.several(search, parameter)
                self.chains(search, parameter, queries)
        self.includes()

    def note(self, kind: str, name: str, expectation: str, problems: Iterable[str | None]):
        """Records what a requirement's queries found; none at all means that the data cannot tell."""
        problems = list(problems)
        self.report.add(
            self.group.title, kind, name, expectation, [one for one in problems if one] if problems else None
        )

    # ---- queries -----------------------------------------------------------------------------

    def queries(self, search: Search) -> list[Query]:
        """Queries with values of sample resources, of as many patients as there are."""
        found: dict[tuple, Query] = {}
        for resource in self.candidates:
            values = [next(self.parameters[name].values(resource), None) for name in search.names]
            if all(values):
                found.setdefault(tuple(values), list(zip(search.names, values)))
        return in_turns(found.values(), lambda query: dict(query).get("patient"))[:TRIES]

    def expected(self, query: Query) -> set[str]:
        """What a query has to find, by the second opinion."""
        resources = self.sample.by_type[self.group.resource]
        found = lambda resource: all(self.parameters[name].finds(resource, value) for name, value in query)
        return {name_of(resource) for resource in resources if found(resource)}

    def compare(self, query: Query, asked: Query | None = None, post: bool = False) -> str | None:
        """Sends a query, perhaps in another form, and says what is wrong with the answer."""
        found = self.server.search(self.group.resource, asked or query, post)
        return difference(found, self.expected(query), self.sample)

    # ---- other forms of a search --------------------------------------------------------------

    def forms(self, search: Search, query: Query):
        name = "+".join(search.names)
        self.note("variant", f"{name} by POST", search.expectation, [self.compare(query, post=True)])
        for at, (one, value) in enumerate(query):
            parameter = self.parameters[one]
            change = lambda to, key=one: [*query[:at], (key, to), *query[at + 1 :]]
            if parameter.is_reference:
                self.note(
                    "variant", f"{name}: {one} as id, as URL, with its type", search.expectation,
                    [
                        self.compare(query, change(value.split("/")[1])),
                        self.compare(query, change(f"{self.server.base}/{value}")),
                        self.compare(query, change(value.split("/")[1], f"{one}:{value.split('/')[0]}")),
                    ],
                )
            elif tokens := {text for resource in self.candidates for text in parameter.with_system(resource)}:
                of_value = sorted(text for text in tokens if text.rsplit("|", 1)[1] == value)
                self.note(
                    "variant", f"{name}: {one} as system|code", search.expectation,
                    [self.compare(change(text)) for text in of_value[:2]],
                )

    def comparators(self, search: Search, parameter: Parameter, queries: list[Query]):
        if not parameter.is_date:
            return
        for comparator, expectation in parameter.comparators.items():
            name = f"{'+'.join(search.names)}: {comparator}"
            if comparator == "ap":
                # How near is near is the server's to say; what is equal is near at all events.
                problems = [self.includes_equal(query, parameter) for query in queries[:1]]
            else:
                problems = [
                    self.compare([(one, f"{comparator}{text}" if one == parameter.name else value) for one, value in query])
                    for query in queries[: 1 if expectation == "MAY" else 2]
                    for text in precisions(dict(query)[parameter.name])
                ]
            self.note("comparator", name, weaker(expectation, search.expectation), problems)

    def includes_equal(self, query: Query, parameter: Parameter) -> str | None:
        asked = [(one, f"ap{value}" if one == parameter.name else value) for one, value in query]
        found = self.server.search(self.group.resource, asked)
        missing = self.expected(query) - found.matches.keys()
        return found.problem or (f"{found.url}: {len(missing)} missing" if missing else None)

    def several(self, search: Search, parameter: Parameter):
        """Several values of one parameter, each of them somewhere in the sample data: all that have any of them."""
        if not parameter.multiple_or or parameter.is_date or parameter.is_reference:
            return
        name = f"{'+'.join(search.names)}: several {parameter.name}"
        problems = []
        for query in self.queries(search)[: 1 if parameter.multiple_or == "MAY" else 2]:
            others = [(one, value) for one, value in query if one != parameter.name]
            beside = [one for one in self.candidates if all(self.parameters[key].finds(one, value) for key, value in others)]
            values = dict.fromkeys(value for one in beside for value in islice(parameter.values(one), 1))
            listed = [escaped(value) for value in parameter.listed if escaped(value) not in values]
            together = ",".join(list(islice(values, VALUES)) + listed[:VALUES])
            if "," in together:
                problems.append(self.compare([(one, together if one == parameter.name else value) for one, value in query]))
        self.note("or", name, weaker(parameter.multiple_or, search.expectation), problems)

    def chains(self, search: Search, parameter: Parameter, queries: list[Query]):
        """Chains through a reference: by a value of what it leads to."""
        for chain in parameter.chains:
            field, problems = chain["chain"], []
            for query in queries:
                target = self.sample.resources.get(dict(query)[parameter.name])
                value = target and next(chained_values(target, field), None)
                if value:
                    asked = [(f"{one}.{field}", value) if one == parameter.name else (one, old) for one, old in query]
                    found = self.server.search(self.group.resource, asked)
                    problems.append(difference(found, self.expected_by_chain(parameter, field, value), self.sample))
            self.note("chain", f"{parameter.name}.{field}", weaker(chain["expectation"], search.expectation), problems)

    def expected_by_chain(self, parameter: Parameter, field: str, value: str) -> set[str]:
        targets = {name for name, one in self.sample.resources.items() if value in chained_values(one, field)}
        resources = self.sample.by_type[self.group.resource]
        return {name_of(one) for one in resources if targets.intersection(parameter.values(one))}

    # ---- includes ----------------------------------------------------------------------------

    def includes(self):
        for include in self.group.includes:
            self.include(include)
        for revinclude in self.group.revincludes:
            self.revinclude(revinclude)

    def bases(self) -> list[Query]:
        """Searches to include by: the first required one, and by id."""
        first = self.queries(self.group.searches[0]) if self.group.searches else []
        return first + [[("_id", one["id"])] for one in self.candidates]

    def include(self, include: str):
        _, parameter, *target = include.split(":")
        problems = []
        for query in self.bases():
            matched = self.matched(query)
            elements = [one.get(key) for one in matched for key in (parameter, f"{parameter}Reference")]
            named = {text for text in references(elements) if text in self.sample.resources}
            wanted = {text for text in named if not target or text.startswith(f"{target[0]}/")}
            if wanted and len(problems) < TRIES:
                problems.append(self.included([*query, ("_include", include)], wanted))
        self.note("include", include, "SHALL", problems)

    def revinclude(self, revinclude: str):
        source, parameter = revinclude.split(":")
        problems = []
        for query in self.bases():
            names = {name_of(one) for one in self.matched(query)}
            sources = self.sample.by_type[source]
            wanted = {name_of(one) for one in sources if names & set(references(one.get(parameter)))}
            if wanted and len(problems) < TRIES:
                problems.append(self.included([*query, ("_revinclude", revinclude)], wanted))
        self.note("revinclude", revinclude, "SHALL", problems)

    def matched(self, query: Query) -> list[dict]:
        by_id = dict(query).get("_id")
        names = [f"{self.group.resource}/{by_id}"] if by_id else self.expected(query)
        return [self.sample.resources[name] for name in names]

    def included(self, query: Query, wanted: set[str]) -> str | None:
        found = self.server.search(self.group.resource, query)
        ours = found.included.keys() & self.sample.resources.keys()
        if found.problem or ours == wanted:
            return found.problem and f"{found.url}: {found.problem}"
        return f"{found.url}: {len(wanted - ours)} not included, {len(ours - wanted)} included without need"


def difference(found: Found, expected: set[str], sample: Sample) -> str | None:
    """What is wrong with an answer. Resources that are not of the sample cannot be judged and do not count."""
    if found.problem:
        return f"{found.url}: {found.problem}"
    ours = found.matches.keys() & sample.resources.keys()
    if ours == expected:
        return None
    missing, surplus = sorted(expected - ours), sorted(ours - expected)
    return f"{found.url}: {len(missing)} of {len(expected)} missing {missing[:1]}, {len(surplus)} too many {surplus[:1]}"


def precisions(text: str) -> list[str]:
    """A date as it was sent, and its day."""
    return list(dict.fromkeys([text, dates.day(text)]))


def weaker(one: str, other: str) -> str:
    """Of two expectations that both apply, the one that binds less."""
    order = ("SHALL", "SHOULD", "MAY")
    return order[max(order.index(one), order.index(other))]


def in_turns(items: Iterable, key: Callable) -> list:
    """The items, taking turns between those with different keys."""
    heaps: dict = {}
    for item in items:
        heaps.setdefault(key(item), []).append(item)
    longest = max(map(len, heaps.values()), default=0)
    return [heap[at] for at in range(longest) for heap in heaps.values() if at < len(heap)]


def chained_values(resource: dict, field: str):
    """Values to chain by. The metadata do not type the field: identifiers and names are told by their form."""
    for element in resource.get(field, []) if isinstance(resource.get(field), list) else [resource.get(field)]:
        if isinstance(element, str):
            yield escaped(element)
        elif isinstance(element, dict) and "value" in element:
            yield f"{escaped(element.get('system', ''))}|{escaped(element['value'])}"
        elif isinstance(element, dict) and "family" in element:
            yield escaped(element["family"])
