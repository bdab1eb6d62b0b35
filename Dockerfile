# The image that `cluster render` names: docker build -t REGISTRY/sparse-scaling:TAG . && docker push REGISTRY/sparse-scaling:TAG
# The checkout lies in /app, whose sweep files the manifests name; corpora and results come and go by volume and storage.
FROM python:3.11.14-slim-bookworm

# g++ for torch.compile; openssh and rsync for Ray's cluster launcher.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ openssh-client rsync wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 sweep \
    && mkdir -p /app/data /app/results \
    && chown -R sweep:sweep /app

WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --requirement requirements.lock

COPY --chown=root:root . .
ENV PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0
USER 1000
CMD ["python", "-m", "cluster", "doctor"]
