"""The catalogue's figures for each environment: what applies unless the stack file says otherwise."""

from typing import Any

# Figures: the readiness catalogue, stack.staging and stack.production.
PROFILES: dict[str, dict[str, Any]] = {
    "development": {},
    "staging": {
        "postgres": {"max_connections": 100, "shared_buffers": "256MB", "effective_cache_size": "1GB"},
        "redis": {"maxmemory": "512MB"},
        "tls": {"certificates": "acme"},
    },
    "production": {
        "postgres": {"max_connections": 200, "shared_buffers": "512MB", "effective_cache_size": "2GB"},
        "redis": {"maxmemory": "2GB"},
        "tls": {"certificates": "acme"},
    },
}
