-- +goose Up
-- Conditions of partial indexes as both databases write them; traces; what is kept for a time.

DROP INDEX endpoints_active;
CREATE INDEX endpoints_active ON endpoints (project_id) WHERE is_active AND deleted_at = 0;
DROP INDEX shards_asleep;
CREATE INDEX shards_asleep ON shards (project_id, job_id, n) WHERE NOT done AND due_at = 0 AND owner = '';
CREATE INDEX shards_free ON shards (project_id, job_id, n) WHERE owner = '' AND due_at > 0;
DROP INDEX deliveries_asked;
CREATE INDEX deliveries_asked ON deliveries (project_id, gate, due_at) WHERE state = 'waiting' AND manual;

-- When the sweeper is to look at deliveries behind a gate is a row of its own, any number for each gate; gates are those
-- whose breaker is open.
CREATE TABLE wakes (
    project_id TEXT    NOT NULL,
    gate       TEXT    NOT NULL,
    wake_at    INTEGER NOT NULL
);
CREATE INDEX wakes_gate ON wakes (project_id, gate);
CREATE INDEX wakes_due ON wakes (wake_at);
INSERT INTO wakes (project_id, gate, wake_at) SELECT project_id, id, wake_at FROM gates WHERE wake_at > 0;
DELETE FROM gates WHERE shut_at = 0;
DROP INDEX gates_wake;
DROP INDEX gates_shut;
ALTER TABLE gates DROP COLUMN wake_at;
CREATE INDEX gates_shut ON gates (shut_at);

ALTER TABLE jobs ADD COLUMN trace TEXT NOT NULL DEFAULT ''; -- traceparent, and after a space tracestate
ALTER TABLE events ADD COLUMN trace TEXT NOT NULL DEFAULT ''; -- its job's

ALTER TABLE jobs ADD COLUMN results_gone INTEGER NOT NULL DEFAULT 0; -- its lines, its request and its answer are kept no longer
ALTER TABLE projects ADD COLUMN events_until INTEGER NOT NULL DEFAULT 0; -- position of the newest event that is kept no longer
CREATE INDEX jobs_ended ON jobs (results_gone, ended_at, id) WHERE ended_at > 0;
CREATE INDEX jobs_open ON jobs (project_id, created_at, id) WHERE ended_at = 0;
CREATE INDEX jobs_unwell ON jobs (project_id, created_at, id) WHERE ended_at > 0 AND status NOT IN ('completed', 'succeeded');
CREATE INDEX jobs_retried ON jobs (project_id, retry_of) WHERE ended_at = 0 AND retry_of <> '';
CREATE INDEX files_lasting ON files (created_at) WHERE expires_at = 0 AND deleted_at = 0;
CREATE INDEX files_deleted ON files (blob, deleted_at) WHERE deleted_at > 0;
CREATE INDEX uploads_ended ON uploads (ended_at) WHERE ended_at > 0;

-- Jobs of which nobody can read everything any more: their results, or (whole) the job itself. What is left of them goes
-- slice by slice; then the row goes.
CREATE TABLE spent_jobs (
    project_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    whole      INTEGER NOT NULL,
    PRIMARY KEY (project_id, job_id)
) WITHOUT ROWID;
