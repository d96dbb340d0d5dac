-- +goose Up
-- What people look for: jobs by their metadata, a job's events, a batch's failed lines.

-- One narrow row for each job that has metadata: a search goes through these alone.
CREATE TABLE job_words (
    project_id TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    job_id     TEXT    NOT NULL,
    words      TEXT    NOT NULL, -- in small letters
    PRIMARY KEY (project_id, created_at, job_id)
) WITHOUT ROWID;
INSERT INTO job_words (project_id, created_at, job_id, words)
    SELECT project_id, created_at, id, lower(substr(CAST(metadata AS TEXT), 1, 1000)) FROM jobs
    WHERE metadata IS NOT NULL AND CAST(metadata AS TEXT) NOT IN ('', '{}', 'null');

CREATE INDEX events_job ON events (project_id, job_id, position) WHERE job_id <> '';
CREATE INDEX lines_failed ON lines (project_id, job_id, line) WHERE NOT ok;
