-- The authorization server (src/auth): clients, spent assertions, revoked tokens.
--
-- Times are seconds since 1970-01-01T00:00:00Z, as in the tokens they are compared with (NumericDate).
-- Changes to clients and revocations are announced on the channel `salus_auth`, so that other nodes
-- drop what they cached.

CREATE TABLE oauth_client (
    tenant         integer NOT NULL,
    client_id      text    COLLATE "C" NOT NULL,
    name           text    NOT NULL,
    auth_method    text    COLLATE "C" NOT NULL, -- token_endpoint_auth_method: private_key_jwt
    jwks           text,                         -- the registered public keys (RFC 7517), as JSON
    jwks_uri       text,                         -- the only value a `jku` header may have
    scope          text    COLLATE "C" NOT NULL, -- the most the client may be granted
    purpose_of_use text    COLLATE "C" NOT NULL, -- ActReason code of its tokens where it asks for none
    purposes       text[]  NOT NULL,             -- ActReason codes it may ask for
    actors         text[]  NOT NULL,             -- references by which a Consent names it
    redirect_uris  text[]  NOT NULL,
    created        bigint  NOT NULL,
    disabled       bigint,                       -- since when; null while the client may be used
    PRIMARY KEY (tenant, client_id)
);

-- Client assertions that were used, until they would no longer be accepted anyway (exp and the leeway).
-- `jti` is the SHA-256 of what was sent. The primary key is what makes a replay fail, on every node.
CREATE TABLE client_assertion_jti (
    tenant    integer NOT NULL,
    client_id text    COLLATE "C" NOT NULL,
    jti       bytea   NOT NULL,
    expires   bigint  NOT NULL,
    PRIMARY KEY (tenant, client_id, jti)
);
-- Purging what has expired.
CREATE INDEX client_assertion_jti_expires ON client_assertion_jti (tenant, expires);

-- Access tokens revoked before their time, until they would have expired anyway.
CREATE TABLE revoked_token (
    tenant    integer NOT NULL,
    jti       text    COLLATE "C" NOT NULL,
    client_id text    COLLATE "C" NOT NULL,
    expires   bigint  NOT NULL,
    PRIMARY KEY (tenant, jti)
);
-- Purging what has expired.
CREATE INDEX revoked_token_expires ON revoked_token (tenant, expires);
