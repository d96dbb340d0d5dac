-- +goose Up
-- Registered endpoints; gates, through which deliveries go; what attempts sent; events about files and callbacks.

CREATE TABLE endpoints (
    project_id      TEXT    NOT NULL,
    id              TEXT    NOT NULL, -- UUID v4
    name            TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    url             TEXT    NOT NULL, -- as people see it: the values of its query hidden
    header_names    TEXT,
    event_types     TEXT,
    models          TEXT,
    is_active       INTEGER NOT NULL,
    disabled        TEXT    NOT NULL, -- why Ringback switched it off
    timeout         INTEGER NOT NULL, -- milliseconds; 0 is the setting's
    schedule        TEXT,
    secret_hint     TEXT    NOT NULL,
    sequence        INTEGER NOT NULL,
    last_success_at INTEGER NOT NULL,
    last_failure_at INTEGER NOT NULL,
    failing_since   INTEGER NOT NULL,
    failures        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    deleted_at      INTEGER NOT NULL,
    target          BLOB    NOT NULL, -- sealed: URL, headers, secrets
    PRIMARY KEY (project_id, id)
);
CREATE INDEX endpoints_newest ON endpoints (project_id, created_at, id) WHERE deleted_at = 0;
CREATE INDEX endpoints_active ON endpoints (project_id) WHERE is_active = 1 AND deleted_at = 0;

-- What deliveries to one receiver pass through: an endpoint's ID, or the host of one-off callbacks. A gate is woken, not
-- its deliveries: a backlog behind it costs nothing. wake_at is 0 when nothing waits behind it.
CREATE TABLE gates (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    wake_at    INTEGER NOT NULL,
    shut_at    INTEGER NOT NULL, -- since when its breaker is open
    PRIMARY KEY (project_id, id)
);
CREATE INDEX gates_wake ON gates (wake_at) WHERE wake_at > 0;
CREATE INDEX gates_shut ON gates (shut_at) WHERE shut_at > 0;

ALTER TABLE projects ADD COLUMN private_key BLOB; -- sealed; ed25519
ALTER TABLE files ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN webhook_ids TEXT;
ALTER TABLE jobs ADD COLUMN progress_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN progress_step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN request BLOB;
ALTER TABLE idempotency_keys ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0; -- whether the answer is

ALTER TABLE deliveries ADD COLUMN endpoint_id TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN gate TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN manual INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN delivered_at INTEGER NOT NULL DEFAULT 0; -- it has arrived, whatever was asked for since
UPDATE events SET model = coalesce((SELECT model FROM jobs WHERE jobs.project_id = events.project_id AND jobs.id = events.job_id), '');
UPDATE deliveries SET recorded = tries, wake_at = 0, delivered_at = CASE WHEN state = 'delivered' THEN ended_at ELSE 0 END, gate = replace(substr(url, instr(url, '://') + 3), '?', '/') || '/';
UPDATE deliveries SET gate = lower(substr(gate, 1, instr(gate, '/') - 1));
INSERT INTO gates (project_id, id, wake_at, shut_at)
    SELECT project_id, gate, max(min(due_at), 1), 0 FROM deliveries WHERE state = 'waiting' GROUP BY project_id, gate;

DROP INDEX deliveries_wake;
DROP INDEX deliveries_receiver;
CREATE UNIQUE INDEX deliveries_receiver ON deliveries (project_id, event_id, webhook_id, endpoint_id);
CREATE INDEX deliveries_waiting ON deliveries (project_id, gate, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_asked ON deliveries (project_id, gate, due_at) WHERE state = 'waiting' AND manual = 1;
CREATE INDEX deliveries_open ON deliveries (project_id, created_at, id) WHERE state IN ('waiting', 'sending');
CREATE INDEX events_since ON events (project_id, created_at, position);
CREATE INDEX deliveries_newest ON deliveries (project_id, created_at, id);
CREATE INDEX deliveries_endpoint ON deliveries (project_id, endpoint_id, created_at, id) WHERE endpoint_id <> '';
CREATE INDEX deliveries_ended ON deliveries (project_id, created_at, id) WHERE state IN ('failed', 'cancelled');
