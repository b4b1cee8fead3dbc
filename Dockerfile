# PostgreSQL with pgfaiss and its extension "vector", from the stock image:
#     docker build --build-arg PG_MAJOR=15 -t pgfaiss .
# It is linted by tests/packages.rs, which also makes the packages that it makes, outside of a container.
ARG PG_MAJOR=15
ARG DEBIAN=bookworm

FROM postgres:${PG_MAJOR}-${DEBIAN} AS build
ARG PG_MAJOR
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates curl gcc git libc6-dev "postgresql-server-dev-${PG_MAJOR}" \
    && rm -rf /var/lib/apt/lists/*
RUN curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs \
    | sh -s -- -y --profile minimal --default-toolchain none
ENV PATH="/root/.cargo/bin:${PATH}"
WORKDIR /src
COPY . .
RUN cargo xtask package --debs --pg-config "/usr/lib/postgresql/${PG_MAJOR}/bin/pg_config" --out /packages

FROM postgres:${PG_MAJOR}-${DEBIAN}
RUN --mount=type=bind,from=build,source=/packages,target=/packages \
    dpkg --install /packages/*.deb
