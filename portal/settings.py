"""Settings on one page. Every value that differs between machines comes from the environment."""

from pathlib import Path
from typing import Any

from csp import constants as csp
from kombu.entity import Queue

from portal.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

# --- This deployment ---------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
SECRET_KEY = env.str("SECRET_KEY", default="")
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS", default=[])  # Fernet keys, the newest first
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost"])
PORTAL_BASE_URL = env.str("PORTAL_BASE_URL", default="http://localhost:8000")
PORTAL_NAME = env.str("PORTAL_NAME", default="Share My Meter")
PORTAL_COMPANY = env.str("PORTAL_COMPANY", default="Share My Meter")
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="help@sharemymeter.example")
# Whom utilities write to or call about our registration; they stand on its form.
CONTACT_NAME = env.str("CONTACT_NAME", default="")
CONTACT_EMAIL = env.str("CONTACT_EMAIL", default=SUPPORT_EMAIL)
CONTACT_PHONE = env.str("CONTACT_PHONE", default="")
CSRF_TRUSTED_ORIGINS = [PORTAL_BASE_URL]
HTTPS = PORTAL_BASE_URL.startswith("https://")
# `production` refuses the demo accounts and needs a mail server.
ENVIRONMENT_NAME = env.str("ENVIRONMENT_NAME", default="production" if HTTPS else "development")

# --- The utilities -----------------------------------------------------------------------------------------------
# Where the sandbox answers. Its addresses are used only by registrations of the environment "sandbox".
SANDBOX_BASE_URL = env.str("SANDBOX_BASE_URL", default="http://localhost:8001")
SANDBOX_TLS_BASE_URL = env.str("SANDBOX_TLS_BASE_URL", default="https://localhost:8002")
# Networks (CIDR) that calls to `test` and `production` hosts may reach although they are not public:
# a stand-in on a laboratory network. Calls to the sandbox may always reach loopback.
OUTBOUND_ALLOWED_NETWORKS = env.list("OUTBOUND_ALLOWED_NETWORKS", default=[])

# --- Django ------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_celery_beat",
    "espi",
    "utilities",
    "portal",
]
MIDDLEWARE = [
    "portal.health.answer",
    "portal.middleware.request_log",
    "portal.middleware.straight_to_machines",
    "portal.api.access.json_errors",
    "portal.middleware.see_other",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.own_language",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "portal.middleware.session_limits",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "portal.middleware.staff_site",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.acceptance.incoming.keep_hops",
]
ROOT_URLCONF = "portal.urls"
SILENCED_SYSTEM_CHECKS = ["urls.W002"]  # "/connect" and "/connect/…" are one group: the slash begins the second part
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "portal.context.site",
            ],
        },
    },
]
DATABASES = {"default": env.db_url("DATABASE_URL", default="postgres:///portal")}
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
AUTH_USER_MODEL = "portal.User"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español"), ("fr-ca", "Français (Canada)")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["portal.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env.str("STATICFILES_STORAGE", "whitenoise.storage.CompressedManifestStaticFilesStorage"),
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "portal.uploads.PrivateUploadHandler",
]
PRIVATE_DIR = VAR_DIR / "private"  # nameless temporary files: downloads, uploads, readings on their way

# --- The pace of the work, in seconds: fault experiments (docs/chaos.md) shorten it, nobody else needs to ------------
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=15)
JOB_LEASE_SECONDS = env.float("JOB_LEASE_SECONDS", default=300)
JOB_LEASE_RENEWED_EVERY_SECONDS = env.float("JOB_LEASE_RENEWED_EVERY_SECONDS", default=30)
JOB_WAITS_SECONDS = tuple(env.list("JOB_WAITS_SECONDS", cast=float, default=[30.0, 3600.0]))  # shortest, longest
REFRESH_CLAIM_SECONDS = env.float("REFRESH_CLAIM_SECONDS", default=60)
PLAN_SECONDS = env.float("PLAN_SECONDS", default=60)
CIRCUIT_PROBE_SECONDS = env.float("CIRCUIT_PROBE_SECONDS", default=60)

