# syntax=docker/dockerfile:1
FROM node:22-bookworm-slim AS web
WORKDIR /web
COPY crates/server/web/package.json crates/server/web/package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts

FROM rust:1.95.0-bookworm AS build
# The image has this toolchain; without the line rustup would fetch rustfmt and clippy too.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /weir
# Security updates replace versions: a pin would break the build with each.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends pkg-config libclang-dev libavcodec-dev \
    libavfilter-dev libavformat-dev libavutil-dev libswresample-dev libswscale-dev && rm -rf /var/lib/apt/lists/*
COPY . .
COPY --from=web /web/node_modules crates/server/web/node_modules
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/weir/target \
    cargo build --locked --profile dist --bin weir --bin weir-transcoder \
    && cp target/dist/weir target/dist/weir-transcoder /usr/local/bin/

FROM debian:bookworm-slim
# The uid is fixed so that a volume's owner can be set from outside.
RUN groupadd --gid 10001 weir && useradd --uid 10001 --gid weir --home-dir /data --no-create-home weir \
    && install -d -m 0700 -o weir -g weir /data
# What the transcoder links.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libavcodec59 libavfilter8 && rm -rf /var/lib/apt/lists/*
# Whom to trust over TLS: databases.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/weir /usr/local/bin/weir-transcoder /usr/local/bin/
USER 10001:10001
WORKDIR /data
ENV WEIR_DATA__DIR=/data
VOLUME /data
EXPOSE 8080 1935 8890/udp
STOPSIGNAL SIGTERM
# No client is in the image; bash opens sockets by itself. For another http.listen, give another --health-cmd.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/localhost/8080 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["weir"]
CMD ["serve"]
