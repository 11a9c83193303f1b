#!/bin/sh
# Starts PostgreSQL; makes the cluster, the application's role and its database where there are none.
# A cluster appears at its place whole or not at all. Meanwhile it is reached through a socket alone, so that nobody takes
# it for ready.
set -eu
umask 077
data=/var/lib/postgresql/data/cluster
if [ ! -e "$data/PG_VERSION" ]; then
    rm -rf "$data.unfinished"
    initdb --pgdata "$data.unfinished" --username postgres --pwfile /run/secrets/POSTGRES_SUPERUSER_PASSWORD \
        --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --data-checksums
    pg_ctl --pgdata "$data.unfinished" --wait --options "-c listen_addresses='' -c unix_socket_directories=/tmp" start
    PGPASSWORD=$(cat /run/secrets/POSTGRES_SUPERUSER_PASSWORD) APP_PASSWORD=$(cat /run/secrets/POSTGRES_PASSWORD) \
        psql --no-psqlrc --quiet --host /tmp --username postgres --dbname postgres \
        --set app_user=neurmatic --set app_database=neurmatic \
        --file /neurmatic/config/postgresql/database.sql
    pg_ctl --pgdata "$data.unfinished" --wait --mode fast stop
    mv "$data.unfinished" "$data"
fi
exec postgres -D "$data" -c config_file=/neurmatic/config/postgresql/postgresql.conf
