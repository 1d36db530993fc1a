"""What the clients' tests share: where the server is, and resources of their own."""

import os
import uuid

import pytest
import requests

SYSTEM = "urn:salus:clients"
HEART_RATE = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}


def required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: run these tests by conformance/run", returncode=2)
    return value


@pytest.fixture(scope="session")
def base() -> str:
    return required("SALUS_FHIR")


@pytest.fixture(scope="session")
def token() -> str:
    return required("SALUS_TOKEN")


@pytest.fixture(scope="session")
def offers_patch(base) -> bool:
    """Whether the server says that it patches."""
    resources = requests.get(f"{base}/metadata", timeout=60).json()["rest"][0]["resource"]
    patient = next(one for one in resources if one["type"] == "Patient")
    return "patch" in {one["code"] for one in patient["interaction"]}


@pytest.fixture
def patient() -> dict:
    """A patient that only this test has."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": SYSTEM, "value": str(uuid.uuid4())}],
        "name": [{"family": "Ångström", "given": ["Anna", "Lisa"]}],
        "gender": "female",
        "birthDate": "1970-03-01",
    }


@pytest.fixture
def observations():
    """Heart rates of a patient, one a day."""

    def made(patient_id: str, number: int = 7) -> list[dict]:
        return [
            {
                "resourceType": "Observation",
                "status": "final",
                "code": HEART_RATE,
                "subject": {"reference": f"Patient/{patient_id}"},
                "effectiveDateTime": f"2024-05-{day:02}T10:00:00Z",
                "valueQuantity": {"value": 60 + day, "unit": "beats/min", "system": "http://unitsofmeasure.org", "code": "/min"},
            }
            for day in range(1, number + 1)
        ]

    return made
