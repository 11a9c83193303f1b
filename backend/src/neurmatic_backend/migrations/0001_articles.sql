-- Articles, with their search vector; what is listed is indexed in the order in which it is listed.
CREATE TABLE articles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    title text NOT NULL,
    summary text NOT NULL DEFAULT '',
    author text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    body_markdown text NOT NULL,
    body_html text NOT NULL,
    reading_minutes integer NOT NULL DEFAULT 1,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'scheduled', 'published', 'archived')),
    publish_at timestamptz,
    published_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    source_key text UNIQUE,
    content_hash text NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('english', summary), 'B')
        || setweight(to_tsvector('english', body_markdown), 'C')
    ) STORED,
    CHECK (status <> 'published' OR published_at IS NOT NULL),
    CHECK (status <> 'scheduled' OR publish_at IS NOT NULL)
);
CREATE INDEX articles_listed ON articles (published_at DESC, id DESC) WHERE status = 'published';
CREATE INDEX articles_tags ON articles USING gin (tags) WHERE status = 'published';
CREATE INDEX articles_search ON articles USING gin (search);
