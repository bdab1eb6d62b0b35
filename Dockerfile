# The image that `cluster render` names: docker build -t REGISTRY/sparse-scaling:TAG . && docker push REGISTRY/sparse-scaling:TAG
# The checkout lies in /app, whose sweep files the manifests name; corpora and results come and go by volume and storage.
# The digest is that of the tag's multi-architecture index, as several public repositories record it; it wasn't asked of
# Docker Hub, so `docker buildx imagetools inspect python:3.11.14-slim-bookworm` should say the same.
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

# g++ for torch.compile; openssh and rsync for Ray's cluster launcher.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ openssh-client rsync wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 sweep \
    && mkdir -p /app/data /app/results \
    && chown -R sweep:sweep /app

WORKDIR /app
COPY requirements.lock requirements-build.lock requirements-cuda.lock ./
RUN pip install --no-cache-dir --require-hashes --no-deps --requirement requirements-build.lock \
    && pip install --no-cache-dir --require-hashes --no-deps --no-build-isolation --use-pep517 \
        --requirement requirements.lock --requirement requirements-cuda.lock

COPY --chown=root:root . .
# NVIDIA's container runtime gives a container the GPUs and driver libraries that these two name, and none without them:
# compute is CUDA, utility is NVML, by which Ray counts GPUs.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0
USER 1000
CMD ["python", "-m", "cluster", "doctor"]
