# Two stages: a wheel of the chosen features, then a small image that runs it as an ordinary user.
FROM python:3.11-slim AS build
ARG PIMD_FEATURES=all
ENV PIMD_FEATURES=${PIMD_FEATURES}
WORKDIR /src
COPY . .
RUN scripts/image/build-wheel /src /wheels

FROM python:3.11-slim
RUN --mount=type=bind,from=build,source=/src/scripts/image,target=/image \
    --mount=type=bind,from=build,source=/wheels,target=/wheels \
    /image/install /wheels /opt/pimd && /image/make-user
ENV PATH=/opt/pimd/bin:$PATH \
    PIM_DATA_DIR=/var/lib/pim \
    PIM_RPC_SOCKET=/var/lib/pim/pim.sock \
    PIMD_RPC__HTTP_HOST=0.0.0.0 \
    PIMD_RPC__ALLOW_REMOTE=true \
    PIMD_RPC__ALLOWED_HOSTS=localhost
USER pim
VOLUME /var/lib/pim
# Peers, programs, and multicast DNS, which leaves the container only with the host's network (docker run --network host).
EXPOSE 9100 9102 5353/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["pim", "status"]
ENTRYPOINT ["pimd"]
