-- +goose Up
-- Responses in the background: what they repeat of their requests, and what clients watch grow.

CREATE TABLE responses (
    project_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    streaming  INTEGER NOT NULL, -- 0 no, 1 its events are kept, 2 they were; before the long columns, so that it is read without them
    settings   BLOB    NOT NULL, -- JSON: what the response repeats of its request
    items      BLOB    NOT NULL, -- JSON: its input items
    PRIMARY KEY (project_id, job_id)
);
CREATE INDEX responses_streamed ON responses (project_id, job_id) WHERE streaming = 1;

-- Rows may be long and many: they are not part of the index, so that removing them moves none of the others.
CREATE TABLE response_events (
    project_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    n          INTEGER NOT NULL, -- sequence_number
    type       TEXT    NOT NULL,
    data       BLOB    NOT NULL
);
CREATE UNIQUE INDEX response_events_numbered ON response_events (project_id, job_id, n);

-- Streams that nobody can read any more. Their events go slice by slice; then the row goes.
CREATE TABLE spent_streams (
    project_id TEXT NOT NULL,
    job_id     TEXT NOT NULL,
    PRIMARY KEY (project_id, job_id)
) WITHOUT ROWID;
