// fhirclient, the JavaScript client of SMART Health IT, as a backend uses it.

import assert from 'node:assert/strict';
import test from 'node:test';

import smart from 'fhirclient';

import { base, count, identifierOf, observation, patches, patient, token } from './support.js';

// The library keeps its state in the session of a web framework; a backend has none.
const storage = { get: async () => undefined, set: async (_, value) => value, unset: async () => true };
const request = { headers: { host: 'localhost' }, url: '/' };
const client = smart(request, {}, storage).client({ serverUrl: base, tokenResponse: { access_token: token } });

test('fhirclient creates, reads, updates and deletes', async () => {
  const sent = patient();
  const created = await client.create(sent);
  const read = await client.request(`Patient/${created.id}`);
  assert.deepEqual(read.identifier, sent.identifier);
  const updated = await client.update({ ...read, active: false });
  assert.deepEqual([updated.active, updated.meta.versionId], [false, '2']);
  await client.delete(`Patient/${created.id}`);
  await assert.rejects(client.request(`Patient/${created.id}`), (error) => error.status === 410);
});

test('fhirclient knows the release', async () => {
  assert.equal(await client.getFhirRelease(), 4);
});

test('fhirclient follows the pages of a search, and the references in them', async () => {
  const { id } = await client.create(patient());
  for (let value = 60; value < 60 + count; value += 1) await client.create(observation(id, value));
  const query = `Observation?patient=${id}&_count=2&_sort=date`;
  const pages = await client.request(query, { pageLimit: 0, flat: true });
  assert.equal(pages.length, count);
  assert.equal(new Set(pages.map((one) => one.id)).size, count);
  let seen = 0;
  for await (const one of client.resources(query)) {
    assert.equal(one.resourceType, 'Observation');
    seen += 1;
  }
  assert.equal(seen, count);
  const resolved = await client.request(query, { resolveReferences: ['subject'], flat: true });
  assert.equal(resolved[0].subject.id, id);
  const heart = client.byCodes(pages, 'code');
  assert.equal(heart('8867-4').length, count);
});

test('fhirclient includes and reverse includes', async () => {
  const sent = patient();
  const { id } = await client.create(sent);
  await client.create(observation(id, 60));
  const search = new URLSearchParams({ identifier: identifierOf(sent), _revinclude: 'Observation:subject' });
  const bundle = await client.request(`Patient?${search}`);
  assert.deepEqual(bundle.entry.map((entry) => [entry.resource.resourceType, entry.search.mode]), [
    ['Patient', 'match'], ['Observation', 'include'],
  ]);
});

test('fhirclient reads histories', async () => {
  const created = await client.create(patient());
  await client.update({ ...created, active: true });
  const history = await client.request(`Patient/${created.id}/_history`);
  assert.deepEqual(history.entry.map((entry) => entry.resource.meta.versionId), ['2', '1']);
});

test('fhirclient patches', async () => {
  assert.ok(patches(await client.request('metadata')));
  const { id } = await client.create(patient());
  const patched = await client.patch(`Patient/${id}`, [{ op: 'add', path: '/active', value: true }]);
  assert.equal(patched.active, true);
  await assert.rejects(client.patch(`Patient/${id}`, [{ op: 'test', path: '/active', value: false }]));
});
