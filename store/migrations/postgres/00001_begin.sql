-- +goose Up
-- The tables of SQLite, as PostgreSQL writes them, and those that a fleet needs. Times are Unix milliseconds; 0 is never.
-- Texts are compared by their bytes, as SQLite does: IDs sort by their time, and an index over them is cheap.

CREATE TABLE projects (
    project_id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    signing_secret     BYTEA NOT NULL, -- sealed
    created_at         BIGINT NOT NULL,
    private_key        BYTEA, -- sealed; ed25519
    events_until       BIGINT NOT NULL DEFAULT 0 -- position of the newest event that is kept no longer
);

CREATE TABLE files (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    filename           TEXT COLLATE "C" NOT NULL,
    purpose            TEXT COLLATE "C" NOT NULL,
    bytes              BIGINT NOT NULL,
    blob               TEXT COLLATE "C" NOT NULL, -- key in the file store
    created_at         BIGINT NOT NULL,
    expires_at         BIGINT NOT NULL,
    deleted_at         BIGINT NOT NULL,
    sequence           BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX files_newest ON files (project_id, created_at, id);
CREATE INDEX files_blob ON files (blob);
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at > 0 AND deleted_at = 0;
CREATE INDEX files_lasting ON files (created_at) WHERE expires_at = 0 AND deleted_at = 0;
CREATE INDEX files_deleted ON files (blob, deleted_at) WHERE deleted_at > 0;

CREATE TABLE jobs (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    kind               TEXT COLLATE "C" NOT NULL,
    status             TEXT COLLATE "C" NOT NULL,
    ending             TEXT COLLATE "C" NOT NULL,
    path               TEXT COLLATE "C" NOT NULL,
    model              TEXT COLLATE "C" NOT NULL,
    metadata           BYTEA,
    input_file_id      TEXT COLLATE "C" NOT NULL,
    output_file_id     TEXT COLLATE "C" NOT NULL,
    error_file_id      TEXT COLLATE "C" NOT NULL,
    completion_window  TEXT COLLATE "C" NOT NULL,
    output_ttl         BIGINT NOT NULL,
    total              BIGINT NOT NULL,
    completed          BIGINT NOT NULL,
    failed             BIGINT NOT NULL,
    errors             BYTEA,
    input_tokens       BIGINT NOT NULL,
    cached_tokens      BIGINT NOT NULL,
    output_tokens      BIGINT NOT NULL,
    reasoning_tokens   BIGINT NOT NULL,
    total_tokens       BIGINT NOT NULL,
    refusals           BIGINT NOT NULL,
    webhook            BYTEA, -- as reads show it; what is secret stands sealed in webhooks
    sequence           BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    changed_at         BIGINT NOT NULL,
    started_at         BIGINT NOT NULL,
    finalizing_at      BIGINT NOT NULL,
    cancelling_at      BIGINT NOT NULL,
    ended_at           BIGINT NOT NULL,
    expires_at         BIGINT NOT NULL,
    attempt            BIGINT NOT NULL,
    claims             BIGINT NOT NULL,
    tries              BIGINT NOT NULL,
    owner              TEXT COLLATE "C" NOT NULL,
    due_at             BIGINT NOT NULL,
    wake_at            BIGINT NOT NULL,
    webhook_ids        TEXT COLLATE "C",
    progress_at        BIGINT NOT NULL DEFAULT 0,
    progress_step      BIGINT NOT NULL DEFAULT 0,
    priority           BIGINT NOT NULL DEFAULT 0, -- 1 high, 0 normal, -1 low
    run_at             BIGINT NOT NULL DEFAULT 0,
    validation_file_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    copied             BIGINT NOT NULL DEFAULT 0, -- lines that a retried batch took over
    blocked_by         TEXT COLLATE "C" NOT NULL DEFAULT '',
    blocked_until      BIGINT NOT NULL DEFAULT 0,
    remote             TEXT COLLATE "C" NOT NULL DEFAULT '', -- JSON: what the job has at its provider
    tuning             TEXT COLLATE "C", -- JSON: a fine-tuning's own facts
    retry_of           TEXT COLLATE "C" NOT NULL DEFAULT '',
    trace              TEXT COLLATE "C" NOT NULL DEFAULT '', -- traceparent, and after a space tracestate
    results_gone       BOOLEAN NOT NULL DEFAULT FALSE, -- its lines, its request and its answer are kept no longer
    PRIMARY KEY (project_id, id)
);
CREATE INDEX jobs_newest ON jobs (project_id, created_at, id);
CREATE INDEX jobs_newest_kind ON jobs (project_id, kind, created_at, id);
CREATE INDEX jobs_owner ON jobs (owner) WHERE owner <> '';
CREATE INDEX jobs_input ON jobs (project_id, input_file_id) WHERE ended_at = 0;
CREATE INDEX jobs_wake ON jobs (kind, priority, wake_at) WHERE wake_at > 0;
CREATE INDEX jobs_ended ON jobs (results_gone, ended_at, id) WHERE ended_at > 0;
CREATE INDEX jobs_open ON jobs (project_id, created_at, id) WHERE ended_at = 0;
CREATE INDEX jobs_unwell ON jobs (project_id, created_at, id) WHERE ended_at > 0 AND status NOT IN ('completed', 'succeeded');
CREATE INDEX jobs_retried ON jobs (project_id, retry_of) WHERE ended_at = 0 AND retry_of <> '';
CREATE INDEX jobs_validation ON jobs (project_id, validation_file_id) WHERE ended_at = 0 AND validation_file_id <> '';

CREATE TABLE payloads (
    project_id         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    request            BYTEA NOT NULL,
    result             BYTEA,
    PRIMARY KEY (project_id, job_id)
);

CREATE TABLE shards (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    n                  BIGINT NOT NULL,
    first_line         BIGINT NOT NULL,
    last_line          BIGINT NOT NULL,
    lines              BIGINT NOT NULL,
    "offset"           BIGINT NOT NULL,
    done               BOOLEAN NOT NULL,
    retries            BYTEA,
    attempt            BIGINT NOT NULL,
    claims             BIGINT NOT NULL,
    tries              BIGINT NOT NULL,
    owner              TEXT COLLATE "C" NOT NULL,
    due_at             BIGINT NOT NULL,
    wake_at            BIGINT NOT NULL,
    priority           BIGINT NOT NULL DEFAULT 0, -- its job's
    PRIMARY KEY (project_id, id)
);
CREATE INDEX shards_job ON shards (project_id, job_id, n);
CREATE INDEX shards_owner ON shards (owner) WHERE owner <> '';
CREATE INDEX shards_wake ON shards (priority, wake_at) WHERE wake_at > 0;
CREATE INDEX shards_asleep ON shards (project_id, job_id, n) WHERE NOT done AND due_at = 0 AND owner = '';
CREATE INDEX shards_free ON shards (project_id, job_id, n) WHERE owner = '' AND due_at > 0;

CREATE TABLE lines (
    project_id         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    line               BIGINT NOT NULL,
    ok                 BOOLEAN NOT NULL,
    text               BYTEA NOT NULL,
    kept               BIGINT GENERATED ALWAYS AS IDENTITY -- the order in which a batch's outcomes were kept
);
CREATE UNIQUE INDEX lines_line ON lines (project_id, job_id, line);
CREATE INDEX lines_kept ON lines (project_id, job_id, kept);

CREATE TABLE events (
    kept               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of writing, which is not that of commits
    position           BIGINT NOT NULL DEFAULT 0, -- in commit order; 0 until somebody asks for events
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    type               TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    sequence           BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    body               BYTEA NOT NULL,
    model              TEXT COLLATE "C" NOT NULL DEFAULT '',
    trace              TEXT COLLATE "C" NOT NULL DEFAULT '' -- its job's
);
CREATE UNIQUE INDEX events_id ON events (project_id, id);
CREATE INDEX events_order ON events (project_id, position);
CREATE INDEX events_unnumbered ON events (kept) WHERE position = 0;
CREATE SEQUENCE event_positions INCREMENT BY 1000; -- each value is room for that many
CREATE INDEX events_since ON events (project_id, created_at, position);

CREATE TABLE webhooks (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    spec               BYTEA NOT NULL,
    created_at         BIGINT NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX webhooks_job ON webhooks (project_id, job_id);

CREATE TABLE deliveries (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    event_id           TEXT COLLATE "C" NOT NULL,
    event_type         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    webhook_id         TEXT COLLATE "C" NOT NULL,
    url                TEXT COLLATE "C" NOT NULL, -- as people see it: no query
    state              TEXT COLLATE "C" NOT NULL,
    reason             TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    ended_at           BIGINT NOT NULL,
    attempt            BIGINT NOT NULL,
    claims             BIGINT NOT NULL,
    tries              BIGINT NOT NULL,
    owner              TEXT COLLATE "C" NOT NULL,
    due_at             BIGINT NOT NULL,
    wake_at            BIGINT NOT NULL,
    endpoint_id        TEXT COLLATE "C" NOT NULL DEFAULT '',
    gate               TEXT COLLATE "C" NOT NULL DEFAULT '',
    recorded           BIGINT NOT NULL DEFAULT 0,
    manual             BOOLEAN NOT NULL DEFAULT FALSE,
    delivered_at       BIGINT NOT NULL DEFAULT 0, -- it has arrived, whatever was asked for since
    PRIMARY KEY (project_id, id)
);
CREATE INDEX deliveries_job ON deliveries (project_id, job_id);
CREATE INDEX deliveries_owner ON deliveries (owner) WHERE owner <> '';
CREATE UNIQUE INDEX deliveries_receiver ON deliveries (project_id, event_id, webhook_id, endpoint_id);
CREATE INDEX deliveries_waiting ON deliveries (project_id, gate, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_open ON deliveries (project_id, created_at, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX deliveries_newest ON deliveries (project_id, created_at, id);
CREATE INDEX deliveries_endpoint ON deliveries (project_id, endpoint_id, created_at, id) WHERE endpoint_id <> '';
CREATE INDEX deliveries_ended ON deliveries (project_id, created_at, id) WHERE state IN ('failed', 'cancelled');
CREATE INDEX deliveries_asked ON deliveries (project_id, gate, due_at) WHERE state = 'waiting' AND manual;

CREATE TABLE attempts (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    delivery_id        TEXT COLLATE "C" NOT NULL,
    number             BIGINT NOT NULL,
    started_at         BIGINT NOT NULL,
    duration_ms        BIGINT NOT NULL,
    status_code        BIGINT NOT NULL,
    error_class        TEXT COLLATE "C" NOT NULL,
    timings            BYTEA,
    snippet            BYTEA,
    truncated          BOOLEAN NOT NULL,
    rule               TEXT COLLATE "C" NOT NULL,
    manual             BOOLEAN NOT NULL,
    request            BYTEA,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX attempts_delivery ON attempts (project_id, delivery_id, number);

CREATE TABLE idempotency_keys (
    project_id         TEXT COLLATE "C" NOT NULL,
    key                TEXT COLLATE "C" NOT NULL,
    hash               BYTEA NOT NULL,
    answer             BYTEA NOT NULL,
    created_at         BIGINT NOT NULL,
    sealed             BOOLEAN NOT NULL DEFAULT FALSE, -- whether the answer is
    PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE endpoints (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL, -- UUID v4
    name               TEXT COLLATE "C" NOT NULL,
    description        TEXT COLLATE "C" NOT NULL,
    url                TEXT COLLATE "C" NOT NULL, -- as people see it: the values of its query hidden
    header_names       TEXT COLLATE "C",
    event_types        TEXT COLLATE "C",
    models             TEXT COLLATE "C",
    is_active          BOOLEAN NOT NULL,
    disabled           TEXT COLLATE "C" NOT NULL, -- why Ringback switched it off
    timeout            BIGINT NOT NULL, -- milliseconds; 0 is the setting's
    schedule           TEXT COLLATE "C",
    secret_hint        TEXT COLLATE "C" NOT NULL,
    sequence           BIGINT NOT NULL,
    last_success_at    BIGINT NOT NULL,
    last_failure_at    BIGINT NOT NULL,
    failing_since      BIGINT NOT NULL,
    failures           BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    changed_at         BIGINT NOT NULL,
    deleted_at         BIGINT NOT NULL,
    target             BYTEA NOT NULL, -- sealed: URL, headers, secrets
    PRIMARY KEY (project_id, id)
);
CREATE INDEX endpoints_newest ON endpoints (project_id, created_at, id) WHERE deleted_at = 0;
CREATE INDEX endpoints_active ON endpoints (project_id) WHERE is_active AND deleted_at = 0;

-- Receivers whose breaker is open.
CREATE TABLE gates (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    shut_at            BIGINT NOT NULL, -- since when
    PRIMARY KEY (project_id, id)
);
CREATE INDEX gates_shut ON gates (shut_at);

-- When the sweeper is to look at deliveries behind a gate; any number for each.
CREATE TABLE wakes (
    project_id         TEXT COLLATE "C" NOT NULL,
    gate               TEXT COLLATE "C" NOT NULL,
    wake_at            BIGINT NOT NULL
);
CREATE INDEX wakes_gate ON wakes (project_id, gate);
CREATE INDEX wakes_due ON wakes (wake_at);

CREATE TABLE tuning_events (
    position           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    remote_id          TEXT COLLATE "C" NOT NULL, -- the provider's ID; empty for our own
    created_at         BIGINT NOT NULL,
    level              TEXT COLLATE "C" NOT NULL,
    message            TEXT COLLATE "C" NOT NULL,
    type               TEXT COLLATE "C" NOT NULL,
    data               BYTEA
);
CREATE UNIQUE INDEX tuning_events_id ON tuning_events (project_id, id);
CREATE INDEX tuning_events_job ON tuning_events (project_id, job_id, position);
CREATE UNIQUE INDEX tuning_events_remote ON tuning_events (project_id, job_id, remote_id) WHERE remote_id <> '';

CREATE TABLE checkpoints (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    model              TEXT COLLATE "C" NOT NULL,
    step               BIGINT NOT NULL,
    metrics            BYTEA,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX checkpoints_step ON checkpoints (project_id, job_id, step);

CREATE TABLE models (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    provider           TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    deleted_at         BIGINT NOT NULL,
    PRIMARY KEY (project_id, id)
);

CREATE TABLE uploads (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    status             TEXT COLLATE "C" NOT NULL,
    filename           TEXT COLLATE "C" NOT NULL,
    purpose            TEXT COLLATE "C" NOT NULL,
    mime_type          TEXT COLLATE "C" NOT NULL,
    bytes              BIGINT NOT NULL, -- as declared
    file_ttl           BIGINT NOT NULL, -- seconds
    parts              BIGINT NOT NULL,
    received           BIGINT NOT NULL, -- bytes of the parts
    part_ids           TEXT COLLATE "C", -- what it was completed with
    file_id            TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    expires_at         BIGINT NOT NULL,
    ended_at           BIGINT NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX uploads_expiry ON uploads (expires_at) WHERE status = 'pending';
CREATE INDEX uploads_ended ON uploads (ended_at) WHERE ended_at > 0;

CREATE TABLE upload_parts (
    project_id         TEXT COLLATE "C" NOT NULL,
    id                 TEXT COLLATE "C" NOT NULL,
    upload_id          TEXT COLLATE "C" NOT NULL,
    bytes              BIGINT NOT NULL,
    blob               TEXT COLLATE "C" NOT NULL, -- key in the file store
    created_at         BIGINT NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX upload_parts_upload ON upload_parts (project_id, upload_id);
CREATE INDEX upload_parts_blob ON upload_parts (blob);

CREATE TABLE responses (
    project_id         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    streaming          BIGINT NOT NULL, -- 0 no, 1 its events are kept, 2 they were; before the long columns, so that it is read without them
    settings           BYTEA NOT NULL, -- JSON: what the response repeats of its request
    items              BYTEA NOT NULL, -- JSON: its input items
    PRIMARY KEY (project_id, job_id)
);
CREATE INDEX responses_streamed ON responses (project_id, job_id) WHERE streaming = 1;

CREATE TABLE response_events (
    project_id         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    n                  BIGINT NOT NULL, -- sequence_number
    type               TEXT COLLATE "C" NOT NULL,
    data               BYTEA NOT NULL
);
CREATE UNIQUE INDEX response_events_numbered ON response_events (project_id, job_id, n);

CREATE TABLE spent_streams (
    project_id         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, job_id)
);

CREATE TABLE spent_jobs (
    project_id         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    whole              BOOLEAN NOT NULL, -- the job itself, or its results alone
    PRIMARY KEY (project_id, job_id)
);

-- The processes that live, by this database's clock. A claim dies with its owner's heartbeat.
CREATE TABLE owners (
    id                 TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    life               BIGINT GENERATED ALWAYS AS IDENTITY, -- another one where a process was forgotten and is heard of again
    started_at         BIGINT NOT NULL,
    beat_at            BIGINT NOT NULL
);

-- Who does what one process alone should do.
CREATE TABLE leases (
    name               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner              TEXT COLLATE "C" NOT NULL,
    until_at           BIGINT NOT NULL
);
