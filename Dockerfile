# Two images from one file: `--target service` (predictions) and `--target airflow` (everything else).
# The smaller one stands first: builders without BuildKit build every stage up to the target.
# Base images are arguments, so that a mirror or a digest can take their place.
ARG PYTHON_IMAGE=python:3.12-slim
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12

FROM ${PYTHON_IMAGE} AS service
USER root
# An environment of its own holds the locked versions and nothing that the base image brings. Wheels only: there is
# no compiler here. pip writes the bytecode, which the user that runs the image cannot.
ENV PATH=/opt/venv/bin:$PATH
COPY requirements-service.txt /opt/requirements.txt
RUN python3 -m venv /opt/venv \
 && PIP_USER=0 pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r /opt/requirements.txt \
 && pip check
# Both images make this folder with one owner: the one that is started first decides how the volume looks.
# The spool is the service's own: what it acknowledged while the store was away.
RUN install -d -o 50000 -g 0 -m 0775 /var/lib/kreislauf \
 && install -d -o 10001 -g 0 -m 0700 /var/spool/kreislauf \
 && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kreislauf
WORKDIR /opt/kreislauf
COPY include ./include
RUN chmod -R u=rwX,go=rX . && python -m compileall -q .
# 0.0.0.0 is the container's own network; the service starts on it only when there is an API key, and asks for one.
ENV HOME=/tmp \
    KREISLAUF_HOME=/var/lib/kreislauf \
    KREISLAUF_SPOOL=/var/spool/kreislauf \
    PYTHONPATH=/opt/kreislauf \
    PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
ENTRYPOINT []
CMD ["python", "-m", "include.kreislauf.service", "--host", "0.0.0.0", "--port", "8000"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "-I", "-S", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/live', timeout=3)"]
# Last, because it changes with every commit.
ARG CODE_VERSION=
ENV KREISLAUF_CODE_VERSION=${CODE_VERSION}
LABEL org.opencontainers.image.title="Kreislauf prediction service" \
      org.opencontainers.image.description="Answers from the live releases, and takes what really happened" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${CODE_VERSION}"

FROM ${AIRFLOW_IMAGE} AS airflow
USER root
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt /opt/requirements.txt
RUN python3 -m venv /opt/venv \
 && PIP_USER=0 pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r /opt/requirements.txt \
 && pip check
# auth holds the passwords of the UI's users, metrics the key with which Prometheus reads the prediction service.
RUN install -d -o 50000 -g 0 -m 0775 /var/lib/kreislauf /opt/airflow/logs \
 && install -d -o 50000 -g 0 -m 0770 /opt/airflow/auth \
 && install -d -o 50000 -g 0 -m 0755 /opt/airflow/metrics
WORKDIR /opt/kreislauf
COPY .airflowignore ./
COPY dags ./dags
COPY plugins ./plugins
COPY include ./include
RUN chmod -R u=rwX,go=rX . && python -m compileall -q .
ENV AIRFLOW_HOME=/opt/airflow \
    KREISLAUF_HOME=/var/lib/kreislauf \
    PYTHONPATH=/opt/kreislauf \
    PYTHONUNBUFFERED=1
# The base image's user; its entry point asks for group 0. No health check: each component has another.
USER 50000:0
ARG CODE_VERSION=
ENV KREISLAUF_CODE_VERSION=${CODE_VERSION}
LABEL org.opencontainers.image.title="Kreislauf on Airflow" \
      org.opencontainers.image.description="Apache Airflow with Kreislauf's DAGs, plugins and domain code" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${CODE_VERSION}"
