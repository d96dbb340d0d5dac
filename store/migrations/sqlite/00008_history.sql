-- +goose Up
-- Counts by slots of time, for charts. Each process (source) writes rows of its own; whoever reads adds them up.

CREATE TABLE history (
    project_id TEXT    NOT NULL,
    series     TEXT    NOT NULL,
    about      TEXT    NOT NULL, -- a provider, an endpoint, a model; empty: the project
    at         INTEGER NOT NULL, -- the slot's start
    span       INTEGER NOT NULL, -- its length in milliseconds
    source     TEXT    NOT NULL, -- empty: a sample, of which the last one stands
    n          INTEGER NOT NULL,
    spread     TEXT    NOT NULL, -- of durations: "bucket:count " each; two texts in a row are both together
    PRIMARY KEY (project_id, series, about, at, span, source)
) WITHOUT ROWID;
CREATE INDEX history_age ON history (at);

-- Those of a batch, which go with it.
CREATE TABLE job_history (
    project_id TEXT    NOT NULL,
    job_id     TEXT    NOT NULL,
    series     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    span       INTEGER NOT NULL,
    source     TEXT    NOT NULL,
    n          INTEGER NOT NULL,
    spread     TEXT    NOT NULL,
    PRIMARY KEY (project_id, job_id, at, series, span, source)
) WITHOUT ROWID;
