"""The server under test: its API, and the sample patients that were loaded through it."""

import gzip
import json
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlencode

import requests

from elements import with_references

FHIR_JSON = "application/fhir+json"


class Server:
    """A FHIR base URL and an access token. Answers to searches are kept: many profiles ask the same."""

    def __init__(self, base: str, token: str):
        self.base = base.rstrip("/")
        self.session = requests.Session()
        self.session.headers.update(
            {"Authorization": f"Bearer {token}", "Accept": FHIR_JSON, "Prefer": "handling=strict"}
        )
        self.requests = 0
        self.searched: dict[tuple, Found] = {}
        # Every resource that was shown so far, by searches and by reads.
        self.shown: dict[str, dict] = {}

    def send(self, method: str, path: str, body: dict | None = None, content_type: str = FHIR_JSON, **headers):
        """A request below the base, or to an absolute URL."""
        self.requests += 1
        url = path if path.startswith("http") else f"{self.base}/{path}".rstrip("/")
        data = None if body is None else json.dumps(body)
        headers |= {"Content-Type": content_type} if data else {}
        return self.session.request(method, url, data=data, headers=headers, timeout=120)

    def search(self, resource: str, query: list[tuple[str, str]], post: bool = False) -> "Found":
        """All pages of a search."""
        key = (resource, tuple(query), post)
        if key not in self.searched:
            found = self.searched[key] = self.all_pages(resource, query, post)
            self.shown |= found.matches | found.included
        return self.searched[key]

    def all_pages(self, resource: str, query: list[tuple[str, str]], post: bool) -> "Found":
        self.requests += 1
        if post:
            answer = self.session.post(f"{self.base}/{resource}/_search", data=query, timeout=120)
        else:
            answer = self.session.get(f"{self.base}/{resource}?{urlencode(query)}", timeout=120)
        found = Found(f"{'POST ' if post else ''}{resource}?{urlencode(query)}")
        while True:
            if answer.status_code != 200:
                found.problem = f"status {answer.status_code}: {answer.text[:300]}"
                return found
            bundle = answer.json()
            found.take(bundle)
            following = [link["url"] for link in bundle.get("link", []) if link["relation"] == "next"]
            if not following:
                return found
            answer = self.send("GET", following[0])

    def read(self, path: str) -> requests.Response:
        """A read or vread."""
        answer = self.send("GET", path)
        if answer.status_code == 200:
            self.shown[name_of(answer.json())] = answer.json()
        return answer

    def capabilities(self) -> dict:
        return self.send("GET", "metadata").json()


class Found:
    """What a search answered."""

    def __init__(self, url: str):
        self.url = url
        self.problem: str | None = None
        self.matches: dict[str, dict] = {}
        self.included: dict[str, dict] = {}

    def take(self, bundle: dict):
        for entry in bundle.get("entry", []):
            resource = entry["resource"]
            name = f"{resource['resourceType']}/{resource.get('id')}"
            match entry.get("search", {}).get("mode"):
                case "match" if name in self.matches:
                    self.problem = f"{name} came twice"
                case "match":
                    self.matches[name] = resource
                case "include":
                    self.included[name] = resource
                case mode:
                    self.problem = f"an entry of mode {mode}: {json.dumps(resource)[:300]}"


class Sample:
    """The sample resources as they ought to stand on the server, by `Type/id` and by type."""

    def __init__(self):
        self.resources: dict[str, dict] = {}
        self.by_type: dict[str, list[dict]] = defaultdict(list)

    def load(self, server: Server, folder: Path):
        """Posts every transaction of the folder with patients in it; whatever else there is (the group of the
        patients) is stored by its id."""
        for path in sorted(folder.glob("*.json.gz"), key=lambda path: "bundle" not in path.name):
            content = json.loads(gzip.decompress(path.read_bytes()))
            if content["resourceType"] == "Bundle":
                self.load_transaction(server, path.name, content)
            else:
                name = f"{content['resourceType']}/{content['id']}"
                answer = server.send("PUT", name, content)
                if answer.status_code not in (200, 201):
                    raise SystemExit(f"{path.name}: {answer.status_code} {answer.text[:500]}")
                self.add(name, content)

    def load_transaction(self, server: Server, name: str, bundle: dict):
        answer = server.send("POST", "", bundle)
        if answer.status_code != 200:
            raise SystemExit(f"{name}: {answer.status_code} {answer.text[:500]}")
        places = [entry["response"]["location"] for entry in answer.json()["entry"]]
        names = ["/".join(place.split("/_history/")[0].rsplit("/", 2)[-2:]) for place in places]
        given = [entry.get("fullUrl") for entry in bundle["entry"]]
        rewritten = {old: new for old, new in zip(given, names) if old}
        for entry, name in zip(bundle["entry"], names):
            self.add(name, with_references(entry["resource"], lambda text: rewritten.get(text, text)))

    def add(self, name: str, resource: dict):
        resource["id"] = name.split("/")[1]
        self.resources[name] = resource
        self.by_type[resource["resourceType"]].append(resource)


def name_of(resource: dict) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def same_content(sent: dict, stored: dict) -> bool:
    """Whether a resource came back as it was sent, but for what the server sets."""
    return without_server_meta(sent) == without_server_meta(stored)


def without_server_meta(resource: dict) -> dict:
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return rest | ({"meta": meta} if meta else {})