# --- Redis: broker, and the cache that every process shares -----------------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="redis://localhost:6379/0")  # or unix:///path/to.sock?db=0
CACHES = {
    "default": {
        "BACKEND": "portal.cache.ImpatientCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"serializer": "portal.cache.JSONSerializer"},
    }
}


def broker_url(redis_url: str) -> str:
    """Celery spells a Unix socket `redis+socket://…?virtual_host=0`, redis-py `unix://…?db=0`."""
    if redis_url.startswith("unix://"):
        return redis_url.replace("unix://", "redis+socket://", 1).replace("db=", "virtual_host=")
    return redis_url


# The message is only a wake-up: losing one costs a sweep, repeating one finds nothing to claim.
CELERY_BROKER_URL = broker_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = env.int("CELERY_TASK_TIME_LIMIT", default=1200)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = env.float("CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT", default=60)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    # For whoever publishes: one more try, at once. (Workers look for their broker for ever, by their own setting.)
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
    "socket_timeout": env.float("BROKER_SOCKET_TIMEOUT", default=5.0),
    "socket_connect_timeout": env.float("BROKER_SOCKET_TIMEOUT", default=5.0),
}
CELERY_BEAT_SCHEDULER = "portal.beat:Scheduler"
CELERY_TIMEZONE = "UTC"
# What a person waits for, files and history, and what nobody waits for: `celery worker --queues` names those it serves.
CELERY_TASK_QUEUES = [Queue(name) for name in ("interactive", "downloads", "housekeeping")]
CELERY_TASK_DEFAULT_QUEUE = "interactive"
CELERY_TASK_ROUTES = {f"portal.tasks.{name}": {"queue": "housekeeping"} for name in ("plan", "review", "purge")}
CELERY_TASK_ROUTES["portal.prepare_exports"] = {"queue": "housekeeping"}
# A sweep that waited in the queue longer than until the next one has nothing to add.
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "portal.tasks.sweep", "schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS}},
    "heal": {"task": "portal.flows.returning.heal", "schedule": 60.0, "options": {"expires": 60}},
    "plan": {"task": "portal.tasks.plan", "schedule": PLAN_SECONDS, "options": {"expires": PLAN_SECONDS}},
    "letters": {"task": "portal.send_letters", "schedule": 15.0, "options": {"expires": 15}},
    "exports": {"task": "portal.prepare_exports", "schedule": 60.0, "options": {"expires": 60}},
    "watch": {"task": "portal.tasks.watch", "schedule": 60.0, "options": {"expires": 60}},
    "review": {"task": "portal.tasks.review", "schedule": 3600.0, "options": {"expires": 3600}},
    "purge": {"task": "portal.tasks.purge", "schedule": 24 * 3600.0, "options": {"expires": 3600}},
}

# --- Accounts ----------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"  # portal.accounts.AccountAdapter knows better
ACCOUNT_ADAPTER = "portal.accounts.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "portal.account_forms.LoginForm",
    "signup": "portal.account_forms.SignupForm",
    "change_password": "portal.account_forms.ChangePasswordForm",
    "reset_password": "portal.account_forms.ResetPasswordForm",
    "reset_password_from_key": "portal.account_forms.ResetPasswordKeyForm",
    "reauthenticate": "portal.account_forms.ReauthenticateForm",
    "confirm_email_verification_code": "portal.account_forms.ConfirmEmailForm",
    "confirm_password_reset_code": "portal.account_forms.ConfirmPasswordResetForm",
    "change_email": "portal.account_forms.ChangeEmailForm",
    "add_email": "portal.account_forms.AddEmailForm",
}
MFA_FORMS = {
    "authenticate": "portal.account_forms.AuthenticateForm",
    "reauthenticate": "portal.account_forms.ReauthenticateByAppForm",
    "activate_totp": "portal.account_forms.ActivateTOTPForm",
    "add_webauthn": "portal.account_forms.AddPasskeyForm",
    "edit_webauthn": "portal.account_forms.RenamePasskeyForm",
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# A link would open another tab, or another browser, and lose the journey that began at the utility. A code keeps it.
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = 15 * 60
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
# `key` of login_failed is account and address together (AccountAdapter): nobody can lock a stranger out.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/15m/key,50/1h/ip",
    # Codes by e-mail: six an hour for one address.
    "confirm_email": "1/10s/key,6/1h/key",
    "reset_password": "20/m/ip,6/1h/key",
}
MFA_ADAPTER = "portal.accounts.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = PORTAL_NAME
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # http://localhost only: browsers offer passkeys nowhere else
# (seconds without a request, seconds since sign-in)
SESSION_LIMITS = {"customer": (30 * 60, 12 * 3600), "staff": (15 * 60, 8 * 3600)}

