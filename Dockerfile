# kadr as a service: docker build --tag kadr .   docs/deploy.md tells how to run it.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/kadr
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY man man
RUN /opt/kadr/bin/pip install --no-cache-dir --no-compile '.[postgres]'

FROM python:3.13-slim-bookworm
# The library's file, keys and secrets, and models by name; nothing else is written.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/kadr kadr
COPY --from=build /opt/kadr /opt/kadr
# hadolint ignore=DL3064
ENV PATH=/opt/kadr/bin:$PATH \
    HOME=/var/lib/kadr \
    PYTHONDONTWRITEBYTECODE=1 \
    KADR_LIBRARY=/var/lib/kadr/library.kadr \
    KADR_SECRETS=/var/lib/kadr/secrets \
    KADR_MODELS=/var/lib/kadr/models
USER 10001
VOLUME /var/lib/kadr
EXPOSE 8427
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8427/health', timeout=4)"]
ENTRYPOINT ["kadr"]
CMD ["serve", "--host", "0.0.0.0"]
