"""What every slice stands on: settings, database, Redis, queues, logging, errors, lifecycle."""
