"""fhirpy against the running server."""

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound


@pytest.fixture
def client(base, token) -> SyncFHIRClient:
    return SyncFHIRClient(base, authorization=f"Bearer {token}")


@pytest.fixture
def stored(client, patient):
    return client.resource("Patient", **patient).create()


def test_create_read_update(client, stored, patient):
    read = client.reference("Patient", stored.id).to_resource()
    assert (read["name"], read["meta"]["versionId"]) == (patient["name"], "1")
    read["active"] = True
    read.update()
    assert client.get("Patient", stored.id)["active"] is True


def test_refresh_of_what_has_not_changed(client, stored):
    """fhirpy asks with the bare version as If-None-Match; it gets the resource or 304, and both are well."""
    stored.refresh()
    assert stored["meta"]["versionId"] == "1"
    client.resource("Patient", **(dict(stored) | {"active": True})).update()
    stored.refresh()
    assert (stored["meta"]["versionId"], stored["active"]) == ("2", True)


def test_search_with_pages_sort_and_modifiers(client, stored, observations):
    for one in observations(stored.id):
        client.resource("Observation", **one).create()
    search = client.resources("Observation").search(subject=stored, code="http://loinc.org|8867-4")
    assert search.count() == 7
    dates = [one["effectiveDateTime"] for one in search.sort("-date").limit(3)]
    assert dates == sorted(dates, reverse=True) and len(dates) == 7
    assert len(search.search(date__ge="2024-05-03", date__lt="2024-05-06").fetch_all()) == 3
    assert len(client.resources("Patient").search(name__contains="ngstr", identifier=identifier(stored)).fetch()) == 1
    assert search.search(value_quantity__gt="66").count() == 1
    assert client.resources("Observation").search(patient__Patient__identifier=identifier(stored)).count() == 7
    assert client.resources("Patient").has("Observation", "patient", code="8867-4").search(_id=stored.id).count() == 1


def test_include_and_revinclude(client, stored, observations):
    client.resource("Observation", **observations(stored.id, 1)[0]).create()
    bundle = client.resources("Observation").search(patient=stored.id).include("Observation", "subject").fetch_raw()
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "include"]
    bundle = client.resources("Patient").search(_id=stored.id).revinclude("Observation", "subject").fetch_raw()
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["Patient", "Observation"]
    elements = client.resources("Patient").search(_id=stored.id).elements("birthDate").fetch_raw()
    assert elements["entry"][0]["resource"]["birthDate"] == "1970-03-01"


def test_conditional_update(client, patient):
    search = client.resources("Patient").search(identifier=identifier(patient))
    first, created = search.update(client.resource("Patient", **patient))
    again, created_again = search.update(client.resource("Patient", **(patient | {"active": True})))
    assert (created, created_again, again.id, again["active"]) == (True, False, first.id, True)


def test_its_get_or_create_is_not_one_of_fhir(client, patient):
    """fhirpy puts the criteria into the URL; R4 has If-None-Exist for them (http.html#ccreate). The server refuses
    rather than make a second copy."""
    search = client.resources("Patient").search(identifier=identifier(patient))
    with pytest.raises(OperationOutcome) as raised:
        search.get_or_create(client.resource("Patient", **patient))
    assert "If-None-Exist" in str(raised.value)
    assert search.fetch() == []


def test_history(client, stored):
    stored["active"] = True
    stored.update()
    history = client.execute(f"Patient/{stored.id}/_history", method="get")
    assert [entry["resource"]["meta"]["versionId"] for entry in history["entry"]] == ["2", "1"]


def test_delete(client, stored):
    stored.delete()
    with pytest.raises(ResourceNotFound):
        client.get("Patient", stored.id)
    assert client.resources("Patient").search(_id=stored.id).fetch() == []


def test_its_patch_is_not_one_of_fhir(client, stored):
    """fhirpy patches by merging JSON (`application/json`), which R4 does not know (http.html#patch): the server
    refuses that in an OperationOutcome and changes nothing."""
    with pytest.raises(OperationOutcome):
        client.resource("Patient", id=stored.id).patch(gender="other")
    read = client.get("Patient", stored.id)
    assert (read["gender"], read["meta"]["versionId"]) == ("female", "1")


def test_errors_are_outcomes(client):
    with pytest.raises(OperationOutcome) as raised:
        client.resource("Patient", birthDate="yesterday").create()
    assert "birthDate" in str(raised.value)


def identifier(resource) -> str:
    one = resource["identifier"][0]
    return f"{one['system']}|{one['value']}"
