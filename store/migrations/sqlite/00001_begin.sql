-- +goose Up
-- Times are Unix milliseconds; 0 is never. Every row belongs to a project, and every unique index begins with it.
-- due_at decides when a row may be claimed, wake_at only when the sweeper looks at it.

CREATE TABLE projects (
    project_id     TEXT    NOT NULL PRIMARY KEY,
    signing_secret BLOB    NOT NULL, -- sealed
    created_at     INTEGER NOT NULL
);

CREATE TABLE files (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    filename   TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    bytes      INTEGER NOT NULL,
    blob       TEXT    NOT NULL, -- key in the file store
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX files_newest ON files (project_id, created_at, id);
CREATE INDEX files_blob ON files (blob);
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at > 0 AND deleted_at = 0;

CREATE TABLE jobs (
    project_id        TEXT    NOT NULL,
    id                TEXT    NOT NULL,
    kind              TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    ending            TEXT    NOT NULL,
    path              TEXT    NOT NULL,
    model             TEXT    NOT NULL,
    metadata          BLOB,
    input_file_id     TEXT    NOT NULL,
    output_file_id    TEXT    NOT NULL,
    error_file_id     TEXT    NOT NULL,
    completion_window TEXT    NOT NULL,
    output_ttl        INTEGER NOT NULL,
    total             INTEGER NOT NULL,
    completed         INTEGER NOT NULL,
    failed            INTEGER NOT NULL,
    errors            BLOB,
    input_tokens      INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    output_tokens     INTEGER NOT NULL,
    reasoning_tokens  INTEGER NOT NULL,
    total_tokens      INTEGER NOT NULL,
    refusals          INTEGER NOT NULL,
    webhook           BLOB, -- as reads show it; what is secret stands sealed in webhooks
    sequence          INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    changed_at        INTEGER NOT NULL,
    started_at        INTEGER NOT NULL,
    finalizing_at     INTEGER NOT NULL,
    cancelling_at     INTEGER NOT NULL,
    ended_at          INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    claims            INTEGER NOT NULL,
    tries             INTEGER NOT NULL,
    owner             TEXT    NOT NULL,
    due_at            INTEGER NOT NULL,
    wake_at           INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX jobs_newest ON jobs (project_id, created_at, id);
CREATE INDEX jobs_newest_kind ON jobs (project_id, kind, created_at, id);
CREATE INDEX jobs_wake ON jobs (kind, wake_at) WHERE wake_at > 0;
CREATE INDEX jobs_owner ON jobs (owner) WHERE owner <> '';
CREATE INDEX jobs_input ON jobs (project_id, input_file_id) WHERE ended_at = 0;

-- What a generation sends and what it got: large, and read only for one job at a time.
CREATE TABLE payloads (
    project_id TEXT NOT NULL,
    job_id     TEXT NOT NULL,
    request    BLOB NOT NULL,
    result     BLOB,
    PRIMARY KEY (project_id, job_id)
);

CREATE TABLE shards (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    n          INTEGER NOT NULL,
    first_line INTEGER NOT NULL,
    last_line  INTEGER NOT NULL,
    lines      INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    retries    BLOB,
    attempt    INTEGER NOT NULL,
    claims     INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    owner      TEXT    NOT NULL,
    due_at     INTEGER NOT NULL,
    wake_at    INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX shards_job ON shards (project_id, job_id, n);
CREATE INDEX shards_asleep ON shards (project_id, job_id, n) WHERE done = 0 AND due_at = 0 AND owner = '';
CREATE INDEX shards_wake ON shards (wake_at) WHERE wake_at > 0;
CREATE INDEX shards_owner ON shards (owner) WHERE owner <> '';

-- One row for each line of a batch that has an outcome; the first one wins.
CREATE TABLE lines (
    project_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    line       INTEGER NOT NULL,
    ok         INTEGER NOT NULL,
    text       BLOB    NOT NULL
);
CREATE UNIQUE INDEX lines_line ON lines (project_id, job_id, line);

CREATE TABLE events (
    position   INTEGER PRIMARY KEY AUTOINCREMENT, -- commit order: there is one writer
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body       BLOB    NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (project_id, id);
CREATE INDEX events_order ON events (project_id, position);

-- The receivers that submissions named, frozen: URL, method, headers, filters and secret are sealed.
CREATE TABLE webhooks (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    spec       BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX webhooks_job ON webhooks (project_id, job_id);

CREATE TABLE deliveries (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    event_id   TEXT    NOT NULL,
    event_type TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    webhook_id TEXT    NOT NULL,
    url        TEXT    NOT NULL, -- as people see it: no query
    state      TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    claims     INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    owner      TEXT    NOT NULL,
    due_at     INTEGER NOT NULL,
    wake_at    INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX deliveries_receiver ON deliveries (project_id, event_id, webhook_id);
CREATE INDEX deliveries_job ON deliveries (project_id, job_id);
CREATE INDEX deliveries_wake ON deliveries (wake_at) WHERE wake_at > 0;
CREATE INDEX deliveries_owner ON deliveries (owner) WHERE owner <> '';

CREATE TABLE attempts (
    project_id  TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    delivery_id TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status_code INTEGER NOT NULL,
    error_class TEXT    NOT NULL,
    timings     BLOB,
    snippet     BLOB,
    truncated   INTEGER NOT NULL,
    rule        TEXT    NOT NULL,
    manual      INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX attempts_delivery ON attempts (project_id, delivery_id, number);

CREATE TABLE idempotency_keys (
    project_id TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    answer     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
