# Thetaloop for a MongoDB replica set of your own (compose.yml starts one beside it).
# A wheel is built first, so that the image holds neither the sources nor what building needs.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -r /wheels \
    && useradd --system --uid 10001 --create-home --home-dir /data thetaloop
USER 10001
WORKDIR /data
VOLUME /data
ENV THETALOOP_DATA_DIR=/data THETALOOP_SERVER_ADDRESS=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/livez', timeout=4)"
# SIGTERM reaches the server itself, which answers what is under way before it ends.
STOPSIGNAL SIGTERM
ENTRYPOINT ["thetaloop"]
CMD ["serve"]
