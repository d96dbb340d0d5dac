-- +goose Up
-- Batches that run again what an ended one has not answered.

ALTER TABLE jobs ADD COLUMN retry_of TEXT NOT NULL DEFAULT '';
