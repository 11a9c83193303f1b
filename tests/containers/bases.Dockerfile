# Stands in for the official images, which can't be pulled where the tests run: the same programs and accounts, from
# Debian's packages. The machine's own CA bundle lies in each, so that package managers reach their registries in a build.
ARG ROOT
FROM ${ROOT} AS debian
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# No lists of packages in any layer: they would be counted as the images' size.
RUN echo 'DPkg::Post-Invoke { "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin"; };' >/etc/apt/apt.conf.d/no-lists
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

FROM debian AS python
RUN apt-get update -q && apt-get install -qy --no-install-recommends python3 python3-venv

FROM debian AS node
RUN apt-get update -q && apt-get install -qy --no-install-recommends libstdc++6 libatomic1
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm

FROM debian AS nginx
RUN useradd --system --uid 101 nginx && \
    apt-get update -q && apt-get install -qy --no-install-recommends nginx-light

# Account and folders as in the official image.
FROM debian AS postgres
RUN groupadd --system --gid 999 postgres && useradd --system --uid 999 --gid 999 postgres && \
    mkdir /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf && \
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql-15 && \
    install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin

FROM debian AS redis
RUN groupadd --system --gid 999 redis && useradd --system --uid 999 --gid 999 redis && \
    apt-get update -q && apt-get install -qy --no-install-recommends redis-server && \
    install -d -o redis -g redis /data
