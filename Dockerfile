# One image for web, workers and the scheduler, built from the lock file; docker-compose.yml says which is which.
# The sandbox utilities, the tests and the tools of developers stay out.
FROM python:3.11-slim-bookworm AS packages
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /app
COPY pyproject.toml uv.lock ./
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN uv sync --frozen --no-default-groups

FROM caddy:2.10-alpine AS proxy
# Caddy's own image runs as root; its certificates belong to a user of ours instead.
RUN adduser -D -u 10002 proxy && chown -R proxy /data /config
COPY deploy/Caddyfile /etc/caddy/Caddyfile
USER 10002

FROM python:3.11-slim-bookworm AS portal
RUN useradd --uid 10001 --create-home portal && mkdir -p /app/var/private && chown -R portal /app/var
WORKDIR /app
COPY --from=packages /app/.venv .venv
COPY . .
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 VAR_DIR=/app/var DJANGO_SETTINGS_MODULE=portal.settings
USER 10001
# Collected at build time: names carry a hash of the content. The keys are for this step only.
RUN SECRET_KEY=build FIELD_ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    python manage.py collectstatic --no-input --verbosity 0
# From here on the file system may be read-only but for /app/var/private (files on their way) and /tmp.
ENV PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
CMD ["gunicorn", "portal.wsgi:application", "--config", "python:portal.gunicorn_conf", "--bind", "0.0.0.0:8000", "--workers", "2", "--no-control-socket", "--worker-tmp-dir", "/dev/shm"]
