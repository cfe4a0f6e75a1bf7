# One image for pages, worker and migrations: `deploy/start` chooses. No secret is needed to build it.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python3 -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --require-hashes -r requirements.lock
COPY . .
RUN ENVIRONMENT=build /venv/bin/python manage.py collectstatic --noinput \
    && /venv/bin/python -m compileall -q billing credits dashboard feedback sidekick \
    && /venv/bin/pip uninstall -y pip setuptools

FROM python:3.11-slim-bookworm
ENV ENVIRONMENT=production \
    PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    METRICS_DIR=/tmp/metrics \
    PORT=8000
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["deploy/alive"]
ENTRYPOINT ["deploy/start"]
CMD ["web"]
