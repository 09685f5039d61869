# Two images of the service.
#
#   docker build --target server -t passerine .
#   docker run -p 127.0.0.1:8000:8000 -v passerine:/data passerine
#
#   docker build --target lambda -t passerine-lambda .
#
# Both bases are pinned; take newer ones by --build-arg, or here.
#
# On Lambda the zip that `cdk deploy` makes is the better choice: SnapStart takes no images.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:ed86c82274b3c69b52fb5820f358f0bd7df0b603332063cb5c6e32bd220c3e6e
ARG LAMBDA_IMAGE=public.ecr.aws/lambda/python:3.13.2026.06.05.14

FROM ${PYTHON_IMAGE} AS tools
ENV PYTHONDONTWRITEBYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
RUN python3 -m pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
WORKDIR /srv
COPY pyproject.toml uv.lock ./

FROM tools AS server-code
RUN python3 -m uv sync --locked --no-default-groups --no-cache --compile-bytecode
COPY app app
RUN python3 -m compileall -q app

FROM tools AS lambda-code
ARG TARGETARCH=amd64
COPY infra infra
COPY app app
RUN machine=x86_64; if [ "${TARGETARCH}" = arm64 ]; then machine=aarch64; fi; \
    python3 -m uv run --no-project python3 -m infra.bundle code \
        --platform "${machine}-manylinux_2_28" --python python3.13

FROM ${LAMBDA_IMAGE} AS lambda
COPY --from=lambda-code /srv/code ${LAMBDA_TASK_ROOT}
USER 10001
CMD ["app.lambda_handler.handler"]

FROM ${PYTHON_IMAGE} AS server
ENV PATH=/srv/.venv/bin:$PATH PASSERINE_DATA_DIR=/data PYTHONUNBUFFERED=1
RUN mkdir /data && chown 10001 /data
WORKDIR /srv
COPY --from=server-code /srv /srv
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000", "--no-proxy-headers"]
