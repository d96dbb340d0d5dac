-- +goose Up
-- Files that come in parts. A part's row and its bytes stand until its upload has ended.

CREATE TABLE uploads (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    filename   TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    mime_type  TEXT    NOT NULL,
    bytes      INTEGER NOT NULL, -- as declared
    file_ttl   INTEGER NOT NULL, -- seconds
    parts      INTEGER NOT NULL,
    received   INTEGER NOT NULL, -- bytes of the parts
    part_ids   TEXT,             -- what it was completed with
    file_id    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX uploads_expiry ON uploads (expires_at) WHERE status = 'pending';

CREATE TABLE upload_parts (
    project_id TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    upload_id  TEXT    NOT NULL,
    bytes      INTEGER NOT NULL,
    blob       TEXT    NOT NULL, -- key in the file store
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX upload_parts_upload ON upload_parts (project_id, upload_id);
CREATE INDEX upload_parts_blob ON upload_parts (blob);
