-- A view is a row until a job folds it into its day.
CREATE TABLE page_views (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    article_id bigint NOT NULL,
    viewed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE daily_views (
    article_id bigint NOT NULL,
    day date NOT NULL,
    views bigint NOT NULL,
    PRIMARY KEY (article_id, day)
);
