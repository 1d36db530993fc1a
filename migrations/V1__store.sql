-- Resources, their search index, Consent rules and the audit log.
--
-- Keys (uuid) are 128-bit hashes of facts, made by salus_fhir::Key. Times are microseconds since
-- 1970-01-01T00:00:00Z. `tenant` leads every primary key and `patient` (the key of the patient whose
-- compartment the row is in: nil for none, all ones for several) is the shard key, so that the schema
-- distributes without a rewrite.

CREATE TABLE resource (
    tenant  integer NOT NULL,
    rid     uuid    NOT NULL,           -- key of Type/id
    patient uuid    NOT NULL,
    type    text    COLLATE "C" NOT NULL,
    id      text    COLLATE "C" NOT NULL,
    version integer NOT NULL,
    updated bigint  NOT NULL,           -- meta.lastUpdated
    sort    bigint  NOT NULL,           -- natural date: when it happened, else when it was first stored
    deleted boolean NOT NULL,
    method  text    COLLATE "C" NOT NULL, -- POST, PUT, PATCH or DELETE: what made this version
    keys    uuid[]  NOT NULL,           -- every fact: what the access predicate and filters test
    indexed integer NOT NULL,           -- how many of them, from the first, stand in search_index
    patients text[] COLLATE "C" NOT NULL, -- ids of the patients whose compartments it is in, for the audit
    body    text    COLLATE "C",        -- as sent, with id and meta set; null when deleted
    PRIMARY KEY (tenant, rid)
);
-- Type and system history, _lastUpdated searches, incremental export and re-indexing. The collation, which sorts like
-- the column's own, keeps it for statements that name it: nearly every statement asks for a type, and on a table without
-- statistics the planner would go through all of that type rather than look up the few rows in question.
CREATE INDEX resource_updated ON resource (tenant, type COLLATE "POSIX", updated, rid);

-- The versions before the current one. The columns that the predicate asks for are the same.
CREATE TABLE resource_history (
    tenant  integer NOT NULL,
    rid     uuid    NOT NULL,
    patient uuid    NOT NULL,
    type    text    COLLATE "C" NOT NULL,
    id      text    COLLATE "C" NOT NULL,
    version integer NOT NULL,
    updated bigint  NOT NULL,
    sort    bigint  NOT NULL,
    deleted boolean NOT NULL,
    method  text    COLLATE "C" NOT NULL,
    keys    uuid[]  NOT NULL,
    patients text[] COLLATE "C" NOT NULL,
    body    text    COLLATE "C",
    PRIMARY KEY (tenant, rid, version)
);
-- Type and system history. The collation as above.
CREATE INDEX resource_history_updated ON resource_history (tenant, type COLLATE "POSIX", updated, rid);

-- Where searches start. One row a fact worth starting from; `low`/`high` hold dates, numbers and
-- quantities as order-preserving integers; for tokens `low` is a hash of the system and `high` is null.
CREATE TABLE search_index (
    tenant  integer NOT NULL,
    key     uuid    NOT NULL,
    sort    bigint  NOT NULL,
    rid     uuid    NOT NULL,
    low     bigint  NOT NULL DEFAULT 0,
    high    bigint,
    patient uuid    NOT NULL,
    -- Walks one key in natural order; a further range condition on a found row is a point probe.
    PRIMARY KEY (tenant, key, sort, rid, low) INCLUDE (high, patient)
);
-- How wide an interval is, so that the index below finds what reaches a moment among those of a class that begin at
-- most so long before it. The classes of salus_store: a minute, a day, a month, a year (and a little), all others.
CREATE FUNCTION width_class(low bigint, high bigint) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN high - 60000000 <= low THEN 0 WHEN high - 90000000000 <= low THEN 1
        WHEN high - 2764800000000 <= low THEN 2 WHEN high - 31708800000000 <= low THEN 3 ELSE 4 END::smallint;

-- Range searches that are the most selective condition (birthdate, value-quantity).
CREATE INDEX search_index_range ON search_index (tenant, key, width_class(low, high), low, high)
    WHERE high IS NOT NULL;

-- String parameters: `value` is normalised and cut to 300 characters, `exact` is as written.
CREATE TABLE search_string (
    tenant  integer NOT NULL,
    key     uuid    NOT NULL,
    value   text    COLLATE "C" NOT NULL,
    rid     uuid    NOT NULL,
    ordinal smallint NOT NULL,
    exact   text    COLLATE "C" NOT NULL,
    sort    bigint  NOT NULL,
    patient uuid    NOT NULL,
    -- Starts-with searches are a range of `value`; contains walks one key.
    PRIMARY KEY (tenant, key, value, rid, ordinal)
);
-- Replacing the strings of a resource that changed; string conditions on a row found otherwise. Led by the row, so
-- that it is never mistaken for a way to read all strings of a tenant.
CREATE INDEX search_string_row ON search_string (rid, tenant);

