-- +goose Up
-- What people look for: jobs by their metadata, events by job or type, deliveries by type, a batch's failed lines.

-- One narrow row for each job that has metadata: a search goes through these alone.
CREATE TABLE job_words (
    project_id TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    job_id     TEXT    NOT NULL,
    words      TEXT    NOT NULL, -- in small letters
    PRIMARY KEY (project_id, created_at, job_id)
) WITHOUT ROWID;
INSERT INTO job_words (project_id, created_at, job_id, words)
    SELECT project_id, created_at, id, lower(substr(replace(replace(replace(CAST(metadata AS TEXT), '": "', '":"'), '":"', '='), '","', char(10)), 1, 1000)) FROM jobs
    WHERE metadata IS NOT NULL AND CAST(metadata AS TEXT) NOT IN ('', '{}', 'null');

CREATE INDEX events_job ON events (project_id, job_id, position) WHERE job_id <> '';
CREATE INDEX lines_failed ON lines (project_id, job_id, line) WHERE NOT ok;

CREATE INDEX events_type ON events (project_id, type, position);
CREATE INDEX deliveries_type ON deliveries (project_id, event_type, created_at, id);

-- What filters and counts ask for stands in the index itself: of ten thousand rows that are passed over none is read.
DROP INDEX deliveries_endpoint;
CREATE INDEX deliveries_endpoint ON deliveries (project_id, endpoint_id, created_at, id, event_type) WHERE endpoint_id <> '';
DROP INDEX deliveries_open;
CREATE INDEX deliveries_open ON deliveries (project_id, created_at, id, state, endpoint_id, event_type) WHERE state IN ('waiting', 'sending');
DROP INDEX deliveries_ended;
CREATE INDEX deliveries_ended ON deliveries (project_id, created_at, id, state, endpoint_id, event_type, delivered_at, gate) WHERE state IN ('failed', 'cancelled');
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (project_id, created_at, id, kind, status, blocked_by) WHERE ended_at = 0;
DROP INDEX jobs_unwell;
CREATE INDEX jobs_unwell ON jobs (project_id, created_at, id, kind, status) WHERE ended_at > 0 AND status NOT IN ('completed', 'succeeded');
