"""The article scheduler: publishes an article at its due second, or as soon as a worker is there again."""

import logging
from typing import Any

from neurmatic_backend.articles.service import publish_due
from neurmatic_backend.core.database import Database

log = logging.getLogger(__name__)


async def publish(database: Database, payload: dict[str, Any]) -> None:
    """A job of the queue article_scheduler; it may come twice, or for an article that was changed since."""
    if await publish_due(database, int(payload["article_id"])):
        log.info("article published", extra={"job": payload["article_id"]})
