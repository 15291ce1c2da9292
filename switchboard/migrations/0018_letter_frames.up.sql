-- The markup that letters of one template share, cut where each has its own: `texts` has one more than a letter has
-- pieces. A frame never changes, and its id is made from its content.
CREATE TABLE app.letter_frame (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    texts text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (workspace_id, id)
);
ALTER TABLE app.letter_frame ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.letter_frame FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.letter_frame USING (workspace_id = app.workspace_id());

-- A letter that went out keeps its own pieces, as a JSON array of texts, instead of the whole in body_html.
ALTER TABLE app.message ADD COLUMN frame_id uuid;
ALTER TABLE app.message ADD COLUMN frame_pieces jsonb;
