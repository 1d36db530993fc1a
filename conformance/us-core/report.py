"""What was checked and how it went, as a table and as a page."""

from collections import Counter, defaultdict
from dataclasses import dataclass

PASSED, FAILED, UNTESTABLE = "passed", "failed", "not testable"

KINDS = {
    "search": "searches",
    "variant": "forms of a search (POST, system and code, typed and absolute references)",
    "comparator": "comparators of dates",
    "or": "several values",
    "chain": "chains",
    "include": "`_include`",
    "revinclude": "`_revinclude`",
    "interaction": "interactions",
    "operation": "operations",
    "must-support": "must-support elements come back",
    "reference": "references lead somewhere",
    "capability": "stated in the CapabilityStatement",
    "scope": "searches and reads under granular scopes",
}


@dataclass(frozen=True)
class Check:
    """One requirement of one profile, and its outcome."""

    profile: str
    kind: str
    name: str
    expectation: str
    outcome: str
    detail: str = ""


class Report:
    """All checks of a run."""

    def __init__(self):
        self.checks: list[Check] = []

    def add(self, profile: str, kind: str, name: str, expectation: str, problems: list[str] | None):
        """Records a requirement: `problems` is empty where it holds, None where the data cannot tell."""
        outcome = UNTESTABLE if problems is None else FAILED if problems else PASSED
        self.checks.append(Check(profile, kind, name, expectation, outcome, "; ".join((problems or [])[:3])))

    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.outcome == FAILED]

    def counts(self) -> Counter:
        return Counter(check.outcome for check in self.checks)

    def by_kind(self) -> list[tuple[str, str, Counter]]:
        """Kind, expectation and counts, in the order of `KINDS`."""
        counts: dict[tuple[str, str], Counter] = defaultdict(Counter)
        for check in self.checks:
            counts[check.kind, check.expectation][check.outcome] += 1
        order = list(KINDS)
        keys = sorted(counts, key=lambda key: (order.index(key[0]), ("SHALL", "SHOULD", "MAY").index(key[1])))
        return [(*key, counts[key]) for key in keys]

    def by_profile(self) -> dict[str, dict[str, Counter]]:
        table: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
        for check in self.checks:
            table[check.profile][check.kind][check.outcome] += 1
        return table

    def text(self) -> str:
        """The table for a terminal."""
        width = max(len(kind) for kind in KINDS)
        lines = [f"{'':{width}}  {'':6}  passed  failed  not testable"]
        for kind, expectation, counts in self.by_kind():
            numbers = f"{counts[PASSED]:6}  {counts[FAILED]:6}  {counts[UNTESTABLE]:12}"
            lines.append(f"{kind:{width}}  {expectation:6}  {numbers}")
        lines += [f"FAILED {one.profile}: {one.kind} {one.name} ({one.expectation}): {one.detail}" for one in self.failed()]
        return "\n".join(lines)

    def markdown(self, head: str) -> str:
        """The page to keep."""
        return "\n".join([head, *self.kind_table(), *self.profile_table(), *self.failures(), *self.untestable()]) + "\n"

    def kind_table(self) -> list[str]:
        lines = ["## By kind of requirement", "", "| requirement | | passed | failed | not testable |", "|---|---|---:|---:|---:|"]
        for kind, expectation, counts in self.by_kind():
            numbers = " | ".join(str(counts[outcome]) for outcome in (PASSED, FAILED, UNTESTABLE))
            lines.append(f"| {KINDS[kind]} | {expectation} | {numbers} |")
        counts = self.counts()
        numbers = " | ".join(str(counts[outcome]) for outcome in (PASSED, FAILED, UNTESTABLE))
        return [*lines, f"| all | | {numbers} |", ""]

    def profile_table(self) -> list[str]:
        kinds = [kind for kind in KINDS if any(check.kind == kind for check in self.checks)]
        lines = ["## By profile", "", "Passed / failed / not testable.", ""]
        lines += ["| profile | " + " | ".join(kinds) + " |", "|---|" + "---|" * len(kinds)]
        for profile, cells in self.by_profile().items():
            texts = [cell(cells[kind]) if kind in cells else "" for kind in kinds]
            lines.append(f"| {profile} | " + " | ".join(texts) + " |")
        return [*lines, ""]

    def failures(self) -> list[str]:
        lines = [f"- {one.profile}: {one.kind} `{one.name}` ({one.expectation}): {one.detail}" for one in self.failed()]
        return ["## Failed", "", *(lines or ["Nothing."]), ""]

    def untestable(self) -> list[str]:
        """What the sample data cannot tell, by profile and kind."""
        names: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in self.checks:
            if one.outcome == UNTESTABLE:
                names[one.profile, one.kind].append(one.name)
        lines = [f"- {profile}, {kind}: {', '.join(f'`{name}`' for name in found)}" for (profile, kind), found in names.items()]
        return ["## Not testable with the sample data", "", *(lines or ["Nothing."])]


def cell(counts: Counter) -> str:
    numbers = [counts[outcome] for outcome in (PASSED, FAILED, UNTESTABLE)]
    return " / ".join(f"**{number}**" if number and at == 1 else str(number) for at, number in enumerate(numbers))
