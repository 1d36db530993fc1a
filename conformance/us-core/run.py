"""Checks a running server against the requirements of US Core 6.1.0.

    run.py --fhir URL --salus BINARY --data-dir DIR --shared ../shared/data [--write RESULTS.md]

The server has the US Core package added and no resource of the sample yet. Exit status 1 where a requirement fails
that known-gaps.txt does not name, and where one is met that it names."""

import argparse
import subprocess
import time
from datetime import date
from pathlib import Path

import granular
import metadata
import must_support
from capability import Capabilities
from interactions import Interactions
from report import Report
from searches import Searches
from server import Sample, Server, name_of


def main() -> int:
    arguments = parsed()
    begun = time.monotonic()
    sign_in = lambda scope: Server(arguments.fhir, token(arguments, scope))
    server, sample, report = sign_in("system/*.cruds"), Sample(), Report()
    groups = metadata.read(arguments.shared / "inferno-requirements/us_core_610_metadata")
    sample.load(server, arguments.shared / "uscore-sample")
    check(groups, server, sample, report, sign_in)
    print(report.text())
    counts = report.counts()
    seconds = time.monotonic() - begun
    print(f"US Core 6.1.0, {len(groups)} profiles, {server.requests} requests, {seconds:.0f} s")
    print(f"{counts['passed']} requirements met, {counts['failed']} failed, {counts['not testable']} not testable")
    if arguments.write:
        arguments.write.write_text(report.markdown(head(len(groups), sample)))
    return judged(report)


def judged(report: Report) -> int:
    """The exit status: 0 where what fails is what is known to."""
    lines = (Path(__file__).parent / "known-gaps.txt").read_text().splitlines()
    known = {line for line in lines if line and not line.startswith("#")}
    failed = {f"{one.profile}\t{one.kind} {one.name}" for one in report.failed()}
    for line in sorted(failed & known):
        print(f"known gap: {line}")
    for line in sorted(failed - known):
        print(f"NOT MET: {line}")
    for line in sorted(known - failed):
        print(f"NO LONGER A GAP (take it from known-gaps.txt): {line}")
    return int(failed != known)


def check(groups, server: Server, sample: Sample, report: Report, sign_in):
    capabilities = Capabilities(server.capabilities())
    searches: dict[str, Searches] = {}
    for group in groups:
        of_type = sample.by_type[group.resource]
        candidates = [one for one in of_type if group.claimed_by(one)] or [one for one in of_type if group.fits(one)]
        searches[group.title] = Searches(server, sample, report, group, candidates)
        searches[group.title].check()
        capabilities.check(group, report)
    granular.check(groups, searches, sample, report, sign_in)
    for group in groups:
        candidates = searches[group.title].candidates
        Interactions(server, sample, report, group, candidates, capabilities.interactions(group.resource)).check()
        must_support.check(group, candidates, returned(server, candidates), report)


def returned(server: Server, candidates: list[dict]) -> list[dict]:
    """The resources as searches and reads have shown them."""
    return [server.shown[name_of(one)] for one in candidates if name_of(one) in server.shown]


def token(arguments, scope: str) -> str:
    command = [arguments.salus, "token", "--data-dir", arguments.data_dir, "--scope", scope]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def head(profiles: int, sample: Sample) -> str:
    return f"""# US Core 6.1.0 against Salus

Written by `UPDATE_RESULTS=1 conformance/run us-core` on {date.today().isoformat()}: {profiles} profiles, {len(sample.resources)} sample resources, loaded
through the API. What each check does: [README](README.md). A requirement is not testable where no sample resource has the values it needs.
"""


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fhir", required=True, help="FHIR base URL")
    parser.add_argument("--salus", required=True, help="the salus binary, for tokens")
    parser.add_argument("--data-dir", required=True, help="data directory of the server")
    parser.add_argument("--shared", type=Path, required=True, help="the folder of the data sets")
    parser.add_argument("--write", type=Path, help="write the results to this file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
