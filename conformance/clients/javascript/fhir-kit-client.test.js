// fhir-kit-client against the running server.

import assert from 'node:assert/strict';
import test from 'node:test';

import Client from 'fhir-kit-client';

import { base, count, identifierOf, observation, patches, patient, token } from './support.js';

const client = new Client({ baseUrl: base, bearerToken: token });

test('fhir-kit-client creates, reads and updates by version', async () => {
  const sent = patient();
  const created = await client.create({ resourceType: 'Patient', body: sent });
  assert.equal(created.meta.versionId, '1');
  const read = await client.read({ resourceType: 'Patient', id: created.id });
  assert.deepEqual(read.name, sent.name);
  const { response } = Client.httpFor(read);
  const etag = response.headers.get('etag');
  assert.equal(etag, 'W/"1"');
  const options = { headers: { 'If-Match': etag } };
  const updated = await client.update({ resourceType: 'Patient', id: created.id, body: { ...read, active: true }, options });
  assert.equal(updated.meta.versionId, '2');
  const stale = client.update({ resourceType: 'Patient', id: created.id, body: read, options });
  await assert.rejects(stale, (error) => error.response.status === 412 && error.response.data.resourceType === 'OperationOutcome');
  const before = await client.vread({ resourceType: 'Patient', id: created.id, version: '1' });
  assert.equal(before.active, undefined);
});

test('fhir-kit-client searches by GET and POST, follows pages both ways, and includes', async () => {
  const { id } = await client.create({ resourceType: 'Patient', body: patient() });
  for (let value = 60; value < 60 + count; value += 1) {
    await client.create({ resourceType: 'Observation', body: observation(id, value) });
  }
  const searchParams = { patient: id, code: 'http://loinc.org|8867-4', _sort: '-date', _count: 3, _include: 'Observation:subject' };
  for (const postSearch of [false, true]) {
    const first = await client.search({ resourceType: 'Observation', searchParams, options: { postSearch } });
    assert.equal(first.total, count);
    const values = [];
    const pages = [];
    for (let page = first; page; page = await client.nextPage({ bundle: page })) {
      pages.push(page);
      const modes = page.entry.map((entry) => entry.search.mode);
      assert.equal(modes.filter((mode) => mode === 'include').length, 1, 'the patient stands on each page');
      values.push(...page.entry.filter((entry) => entry.search.mode === 'match').map((entry) => entry.resource.valueQuantity.value));
    }
    assert.equal(pages.length, 3);
    assert.deepEqual([...values].sort((a, b) => a - b), Array.from({ length: count }, (_, at) => 60 + at));
    const back = await client.prevPage({ bundle: pages[1] });
    if (back) assert.deepEqual(ids(back), ids(pages[0]));
  }
  const inCompartment = await client.search({
    resourceType: 'Observation', compartment: { resourceType: 'Patient', id }, searchParams: { _summary: 'count' },
  });
  assert.equal(inCompartment.total, count);
});

test('fhir-kit-client resolves references', async () => {
  const { id } = await client.create({ resourceType: 'Patient', body: patient() });
  const created = await client.create({ resourceType: 'Observation', body: observation(id, 70) });
  const resolved = await client.resolve({ reference: created.subject.reference });
  assert.equal(resolved.id, id);
});

test('fhir-kit-client sends batches and transactions', async () => {
  const entry = { fullUrl: 'urn:uuid:0b3a6c4e-6d4f-4f6a-9c6b-0d4f4a6f3a11', resource: patient(), request: { method: 'POST', url: 'Patient' } };
  const referring = observation('x', 61);
  referring.subject.reference = entry.fullUrl;
  const transaction = {
    resourceType: 'Bundle', type: 'transaction',
    entry: [entry, { resource: referring, request: { method: 'POST', url: 'Observation' } }],
  };
  const answer = await client.transaction({ body: transaction });
  assert.equal(answer.type, 'transaction-response');
  const [, id] = answer.entry[0].response.location.match(/Patient\/([^/]+)/);
  const batch = {
    resourceType: 'Bundle', type: 'batch',
    entry: [
      { request: { method: 'GET', url: `Patient/${id}` } },
      { request: { method: 'GET', url: `Observation?patient=${id}` } },
      { request: { method: 'GET', url: 'Patient/there-is-none' } },
    ],
  };
  const { entry: [read, search, missing] } = await client.batch({ body: batch });
  assert.equal(read.resource.id, id);
  assert.equal(search.resource.entry.length, 1);
  assert.match(missing.response.status, /^404/);
});

test('fhir-kit-client patches', async () => {
  assert.ok(patches(await client.capabilityStatement()));
  const { id } = await client.create({ resourceType: 'Patient', body: patient() });
  const JSONPatch = [{ op: 'replace', path: '/gender', value: 'other' }];
  await client.patch({ resourceType: 'Patient', id, JSONPatch });
  const read = await client.read({ resourceType: 'Patient', id });
  assert.deepEqual([read.gender, read.meta.versionId], ['other', '2']);
});

test('fhir-kit-client deletes, and the history tells', async () => {
  const { id } = await client.create({ resourceType: 'Patient', body: patient() });
  await client.update({ resourceType: 'Patient', id, body: { ...patient(), id } });
  await client.delete({ resourceType: 'Patient', id });
  await assert.rejects(client.read({ resourceType: 'Patient', id }), (error) => error.response.status === 410);
  const history = await client.history({ resourceType: 'Patient', id });
  assert.deepEqual(history.entry.map((entry) => entry.request.method), ['DELETE', 'PUT', 'POST']);
  const ofType = await client.history({ resourceType: 'Patient' });
  assert.equal(ofType.type, 'history');
  const ofAll = await client.history();
  assert.equal(ofAll.type, 'history');
});

test('fhir-kit-client finds by identifier and creates once', async () => {
  const body = patient();
  const options = { headers: { 'If-None-Exist': `identifier=${identifierOf(body)}` } };
  const first = await client.create({ resourceType: 'Patient', body, options });
  const second = await client.create({ resourceType: 'Patient', body, options });
  assert.equal(second.id, first.id);
  const found = await client.search({ resourceType: 'Patient', searchParams: { identifier: identifierOf(body), name: 'angst' } });
  assert.deepEqual(ids(found), [first.id]);
});

function ids(bundle) {
  return bundle.entry.filter((entry) => entry.search.mode === 'match').map((entry) => entry.resource.id);
}
