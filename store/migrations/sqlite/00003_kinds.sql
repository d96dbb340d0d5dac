-- +goose Up
-- Fine-tunings and what they make; times and priorities of jobs; why they wait.

ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0; -- 1 high, 0 normal, -1 low
ALTER TABLE jobs ADD COLUMN run_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN validation_file_id TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN copied INTEGER NOT NULL DEFAULT 0; -- lines that a retried batch took over
ALTER TABLE jobs ADD COLUMN blocked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN blocked_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN remote TEXT NOT NULL DEFAULT ''; -- JSON: what the job has at its provider
ALTER TABLE jobs ADD COLUMN tuning TEXT; -- JSON: a fine-tuning's own facts
ALTER TABLE shards ADD COLUMN priority INTEGER NOT NULL DEFAULT 0; -- its job's

DROP INDEX jobs_wake;
CREATE INDEX jobs_wake ON jobs (kind, priority, wake_at) WHERE wake_at > 0;
DROP INDEX shards_wake;
CREATE INDEX shards_wake ON shards (priority, wake_at) WHERE wake_at > 0;
CREATE INDEX jobs_validation ON jobs (project_id, validation_file_id) WHERE ended_at = 0 AND validation_file_id <> '';

-- A fine-tuning's own log. What comes from its provider is kept once.
CREATE TABLE tuning_events (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    remote_id  TEXT    NOT NULL, -- the provider's ID; empty for our own
    created_at INTEGER NOT NULL,
    level      TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    data       BLOB
);
CREATE UNIQUE INDEX tuning_events_id ON tuning_events (project_id, id);
CREATE INDEX tuning_events_job ON tuning_events (project_id, job_id, position);
CREATE UNIQUE INDEX tuning_events_remote ON tuning_events (project_id, job_id, remote_id) WHERE remote_id <> '';

CREATE TABLE checkpoints (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    model      TEXT    NOT NULL,
    step       INTEGER NOT NULL,
    metrics    BLOB,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX checkpoints_step ON checkpoints (project_id, job_id, step);

-- Models that fine-tunings have made, and where they are.
CREATE TABLE models (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    provider   TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
