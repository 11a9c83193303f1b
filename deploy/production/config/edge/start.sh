#!/bin/sh
# Starts nginx, and the guard beside it, which keeps nginx's lists of instances and signals it: whatever ends the
# container ends both, and a guard that dies is started again.
set -eu
mkdir -p /neurmatic/run/nginx /neurmatic/run/upstreams /neurmatic/run/drained
cp /neurmatic/config/upstreams/*.conf /neurmatic/run/upstreams/
cd /neurmatic/config
(while :; do python3 -B -m guard /neurmatic || sleep 1; done) &
exec nginx -e stderr -p /neurmatic/run -c /neurmatic/config/nginx/nginx.conf
