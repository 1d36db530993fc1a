"""fhirclient, the Python client of SMART Health IT, against the running server."""

import pytest
import requests
from fhirclient.auth import FHIROAuth2Auth
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException


@pytest.fixture
def server(base, token):
    client = FHIRClient(settings={"app_id": "salus-conformance", "api_base": base})
    # Reads the CapabilityStatement, and finds OAuth2 endpoints in it; the token is a backend's, got beforehand.
    client.prepare()
    assert isinstance(client.server.auth, FHIROAuth2Auth)
    client.server.auth.access_token = token
    return client.server


@pytest.fixture
def stored(server, patient) -> Patient:
    made = Patient(patient)
    created = made.create(server)
    return Patient.read(created["id"], server)


def test_create_read_update(server, stored, patient):
    assert stored.name[0].as_json() == patient["name"][0]
    stored.active = True
    stored.update(server)
    again = Patient.read(stored.id, server)
    assert (again.active, again.meta.versionId) == (True, "2")


def test_search_pages(server, stored, observations):
    for one in observations(stored.id):
        Observation(one).create(server)
    search = Observation.where({"patient": stored.id, "code": "8867-4", "_count": "3"})
    pages = list(search.perform_iter(server))
    assert [len(page.entry) for page in pages] == [3, 3, 1]
    found = list(search.perform_resources_iter(server))
    assert len({one.id for one in found}) == 7
    older = Observation.where({"patient": stored.id, "date": {"$and": ["ge2024-05-03", "lt2024-05-06"]}})
    assert len(list(older.perform_resources_iter(server))) == 3


def test_include_and_revinclude(server, stored, observations):
    Observation(observations(stored.id, 1)[0]).create(server)
    bundle = Observation.where({"patient": stored.id}).include("subject").perform(server)
    assert [entry.search.mode for entry in bundle.entry] == ["match", "include"]
    bundle = Patient.where({"_id": stored.id}).include("subject", Observation, reverse=True).perform(server)
    assert [entry.resource.resource_type for entry in bundle.entry] == ["Patient", "Observation"]


def test_history(server, stored):
    stored.active = False
    stored.update(server)
    bundle = Bundle.read_from(f"Patient/{stored.id}/_history", server)
    assert bundle.type == "history"
    assert [entry.resource.meta.versionId for entry in bundle.entry] == ["2", "1"]


def test_patch(base, token, stored, offers_patch):
    """The library has no patch: this is what its users send beside it."""
    assert offers_patch
    answer = requests.patch(
        f"{base}/{stored.relativePath()}",
        json=[{"op": "replace", "path": "/gender", "value": "other"}],
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json-patch+json"},
        timeout=60,
    )
    assert (answer.status_code, answer.json()["gender"]) == (200, "other")


def test_delete(server, stored):
    stored.delete(server)
    with pytest.raises((FHIRNotFoundException, requests.HTTPError)) as raised:
        Patient.read(stored.id, server)
    assert getattr(raised.value, "response").status_code == 410
