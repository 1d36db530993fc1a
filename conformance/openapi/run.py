"""schemathesis against the server's own OpenAPI description: whatever it sends, no answer is a 5xx.

    run.py ORIGIN TOKEN

Twice: with the description as it stands, for what no client should send; and with one narrowed to ids, resources,
search parameters and values that are there, so that requests reach more than the first check. Inputs are the same
on every run, as far as the server's answers are. Exit status 1 where a server error came, or where hardly a request
of the narrowed kind succeeded."""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import requests

# Seconds for the description as it stands, and for the narrowed one.
SECONDS = (20, 35)
# Requests an operation in the last phase, at most.
EXAMPLES = 40
# So many requests of the narrowed kind succeed at least, however slow the machine: otherwise little was tried.
SUCCEEDED = 30
TYPES = ["Patient", "Observation", "Encounter", "Condition"]
IDS = ["fuzzed-1", "fuzzed-2", "fuzzed-3"]
# Values of parameters whose form the description does not say, good and bad.
USUAL = {
    "_at": ["2024", "2999-01-01T00:00:00Z"],
    "_count": ["0", "3", "1000000", "-1"],
    "_include": ["Observation:subject", "Encounter:*", "*", "Observation:nonsense"],
    "_lastUpdated": ["gt2020", "lt2020-02-30"],
    "_revinclude": ["Observation:subject", "Condition:encounter", "Observation:nonsense"],
    "_since": ["2020-01-01T00:00:00Z", "2020"],
    "_sort": ["_lastUpdated", "-_id", "-date,code", "nonsense"],
    "_total": ["none", "estimate", "accurate"],
    "_type": ["Patient,Observation", "Nonsense"],
    "end": ["2030"],
    "start": ["2010-01"],
    "version": ["1", "2"],
    "If-Match": ['W/"1"', 'W/"2"'],
    "If-None-Exist": ["identifier=a|b", "gender=female"],
    "Prefer": ["return=minimal", "handling=strict"],
}


def main() -> int:
    origin, token = sys.argv[1:]
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    description = session.get(f"{origin}/openapi.json", timeout=60).json()
    narrowed = narrow(json.loads(json.dumps(description)), session, origin)
    status = 0
    for seconds, what, mode in zip(SECONDS, (description, narrowed), ("all", "positive")):
        before = answers(session, origin)
        status |= fuzz(what, origin, token, seconds, mode)
        classes = answers(session, origin) - before
        print(f"answers by class of status: {dict(sorted(classes.items()))}")
        status |= classes["5xx"] > 0
    if classes["2xx"] < SUCCEEDED:
        print("FAILED: hardly a request succeeded")
        status = 1
    return int(status)


def fuzz(description: dict, origin: str, token: str, seconds: int, mode: str) -> int:
    # What schemathesis leaves behind, it leaves in a folder of its own.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "openapi.json").write_text(json.dumps(description))
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", "openapi.json", "--url", origin,
            "--header", f"Authorization: Bearer {token}",
            "--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing",
            "--max-examples", str(EXAMPLES), "--max-time", str(seconds), "--mode", mode, "--generation-deterministic",
            "--continue-on-failure", "--no-shrink", "--warnings", "off", "--no-color", "--request-timeout", "30",
        ]
        return subprocess.run(command, cwd=folder, check=False).returncode


def narrow(description: dict, session: requests.Session, origin: str) -> dict:
    """The description with nothing but ids, resources, search parameters and values that are there or usual."""
    resources = [stored(session, origin, name, id_) for name in TYPES for id_ in IDS]
    schemas = description["components"]["schemas"]
    schemas["Id"]["enum"] = IDS
    schemas["ResourceType"]["enum"] = TYPES
    criteria = {"type": "object", "properties": parameters(session, origin), "additionalProperties": False}
    for path, item in description["paths"].items():
        for operation in (one for one in item.values() if isinstance(one, dict)):
            narrow_body(path, operation, resources)
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "criteria":
                    parameter["schema"] = criteria
                elif parameter["name"] in USUAL:
                    parameter["schema"] = {"type": "string", "enum": USUAL[parameter["name"]]}
    return description


def narrow_body(path: str, operation: dict, resources: list[dict]):
    """Gives the body of an operation the kinds of resource that it takes."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/fhir+json")
    if body and "$" in path:
        subject = {"name": "patient", "valueReference": {"reference": f"Patient/{IDS[0]}"}}
        body["schema"] = {"enum": [{"resourceType": "Parameters", "parameter": [subject]}, {"resourceType": "Parameters"}]}
    elif body:
        body["schema"] = {"enum": resources if "{type}" in path else [batch(resources), batch(resources[:2])]}


def stored(session: requests.Session, origin: str, name: str, id_: str) -> dict:
    """A resource of the demo, stored again under an id that resources of all types have here."""
    found = session.get(f"{origin}/fhir/{name}?_count=1", timeout=60).json()["entry"][0]["resource"]
    found["id"] = id_
    answer = session.put(f"{origin}/fhir/{name}/{id_}", json=found, timeout=60)
    if answer.status_code not in (200, 201):
        raise SystemExit(f"{name}/{id_}: {answer.status_code} {answer.text}")
    return found


def batch(resources: list[dict]) -> dict:
    """A batch that updates and reads."""
    paths = [f"{one['resourceType']}/{one['id']}" for one in resources]
    updates = [{"resource": one, "request": {"method": "PUT", "url": path}} for one, path in zip(resources, paths)]
    return {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": updates + [{"request": {"method": "GET", "url": path}} for path in paths],
    }


def parameters(session: requests.Session, origin: str) -> dict:
    """The search parameters of some types, with the form of their values."""
    forms = {
        "date": r"^(eq|ne|gt|ge|lt|le|sa|eb|ap)?\d{4}(-\d{2}){0,2}$",
        "number": r"^(eq|ne|gt|ge|lt|le)?-?\d{1,5}(\.\d{1,3})?$",
        "quantity": r"^(eq|ne|gt|ge|lt|le)?-?\d{1,5}(\.\d{1,3})?(\|[^|]{0,10}\|[a-z/]{0,6})?$",
        "token": r"^([a-z:/]{0,12}\|)?[A-Za-z0-9\-]{0,10}$",
        "reference": r"^([A-Z][a-z]{3,8}/)?[a-z0-9]{1,8}$",
    }
    rest = session.get(f"{origin}/fhir/metadata", timeout=60).json()["rest"][0]
    listed = [one for resource in rest["resource"] if resource["type"] in TYPES for one in resource["searchParam"]]
    typed = lambda one: {"type": "string"} | ({"pattern": forms[one["type"]]} if one["type"] in forms else {})
    return {one["name"]: typed(one) for one in [*listed, *rest["searchParam"]]}


def answers(session: requests.Session, origin: str) -> Counter:
    """FHIR answers so far by class of status, as the server counts them."""
    line = re.compile(r'^salus_fhir_request_duration_seconds_count\{.*status="(\dxx)"\} (\d+)$', re.MULTILINE)
    counts: Counter = Counter()
    for status, number in line.findall(session.get(f"{origin}/metrics", timeout=60).text):
        counts[status] += int(number)
    return counts


if __name__ == "__main__":
    raise SystemExit(main())
