-- +goose Up
-- Counts by slots of time, for charts. Each process (source) writes rows of its own; whoever reads adds them up.

CREATE TABLE history (
    project_id         TEXT COLLATE "C" NOT NULL,
    series             TEXT COLLATE "C" NOT NULL,
    about              TEXT COLLATE "C" NOT NULL, -- a provider, an endpoint, a model; empty: the project
    at                 BIGINT NOT NULL, -- the slot's start
    span               BIGINT NOT NULL, -- its length in milliseconds
    source             TEXT COLLATE "C" NOT NULL, -- empty: a sample, of which the last one stands
    n                  BIGINT NOT NULL,
    spread             TEXT COLLATE "C" NOT NULL, -- of durations: "bucket:count " each; two texts in a row are both together
    PRIMARY KEY (project_id, series, about, at, span, source)
);
CREATE INDEX history_age ON history (at);

-- Those of a batch, which go with it.
CREATE TABLE job_history (
    project_id         TEXT COLLATE "C" NOT NULL,
    job_id             TEXT COLLATE "C" NOT NULL,
    series             TEXT COLLATE "C" NOT NULL,
    at                 BIGINT NOT NULL,
    span               BIGINT NOT NULL,
    source             TEXT COLLATE "C" NOT NULL,
    n                  BIGINT NOT NULL,
    spread             TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, job_id, at, series, span, source)
);
