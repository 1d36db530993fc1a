"""Must-support elements: what the sample has of them comes back from searches."""

from elements import Slices, at
from metadata import Group
from report import Report


def check(group: Group, sent: list[dict], returned: list[dict], report: Report):
    """Compares what of a profile's must-supports is in the resources sent with what is in those returned. What the
    sample lacks cannot be told, unless a choice of elements lets another one stand for it."""
    must = group.must_supports
    tests = {}
    for extension in must.get("extensions", []):
        tests[extension["id"]] = lambda one, it=extension: [e for e in at(one, it["path"]) if e.get("url") == it["url"]]
    slices = Slices(must.get("slices", []))
    for slice_ in must.get("slices", []):
        tests[slice_["slice_id"]] = lambda one, it=slice_: slices.members(one, it)
    for element in must["elements"]:
        tests[element_name(element)] = lambda one, it=element: found(one, it, slices)
    choices = [set(choice.get("paths", [])) | set(choice.get("extension_ids", [])) for choice in must.get("choices", [])]
    has = {name: any(test(one) for one in sent) for name, test in tests.items()}
    for name, test in tests.items():
        if has[name]:
            problems = [] if any(test(one) for one in returned) else ["it was sent, and is in no answer"]
        else:
            instead = any(name in choice and any(has.get(other) for other in choice) for choice in choices)
            problems = [] if instead else None
        report.add(group.title, "must-support", name, "SHALL", problems)


def element_name(element: dict) -> str:
    fixed = element.get("fixed_value")
    return f"{element['path']} = {fixed}" if fixed else element["path"]


def found(resource: dict, element: dict, slices: Slices) -> list:
    values = [value for value in at(resource, element["path"], slices) if value not in (None, "", [], {})]
    return [value for value in values if value == element["fixed_value"]] if "fixed_value" in element else values
