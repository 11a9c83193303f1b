"""Every query of the articles, by name. PostgreSQL builds the JSON of what is served: the fastest way measured."""

from functools import cache

_SUMMARY = """'slug', slug, 'title', title, 'summary', summary, 'author', author, 'tags', tags,
    'published_at', to_char(published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'reading_minutes', reading_minutes"""

# One more than asked for tells whether there is a next page; its cursor is that of the last one shown.
_LIST = """
WITH found AS (
    SELECT id, slug, title, summary, author, tags, published_at, reading_minutes,
           row_number() OVER (ORDER BY published_at DESC, id DESC) AS n
      FROM articles
     WHERE status = 'published' {where}
     ORDER BY published_at DESC, id DESC
     LIMIT $1 + 1
)
SELECT json_build_object(
    'items', coalesce(json_agg(json_build_object({summary}) ORDER BY n) FILTER (WHERE n <= $1), '[]'),
    'next_cursor', CASE WHEN count(*) > $1 THEN
        max((extract(epoch FROM published_at) * 1000000)::bigint || '-' || id) FILTER (WHERE n = $1) END
)::text FROM found
"""
_OLDER = "AND (published_at, id) < (to_timestamp($2::bigint / 1000000.0), $3::bigint)"


@cache
def list_query(*, older: bool, tag: bool, search: bool) -> str:
    """The list for these filters. Parameters: limit, then microseconds and id of the cursor, then tag, then words."""
    number = 2
    where = ""
    if older:
        where += _OLDER
        number += 2
    if tag:
        where += f" AND tags @> ARRAY[${number}::text]"
        number += 1
    if search:
        where += f" AND search @@ websearch_to_tsquery('english', ${number})"
    return _LIST.format(where=where, summary=_SUMMARY)


ONE = f"""
SELECT content_hash AS etag, json_build_object({_SUMMARY}, 'body_html', body_html,
       'updated_at', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text AS body
  FROM articles WHERE slug = $1 AND status = 'published'
"""  # noqa: S608  the parts are constants above

TAGS = """
SELECT json_build_object('items', coalesce(json_agg(json_build_object('tag', tag, 'count', count)), '[]'))::text
  FROM (SELECT tag, count(*) FROM articles, unnest(tags) AS tag WHERE status = 'published'
         GROUP BY tag ORDER BY count(*) DESC, tag) AS counted
"""

ID_OF_PUBLISHED = "SELECT id FROM articles WHERE slug = $1 AND status = 'published'"

PUBLISH_DUE = """
UPDATE articles SET status = 'published', published_at = publish_at, updated_at = now()
 WHERE id = $1 AND status = 'scheduled' AND publish_at <= now()
RETURNING slug, title, published_at
"""

BY_SOURCE = "SELECT id, slug, content_hash, status FROM articles WHERE source_key = $1 FOR UPDATE"

INSERT = """
INSERT INTO articles (slug, title, summary, author, tags, body_markdown, body_html, reading_minutes, status,
                      publish_at, published_at, source_key, content_hash, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, coalesce($11, now()))
RETURNING id
"""

UPDATE = """
UPDATE articles SET slug = $1, title = $2, summary = $3, author = $4, tags = $5, body_markdown = $6, body_html = $7,
       reading_minutes = $8, status = $9, publish_at = $10, published_at = $11, source_key = $12, content_hash = $13,
       updated_at = now()
 WHERE id = $14
"""