-- Writes rows of many changes, laid out as columns; what lies end to end in one array is cut at `_starts` and
-- `_ends`. Rows of version 1 are new; all others replace the version before, which goes to the history, and are
-- listed in `replaced` as well. Index rows come in the order of the key, so that neighbouring pages are touched
-- together. A function, so that a commit of many requests is one message to the server and one answer.
--
-- Plans are made once a connection, perhaps while the tables are still empty, and then must not come to read whole
-- ones: each row is one probe.
--
-- Raises serialization_failure where a row is not at the version before (unique_violation where it is there
-- already): another transaction was first, and nothing of this one may stay. Raises SD001 where the custom search
-- parameters have changed since `made_with`. That is asked last: whoever then reads the former state has a transaction
-- id, and a job that begins after the change waits until it has ended.
--
-- With `in_place` no version is written: facts of rows that are at these versions, and that the caller has locked, are
-- put right.
CREATE FUNCTION write_rows(
    of_tenant integer,
    rids uuid[], patient_keys uuid[], types text[], ids text[], versions integer[], times bigint[], sorts bigint[],
    deletions boolean[], methods text[], bodies text[], all_keys uuid[], key_starts integer[], key_ends integer[],
    indexed_keys integer[], all_patients text[], patient_starts integer[], patient_ends integer[],
    replaced uuid[],
    removed_keys uuid[], removed_sorts bigint[], removed_rids uuid[], removed_lows bigint[],
    added_keys uuid[], added_sorts bigint[], added_rids uuid[], added_lows bigint[], added_highs bigint[],
    added_patients uuid[],
    string_keys uuid[], string_values text[], string_rids uuid[], string_ordinals smallint[], string_exacts text[],
    string_sorts bigint[], string_patients uuid[], made_with bigint, in_place boolean
) RETURNS void LANGUAGE plpgsql SET enable_hashjoin = off AS $$
DECLARE
    updated_rows integer;