# --- Mail --------------------------------------------------------------------------------------------------------
# Without EMAIL_URL a development portal prints its mail and keeps it under var/mail, so that codes can be read.
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"{PORTAL_NAME} <{SUPPORT_EMAIL}>")
# Who is told, once, that something needs a person: STAFF_EMAILS=ops@example.com,more@example.com
ADMINS = [("Staff", address) for address in env.list("STAFF_EMAILS", default=[]) if address]
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_SUBJECT_PREFIX = f"[{PORTAL_NAME}] "
email_url = env.str("EMAIL_URL", default="")  # smtp+tls://user:password@host:587
if ENVIRONMENT_NAME == "production" or email_url:
    vars().update(env.email_url_config(email_url or "smtp://localhost:25"))
else:
    EMAIL_BACKEND = "portal.mail.VisibleBackend"
    EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_TIMEOUT = 10

# --- Data ----------------------------------------------------------------------------------------------------------
# Days for which the bytes of documents are kept as they were received; 0: as long as what was read from them.
DOCUMENT_DAYS = env.int("DOCUMENT_DAYS", default=400)

# --- Security ----------------------------------------------------------------------------------------------------
SESSION_COOKIE_SAMESITE = "Lax"  # under Strict the customer would come back from the utility signed out
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "portal_session"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "portal_csrf"
LANGUAGE_COOKIE_NAME = "__Host-language" if HTTPS else "portal_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = HTTPS and env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=1)
CSRF_FAILURE_VIEW = "portal.views.problems.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.NONE],
        "script-src": [csp.SELF, csp.NONCE],
        "style-src": [csp.SELF],
        "img-src": [csp.SELF, "data:"],  # data: is the QR code of an authenticator app
        "font-src": [csp.SELF],
        "connect-src": [csp.SELF],
        "manifest-src": [csp.SELF],
        "form-action": [csp.SELF],  # a page that leaves for a utility adds its host: portal.middleware.allow_departure
        "base-uri": [csp.NONE],
        "frame-ancestors": [csp.NONE],
    }
}

# --- Staff site ---------------------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": f"{PORTAL_NAME} staff",
    "SITE_HEADER": f"{PORTAL_NAME} staff",
    "SITE_URL": "/",
    "ENVIRONMENT": "portal.context.staff_badge",
    "STYLES": ["portal.staff_navigation.stylesheet"],
    "SIDEBAR": {"navigation": "portal.staff_navigation.groups"},
    "COLORS": {
        "primary": {
            "50": "#eff8f6",
            "100": "#d8eeea",
            "200": "#b3ddd6",
            "300": "#82c6bb",
            "400": "#4ba99c",
            "500": "#268c80",
            "600": "#0a6f68",
            "700": "#0a5f59",
            "800": "#084b46",
            "900": "#073d39",
            "950": "#032422",
        },
    },
}

# --- Watching: docs/operations.md --------------------------------------------------------------------------------
# Whoever shows this token (Authorization: Bearer …) may read /metrics. Empty: there is no /metrics.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# A directory that the processes of one web server share to count requests together; emptied before it starts.
PROMETHEUS_MULTIPROC_DIR = env.str("PROMETHEUS_MULTIPROC_DIR", default="")
# A worker and the scheduler touch this file each time they show that they are alive. Empty: none.
HEARTBEAT_FILE = env.str("HEARTBEAT_FILE", default="")

# --- Logs: one line per event on standard output, without secrets ---------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("LOG_JSON", default=ENVIRONMENT_NAME == "production")
LOGGING_CONFIG = "portal.logs.configure"
LOGGING = {"level": LOG_LEVEL, "as_json": LOG_JSON}
