// What the clients' tests share: where the server is, and resources of their own.

import { randomUUID } from 'node:crypto';

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run these tests by conformance/run`);
  return value;
}

export const base = required('SALUS_FHIR');
export const token = required('SALUS_TOKEN');

const SYSTEM = 'urn:salus:clients';

// A patient that only this test has.
export function patient(tag = randomUUID(), family = 'Ångström') {
  return {
    resourceType: 'Patient',
    identifier: [{ system: SYSTEM, value: tag }],
    name: [{ family, given: ['Anna', 'Lisa'] }],
    gender: 'female',
    birthDate: '1970-03-01',
  };
}

export function identifierOf(resource) {
  return `${SYSTEM}|${resource.identifier[0].value}`;
}

export function observation(subject, value) {
  return {
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
    subject: { reference: `Patient/${subject}` },
    effectiveDateTime: `2024-05-${String(value % 28 + 1).padStart(2, '0')}`,
    valueQuantity: { value, unit: 'beats/min', system: 'http://unitsofmeasure.org', code: '/min' },
  };
}

// Whether the server says that it patches.
export function patches(statement) {
  const listed = statement.rest[0].resource.find((one) => one.type === 'Patient');
  return listed.interaction.some((one) => one.code === 'patch');
}

export const count = 7;
