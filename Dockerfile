# Two images from one file: `--target service` (predictions) and `--target airflow` (everything else).
# The smaller one stands first: builders without BuildKit build every stage up to the target.
# Base images are arguments, so that a mirror or a digest can take their place.
ARG PYTHON_IMAGE=python:3.12-slim
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12

# An environment of its own holds the locked versions and nothing that the base image brings. Wheels only: there is no
# compiler. The bytecode is written here, as the users that run the images cannot. uv stays behind in this stage.
FROM ${PYTHON_IMAGE} AS service-environment
USER root
COPY requirements-build.txt requirements-service.txt /build/
RUN python3 -m venv /build/uv \
 && /build/uv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r /build/requirements-build.txt \
 && /build/uv/bin/uv venv --quiet --python "$(command -v python3)" /opt/venv \
 && /build/uv/bin/uv pip install --quiet --no-cache --python /opt/venv --no-deps --only-binary=:all: \
    --compile-bytecode --require-hashes -r /build/requirements-service.txt \
 && /build/uv/bin/uv pip check --python /opt/venv \
 && rm -f /opt/venv/.lock
# what is in the image, with versions, hashes and licences, stands in the image (CycloneDX)
COPY deploy/supply_chain /build/deploy/supply_chain
WORKDIR /build
RUN /opt/venv/bin/python -m deploy.supply_chain sbom requirements-service.txt \
    --name kreislauf-service --version 0.1.0 --output /opt/venv/sbom.cdx.json

FROM ${PYTHON_IMAGE} AS service
USER root
COPY --from=service-environment /opt/venv /opt/venv
# Both images make this folder with one owner: the one that is started first decides how the volume looks.
# The spool is the service's own: what it acknowledged while the store was away.
RUN install -d -o 50000 -g 0 -m 0775 /var/lib/kreislauf \
 && install -d -o 10001 -g 0 -m 0700 /var/spool/kreislauf \
 && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kreislauf
WORKDIR /opt/kreislauf
COPY include ./include
# 0.0.0.0 is the container's own network; the service starts on it only when there is an API key, and asks for one.
ENV HOME=/tmp \
    KREISLAUF_HOME=/var/lib/kreislauf \
    KREISLAUF_SPOOL=/var/spool/kreislauf \
    PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/kreislauf \
    PYTHONUNBUFFERED=1
RUN chmod -R u=rwX,go=rX . && python -m compileall -q .
USER 10001:10001
EXPOSE 8000
ENTRYPOINT []
CMD ["python", "-m", "include.kreislauf.service", "--host", "0.0.0.0", "--port", "8000"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-S", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/live', timeout=3)"]
# Last, because it changes with every commit.
ARG CODE_VERSION=
ENV KREISLAUF_CODE_VERSION=${CODE_VERSION}
LABEL org.opencontainers.image.title="Kreislauf prediction service" \
      org.opencontainers.image.description="Answers from the live releases, and takes what really happened" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${CODE_VERSION}"

FROM ${AIRFLOW_IMAGE} AS airflow-environment
USER root
COPY requirements-build.txt requirements.txt /build/
RUN python3 -m venv /build/uv \
 && PIP_USER=0 /build/uv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r /build/requirements-build.txt \
 && /build/uv/bin/uv venv --quiet --python "$(command -v python3)" /opt/venv \
 && /build/uv/bin/uv pip install --quiet --no-cache --python /opt/venv --no-deps --only-binary=:all: \
    --compile-bytecode --require-hashes -r /build/requirements.txt \
 && /build/uv/bin/uv pip check --python /opt/venv \
 && rm -f /opt/venv/.lock
# what is in the image, with versions, hashes and licences, stands in the image (CycloneDX)
COPY deploy/supply_chain /build/deploy/supply_chain
WORKDIR /build
RUN /opt/venv/bin/python -m deploy.supply_chain sbom requirements.txt \
    --name kreislauf-airflow --version 0.1.0 --output /opt/venv/sbom.cdx.json

FROM ${AIRFLOW_IMAGE} AS airflow
USER root
COPY --from=airflow-environment /opt/venv /opt/venv
# metrics holds the key with which Prometheus reads the prediction service. The empty airflow.cfg keeps every container
# from writing one of its own, with secrets of its own making; settings come from the environment.
RUN install -d -o 50000 -g 0 -m 0775 /var/lib/kreislauf /var/lib/mlflow /opt/airflow/logs \
 && install -d -o 50000 -g 0 -m 0755 /opt/airflow/metrics \
 && install -m 0644 /dev/null /opt/airflow/airflow.cfg
WORKDIR /opt/kreislauf
COPY .airflowignore ./
COPY dags ./dags
COPY plugins ./plugins
COPY deploy ./deploy
COPY include ./include
# The official entry point would ask for Airflow's database wherever it starts; workers have no way to it.
ENV AIRFLOW_HOME=/opt/airflow \
    CONNECTION_CHECK_MAX_COUNT=0 \
    KREISLAUF_HOME=/var/lib/kreislauf \
    PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/kreislauf \
    PYTHONUNBUFFERED=1
RUN chmod -R u=rwX,go=rX . && python -m compileall -q .
# The base image's user; its entry point asks for group 0. No health check: each component has another.
USER 50000:0
ARG CODE_VERSION=
ENV KREISLAUF_CODE_VERSION=${CODE_VERSION}
LABEL org.opencontainers.image.title="Kreislauf on Airflow" \
      org.opencontainers.image.description="Apache Airflow with Kreislauf's DAGs, plugins and domain code" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${CODE_VERSION}"
