#!/bin/sh
# Starts Redis; its password reaches it through its standard input, so that it is no argument and in no rendered file.
exec redis-server - <<END
include /neurmatic/config/redis/redis.conf
requirepass $(cat /run/secrets/REDIS_PASSWORD)
END
