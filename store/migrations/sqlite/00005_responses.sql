-- +goose Up
-- Responses in the background: what they repeat of their requests, and what clients watch grow.

CREATE TABLE responses (
    project_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    settings   BLOB    NOT NULL, -- JSON: what the response repeats of its request
    items      BLOB    NOT NULL, -- JSON: its input items
    streaming  INTEGER NOT NULL, -- 0 no, 1 its events are kept, 2 they were
    PRIMARY KEY (project_id, job_id)
);
CREATE INDEX responses_streamed ON responses (project_id, job_id) WHERE streaming = 1;

CREATE TABLE response_events (
    project_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    n          INTEGER NOT NULL, -- sequence_number
    type       TEXT    NOT NULL,
    data       BLOB    NOT NULL,
    PRIMARY KEY (project_id, job_id, n)
) WITHOUT ROWID;
