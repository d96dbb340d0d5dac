-- +goose Up
-- What people look for: jobs by their metadata, a job's events, a batch's failed lines.

-- One narrow row for each job that has metadata: a search goes through these alone.
CREATE TABLE job_words (
    project_id         TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    words              TEXT COLLATE "C" NOT NULL, -- in small letters
    PRIMARY KEY (project_id, created_at, job_id)
);
INSERT INTO job_words (project_id, created_at, job_id, words)
    SELECT project_id, created_at, id, lower(substr(convert_from(metadata, 'UTF8'), 1, 1000)) FROM jobs
    WHERE metadata IS NOT NULL AND convert_from(metadata, 'UTF8') NOT IN ('', '{}', 'null');

CREATE INDEX events_job ON events (project_id, job_id, position) WHERE job_id <> '';
CREATE INDEX lines_failed ON lines (project_id, job_id, line) WHERE NOT ok;