BEGIN
    IF in_place THEN
        UPDATE resource r
        SET patient = u.patient, sort = u.sort, indexed = u.indexed,
            patients = all_patients[u.patient_start:u.patient_end], keys = all_keys[u.key_start:u.key_end]
        FROM unnest(rids, patient_keys, versions, sorts, key_starts, key_ends, indexed_keys, patient_starts,
                    patient_ends)
             AS u(rid, patient, version, sort, key_start, key_end, indexed, patient_start, patient_end)
        WHERE r.tenant = of_tenant AND r.rid = u.rid AND r.version = u.version;
        DELETE FROM search_string WHERE tenant = of_tenant AND rid = ANY (rids);
    ELSIF cardinality(replaced) > 0 THEN
        -- Locked first, in the one order that all lock rows in, so that no two wait for each other.
        INSERT INTO resource_history (tenant, rid, patient, type, id, version, updated, sort, deleted, method, keys,
                                      patients, body)
        SELECT tenant, rid, patient, type, id, version, updated, sort, deleted, method, keys, patients, body
        FROM resource WHERE tenant = of_tenant AND rid = ANY (replaced) ORDER BY rid FOR NO KEY UPDATE;
        -- A deletion keeps what the predicate asks for, so that the same callers see that the resource is gone.
        UPDATE resource r
        SET patient = u.patient, version = u.version, updated = u.updated, sort = u.sort, deleted = u.deleted,
            method = u.method, indexed = u.indexed, patients = all_patients[u.patient_start:u.patient_end],
            keys = CASE WHEN u.deleted THEN r.keys ELSE all_keys[u.key_start:u.key_end] END, body = u.body
        FROM unnest(rids, patient_keys, versions, times, sorts, deletions, methods, key_starts, key_ends,
                    indexed_keys, patient_starts, patient_ends, bodies)
             AS u(rid, patient, version, updated, sort, deleted, method, key_start, key_end, indexed, patient_start,
                  patient_end, body)
        WHERE r.tenant = of_tenant AND r.rid = u.rid AND r.version = u.version - 1 AND u.version > 1;
        GET DIAGNOSTICS updated_rows = ROW_COUNT;
        IF updated_rows <> cardinality(replaced) THEN
            RAISE EXCEPTION 'another request changed the same resource' USING ERRCODE = 'serialization_failure';
        END IF;
        DELETE FROM search_string WHERE tenant = of_tenant AND rid = ANY (replaced);
    END IF;
    IF NOT in_place AND cardinality(rids) > cardinality(replaced) THEN
        INSERT INTO resource (tenant, rid, patient, type, id, version, updated, sort, deleted, method, keys, indexed,
                              patients, body)
        SELECT of_tenant, u.rid, u.patient, u.type, u.id, u.version, u.updated, u.sort, u.deleted, u.method,
               all_keys[u.key_start:u.key_end], u.indexed, all_patients[u.patient_start:u.patient_end], u.body
        FROM unnest(rids, patient_keys, types, ids, versions, times, sorts, deletions, methods, key_starts, key_ends,
                    indexed_keys, patient_starts, patient_ends, bodies)
             AS u(rid, patient, type, id, version, updated, sort, deleted, method, key_start, key_end, indexed,
                  patient_start, patient_end, body)
        WHERE u.version = 1;
    END IF;
    IF cardinality(removed_keys) > 0 THEN
        DELETE FROM search_index x
        USING unnest(removed_keys, removed_sorts, removed_rids, removed_lows) AS u(key, sort, rid, low)
        WHERE x.tenant = of_tenant AND x.key = u.key AND x.sort = u.sort AND x.rid = u.rid AND x.low = u.low;
    END IF;
    IF cardinality(added_keys) > 0 THEN
        INSERT INTO search_index (tenant, key, sort, rid, low, high, patient)
        SELECT of_tenant, u.key, u.sort, u.rid, u.low, u.high, u.patient
        FROM unnest(added_keys, added_sorts, added_rids, added_lows, added_highs, added_patients)
             AS u(key, sort, rid, low, high, patient);
    END IF;
    IF cardinality(string_keys) > 0 THEN
        INSERT INTO search_string (tenant, key, value, rid, ordinal, exact, sort, patient)
        SELECT of_tenant, u.key, u.value, u.rid, u.ordinal, u.exact, u.sort, u.patient
        FROM unnest(string_keys, string_values, string_rids, string_ordinals, string_exacts, string_sorts,
                    string_patients)
             AS u(key, value, rid, ordinal, exact, sort, patient);
    END IF;
    IF made_with < (SELECT d.version FROM search_definitions d WHERE d.tenant = of_tenant) THEN
        RAISE EXCEPTION 'the search parameters have changed' USING ERRCODE = 'SD001';
    END IF;
END $$;

-- Active Consents, a row a provision. See salus_access::consent for what the columns mean.
CREATE TABLE consent_rule (
    tenant      integer NOT NULL,
    patient     uuid    NOT NULL,
    consent     uuid    NOT NULL,        -- rid of the Consent
    node        integer NOT NULL,
    parent      integer,
    ancestors   integer[] NOT NULL,
    path        text    NOT NULL,
    deny        boolean NOT NULL,
    period_low  bigint,
    period_high bigint,
    actors      uuid[],
    purposes    text[],
    actions     text[],
    classes     text[],
    codes       uuid[],
    labels      uuid[],
    data        uuid[],
    data_low    bigint,
    data_high   bigint,
    -- Every read probes this with the patient of the row at hand.
    PRIMARY KEY (tenant, patient, consent, node)
);
-- Replacing the rules of a Consent that changed. Not led by the tenant, so that it is never mistaken for a way
-- to read all rules of one.
CREATE INDEX consent_rule_consent ON consent_rule (consent, tenant);

