# One image for web, worker and beat; docker-compose.yml says which is which. The sandbox utilities stay out.
FROM python:3.11-slim-bookworm AS packages
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /app
COPY pyproject.toml uv.lock ./
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN uv sync --frozen --no-default-groups

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home portal && mkdir -p /app/var && chown portal /app/var
WORKDIR /app
COPY --from=packages /app/.venv .venv
COPY . .
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 VAR_DIR=/app/var DJANGO_SETTINGS_MODULE=portal.settings
USER portal
# Collected at build time: names carry a hash of the content. The keys are for this step only.
RUN SECRET_KEY=build FIELD_ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    python manage.py collectstatic --no-input --verbosity 0
EXPOSE 8000
CMD ["gunicorn", "portal.wsgi:application", "--config", "python:portal.gunicorn_conf", "--bind", "0.0.0.0:8000", "--workers", "2", "--no-control-socket", "--worker-tmp-dir", "/dev/shm"]
