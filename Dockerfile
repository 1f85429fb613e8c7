# syntax=docker/dockerfile:1
# Two stages: wheels are put into a virtual environment where there is a compiler, in case one of them has to be built;
# the image that runs has neither compiler nor pip's cache, and its user owns nothing but /data.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
# Where packages come from is pip's own business: PIP_INDEX_URL names a mirror. TORCH_INDEX_URL names torch's index of
# wheels for CPUs (it ends in /whl/cpu); without it, pip takes what it finds first, on amd64 two gigabytes of CUDA.
ARG PIP_INDEX_URL
ARG TORCH_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build
COPY requirements.txt ./
RUN if [ -n "${TORCH_INDEX_URL:-}" ]; then \
      sed -n 's/^\(torch\(vision\)\{0,1\}[<>=][^ #]*\).*/\1/p' requirements.txt > torch.txt \
      && pip install --index-url "$TORCH_INDEX_URL" -r torch.txt; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY explorer/__init__.py explorer/__init__.py
# what requirements.txt asks for, and what pyproject.toml offers for serving others; both say which versions
# hadolint ignore=DL3013
RUN pip install ".[postgres,accounts]" && pip uninstall -y dataset-explorer

FROM python:${PYTHON} AS run
RUN useradd --system --no-create-home --home-dir /tmp --uid 10001 explorer \
    && install -d -o explorer /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY app.py LICENSE ./
COPY .streamlit/config.toml .streamlit/config.toml
COPY docs/icon.png docs/icon.png
COPY pages pages
COPY explorer explorer
COPY data/clipart data/clipart
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    EXPLORER_WORKSPACE=/data/workspace EXPLORER_ROOTS=/pictures EXPLORER_LOG=json \
    HOME=/tmp NUMBA_CACHE_DIR=/data/numba
USER 10001
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/readyz', timeout=6)"]
ENTRYPOINT ["python", "-m", "explorer"]
CMD ["serve", "--address", "0.0.0.0"]