-- Whether a provision's conditions on the caller hold: when, who, what for, and that it is about seeing data.
CREATE FUNCTION consent_applies(c consent_rule, actors uuid[], purpose text, now bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (c.period_low IS NULL OR c.period_low <= now) AND (c.period_high IS NULL OR c.period_high > now)
        AND (c.actors IS NULL OR c.actors && actors) AND (c.purposes IS NULL OR purpose = ANY (c.purposes))
        AND (c.actions IS NULL OR c.actions && '{access,use,disclose}'::text[]);

-- Whether a provision matches a row for a caller.
CREATE FUNCTION consent_matches(c consent_rule, type text, rid uuid, keys uuid[], sort bigint,
                                actors uuid[], purpose text, now bigint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN consent_applies(c, actors, purpose, now)
        AND (c.classes IS NULL OR type = ANY (c.classes)) AND (c.codes IS NULL OR c.codes && keys)
        AND (c.labels IS NULL OR c.labels && keys) AND (c.data IS NULL OR rid = ANY (c.data))
        AND (c.data_low IS NULL OR sort >= c.data_low) AND (c.data_high IS NULL OR sort < c.data_high);

-- Whether a deny (or a permit) provision decides about a row: it and all its ancestors match, and none of its
-- children does. Under break-glass only a deny that names the purpose BTG itself holds. About a Consent only what names
-- it decides: by class, instance or a label other than normal. The reference is salus_access::consent::decide. A function that is not inlined, so that statements do not pay for its plan
-- until they come to a row of a patient who has Consents.
CREATE FUNCTION consent_decides(denies boolean, of_tenant integer, of_patient uuid, row_type text, row_rid uuid,
                                row_keys uuid[], row_sort bigint, by_actors uuid[], for_purpose text, at bigint,
                                break_glass boolean, normal uuid)
    RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM consent_rule c
        WHERE c.tenant = of_tenant
          AND c.patient = ANY (CASE WHEN of_patient = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN row_keys ELSE ARRAY[of_patient] END)
          AND c.deny = denies
          AND (NOT (denies AND break_glass) OR 'BTG' = ANY (c.purposes))
          AND consent_matches(c, row_type, row_rid, row_keys, row_sort, by_actors, for_purpose, at)
          AND (row_type <> 'Consent' OR EXISTS (
              SELECT FROM consent_rule n
              WHERE n.tenant = c.tenant AND n.patient = c.patient AND n.consent = c.consent
                AND (n.node = c.node OR n.node = ANY (c.ancestors))
                AND (n.classes IS NOT NULL OR n.data IS NOT NULL OR array_remove(n.labels, normal) && row_keys)))
          AND NOT EXISTS (
              SELECT FROM consent_rule a
              WHERE a.tenant = c.tenant AND a.patient = c.patient AND a.consent = c.consent AND a.node = ANY (c.ancestors)
                AND NOT consent_matches(a, row_type, row_rid, row_keys, row_sort, by_actors, for_purpose, at))
          AND NOT EXISTS (
              SELECT FROM consent_rule d
              WHERE d.tenant = c.tenant AND d.patient = c.patient AND d.consent = c.consent AND d.parent = c.node
                AND consent_matches(d, row_type, row_rid, row_keys, row_sort, by_actors, for_purpose, at)));
END $$;

-- Whether any deny provision could bind a caller for a patient, whatever data there are. The reference is
-- salus_access::consent::restricts.
CREATE FUNCTION consent_restricts(of_tenant integer, of_patient uuid, by_actors uuid[], for_purpose text, at bigint,
                                  break_glass boolean) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM consent_rule c
        WHERE c.tenant = of_tenant AND c.patient = of_patient AND c.deny
          AND (NOT break_glass OR 'BTG' = ANY (c.purposes))
          AND consent_applies(c, by_actors, for_purpose, at)
          AND NOT EXISTS (
              SELECT FROM consent_rule a
              WHERE a.tenant = c.tenant AND a.patient = c.patient AND a.consent = c.consent AND a.node = ANY (c.ancestors)
                AND NOT consent_applies(a, by_actors, for_purpose, at))
          AND NOT EXISTS (
              SELECT FROM consent_rule d
              WHERE d.tenant = c.tenant AND d.patient = c.patient AND d.consent = c.consent AND d.parent = c.node
                AND num_nonnulls(d.classes, d.codes, d.labels, d.data, d.data_low, d.data_high) = 0
                AND consent_applies(d, by_actors, for_purpose, at)));
END $$;

-- What the servers of a database share and nobody else may know: the key that seals page links.
CREATE TABLE server_secret (
    tenant integer NOT NULL,
    name   text    COLLATE "C" NOT NULL,
    value  bytea   NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- One compact record an event (salus_audit::AuditRecord); the FHIR AuditEvent is rendered from it.
CREATE SEQUENCE audit_seq;
CREATE TABLE audit_event (
    tenant   integer NOT NULL,
    seq      bigint  NOT NULL DEFAULT nextval('audit_seq'),
    recorded bigint  NOT NULL,
    patient  uuid    NOT NULL,           -- nil for none, all ones for several (audit_patient has them)
    action   text    COLLATE "C" NOT NULL, -- AuditEvent.action, which the record only implies
    record   text    COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, seq)
);
-- AuditEvent?patient=, the question a compliance officer asks.
CREATE INDEX audit_event_patient ON audit_event (tenant, patient, seq)
    WHERE patient <> '00000000-0000-0000-0000-000000000000';

