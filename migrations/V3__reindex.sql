-- What stored resources are indexed by, and the jobs that index them anew.

-- How often the set of custom search parameters has changed. Rows say which of these states they were made in
-- (`made_with` of write_rows), so that none is written in the belief of a former one.
CREATE TABLE search_definitions (
    tenant  integer NOT NULL PRIMARY KEY,
    version bigint  NOT NULL
);

-- By which definition of each search parameter all stored resources of a type are indexed. The code '' stands for
-- the way in which the server takes facts from resources. A parameter whose definition is another, or that does
-- not stand here, is not searched by until a job has gone through the type.
CREATE TABLE indexed_parameter (
    tenant     integer NOT NULL,
    type       text    COLLATE "C" NOT NULL,
    code       text    COLLATE "C" NOT NULL,
    definition uuid    NOT NULL,
    PRIMARY KEY (tenant, type, code)
);

-- Jobs that index stored resources anew, type by type, each in the order of (updated, rid). A worker holds a job by
-- a lease, and says with every batch how far it is; when it dies, another goes on from there.
CREATE TABLE reindex_job (
    tenant    integer NOT NULL,
    id        uuid    NOT NULL,
    reason    text    COLLATE "C" NOT NULL, -- 'request', or 'definitions' where the server began it
    client_id text    COLLATE "C",          -- who asked; null for the server
    types     text[]  COLLATE "C" NOT NULL,
    state     text    COLLATE "C" NOT NULL, -- queued, running, done, cancelled
    created   bigint  NOT NULL,
    ended     bigint,
    examined  bigint  NOT NULL DEFAULT 0,   -- resources looked at
    changed   bigint  NOT NULL DEFAULT 0,   -- resources whose facts had to be changed
    place     integer NOT NULL DEFAULT 0,   -- which of the types is at work, from 0
    -- Of the type at work: last `updated` that there is to look at, how many there are and how many are done, and the
    -- last row looked at. `bound` is null before it is begun.
    bound         bigint,
    total         bigint NOT NULL DEFAULT 0,
    seen          bigint NOT NULL DEFAULT 0,
    after_updated bigint NOT NULL DEFAULT 0,
    after_rid     uuid   NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    made_by       uuid   NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000', -- hash of the definitions in force
    worker    uuid,
    lease     timestamptz,
    PRIMARY KEY (tenant, id)
);
-- Workers look for what is to be done several times a minute.
CREATE INDEX reindex_job_open ON reindex_job (tenant, created) WHERE state IN ('queued', 'running');
