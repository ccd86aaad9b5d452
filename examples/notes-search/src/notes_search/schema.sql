-- Made at every start. Each statement may run any number of times.
-- The tool runs it under an advisory lock: two servers that start together would else both try to create the table.

CREATE TABLE IF NOT EXISTS notes (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title    text NOT NULL,
    body     text NOT NULL,
    tags     text[] NOT NULL DEFAULT '{}',
    created  timestamptz NOT NULL DEFAULT now(),
    -- A word in the title weighs more than one in the body. PostgreSQL keeps this column itself.
    document tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'B')
    ) STORED
);

CREATE INDEX IF NOT EXISTS notes_document ON notes USING gin (document);
CREATE INDEX IF NOT EXISTS notes_tags ON notes USING gin (tags);