CREATE TABLE audit_patient (
    tenant  integer NOT NULL,
    patient uuid    NOT NULL,
    seq     bigint  NOT NULL,
    PRIMARY KEY (tenant, patient, seq)
);

-- Appends events. The patients of events with several lie end to end in one array.
CREATE FUNCTION append_audit(
    of_tenant integer, times bigint[], patient_keys uuid[], actions text[], records text[],
    all_patients uuid[], patient_starts integer[], patient_ends integer[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(all_patients) = 0 THEN
        INSERT INTO audit_event (tenant, recorded, patient, action, record)
        SELECT of_tenant, u.recorded, u.patient, u.action, u.record
        FROM unnest(times, patient_keys, actions, records) AS u(recorded, patient, action, record);
        RETURN;
    END IF;
    WITH u AS MATERIALIZED (
        SELECT nextval('audit_seq') AS seq, e.*
        FROM unnest(times, patient_keys, actions, records, patient_starts, patient_ends)
             AS e(recorded, patient, action, record, patient_start, patient_end)
    ), event AS (
        INSERT INTO audit_event (tenant, seq, recorded, patient, action, record)
        SELECT of_tenant, u.seq, u.recorded, u.patient, u.action, u.record FROM u
    )
    INSERT INTO audit_patient (tenant, patient, seq)
    SELECT of_tenant, p, u.seq FROM u, unnest(all_patients[u.patient_start:u.patient_end]) AS p;
END $$;

-- The key under which a reference from one parameter to one resource stands; salus_fhir::Key::reference
-- computes the same. In SQL it lets chains and _has go from rows to what they point at.
CREATE FUNCTION reference_key(parameter uuid, target uuid) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN encode(substring(sha256(uuid_send(parameter) || uuid_send(target)) FROM 1 FOR 16), 'hex')::uuid;

-- The texts that stand in a resource where any of the paths leads; none where the body is not for jsonb to read, as
-- with a number beyond its range.
CREATE FUNCTION body_texts(body text, paths text[]) RETURNS SETOF text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN QUERY SELECT v.value #>> '{}' FROM unnest(paths) p(path),
        jsonb_path_query(body::jsonb, p.path::jsonpath, '{}', true) v(value);
EXCEPTION WHEN data_exception THEN
    RETURN;
END $$;

-- The words of a resource, and those of its narrative; none where jsonb cannot read it.
CREATE FUNCTION body_words(body text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN jsonb_to_tsvector('simple', body::jsonb, '["string"]');
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN ''::tsvector;
END $$;

CREATE FUNCTION narrative_words(body text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN to_tsvector('simple', regexp_replace(coalesce(body::jsonb #>> '{text,div}', ''), '<[^>]*>', ' ', 'g'));
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN ''::tsvector;
END $$;

-- How far the position of a Location is away, in metres, on a sphere of the Earth's mean radius; null for none.
CREATE FUNCTION metres_to(body text, latitude float8, longitude float8) RETURNS float8
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    place jsonb;
    north float8;
    half float8;
BEGIN
    place := body::jsonb -> 'position';
    north := (place ->> 'latitude')::float8;
    half := sind((north - latitude) / 2) ^ 2
        + cosd(latitude) * cosd(north) * sind(((place ->> 'longitude')::float8 - longitude) / 2) ^ 2;
    RETURN 2 * 6371008.8 * asin(least(1, sqrt(half)));
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

-- The Merkle log over audit_event (RFC 6962): leaves in the order they were appended, signed heads.
CREATE TABLE audit_leaf (
    tenant integer NOT NULL,
    index  bigint  NOT NULL,
    seq    bigint  NOT NULL,
    hash   bytea   NOT NULL,
    PRIMARY KEY (tenant, index)
);

-- Which events are in the log already; an event is in it once.
CREATE UNIQUE INDEX audit_leaf_seq ON audit_leaf (tenant, seq);

CREATE TABLE audit_head (
    tenant    integer NOT NULL,
    size      bigint  NOT NULL,
    root      bytea   NOT NULL,
    peaks     bytea   NOT NULL,          -- compact range, to append without reading the leaves
    time      bigint  NOT NULL,
    key_id    bytea   NOT NULL,
    signature bytea   NOT NULL,
    pending   bigint  NOT NULL,          -- every event with a seq below this one is a leaf or never will be
    PRIMARY KEY (tenant, size)
);
