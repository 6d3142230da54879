"""Every setting, read from the environment once. Safe by default; wrong values are refused with what to do.

DATABASE_URL   a SQLite file under var/ when unset; `postgres://…` carries it further
BROKER_URL     the embedded broker (a SQLite file) when unset; `redis://…` or `amqp://…`
SECRET_KEY     made once and kept under var/ when unset
DEBUG, ALLOWED_HOSTS, CSRF_TRUSTED_ORIGINS, HTTPS, LOG_LEVEL, EMAIL_* and HINDCAST_*: see README.md
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import django_stubs_ext
import structlog
from csp.constants import NONE, SELF
from django.core.management.utils import get_random_secret_key

import scheduler.timetable  # noqa: F401 - first of all: it says where all apps find time zones
from scheduler.broker import broker_url
from scheduler.environment import (
    env_database,
    env_flag,
    env_level,
    env_list,
    env_number,
    env_numbers,
    env_storages,
    with_options,
)
from scheduler.execution.masked_logs import masked_line

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("HINDCAST_VAR", BASE_DIR / "var"))


def make_var() -> None:
    """Where Hindcast makes the folder it is its user's alone: who can read the database and logs knows everything.

    One that is there stays as it is, for web and workers that share it as different users.
    """
    VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)


def kept_secret_key() -> str:
    """The key under var/, made at the first start; two processes that start at once agree on one."""
    path = VAR_DIR / "secret_key"
    if not path.exists():
        make_var()
        # Written aside and then linked: nobody ever reads half a key, and the first one counts.
        with NamedTemporaryFile("w", dir=VAR_DIR, prefix="secret_key.") as file:
            file.write(get_random_secret_key() + get_random_secret_key())
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text().strip()


# --- what the process is -----------------------------------------------------------------------
DEBUG = env_flag("DEBUG")
SECRET_KEY = os.environ.get("SECRET_KEY") or kept_secret_key()
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "scheduler.web.errors.csrf_failed"
HTTPS = env_flag("HTTPS")

INSTALLED_APPS = [
    "scheduler.admin_site.HindcastAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_htmx",
    "csp",
    "projects",
    "scheduler",
    # Django applications of the house, for `celery>` and `manage>`: their tasks and commands are found by themselves.
    *env_list("HINDCAST_APPS"),
]

MIDDLEWARE = [
    "scheduler.observe.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "scheduler.urls"
WSGI_APPLICATION = "scheduler.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "scheduler.web.held.tick_hold",
            ],
        },
    }
]

# --- data ----------------------------------------------------------------------------------------
DATABASES = {"default": env_database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'hindcast.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    make_var()
    DATABASES["default"]["CONN_MAX_AGE"] = None
    OPTIONS_OF_OURS: dict[str, str | int] = {
        # A transaction that reads and then writes waits its turn instead of failing with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728;",
    }
else:
    OPTIONS_OF_OURS = {
        "connect_timeout": 10,
        # A server that answers nothing for 15 s is gone: noticed well before a lease ends, and after a short loss of
        # packets is over. The first is for what was sent, the others for what is waited for.
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # The server waits no longer for us, either, while we hold locks.
        "options": "-c statement_timeout=60s -c lock_timeout=20s -c idle_in_transaction_session_timeout=30s",
    }
DATABASES["default"]["OPTIONS"] = with_options(DATABASES["default"], OPTIONS_OF_OURS)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "files"},
    },
    # Archives of project files, each once by content.
    "archives": {
        "BACKEND": "projects.storage.WholeFileStorage",
        "OPTIONS": {"location": VAR_DIR / "archives"},
    },
    # Logs of attempts that are done, a file for each task. They are written anew under the same name after a crash.
    "logs": {
        "BACKEND": "projects.storage.WholeFileStorage",
        "OPTIONS": {"location": VAR_DIR / "logs"},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    **env_storages("HINDCAST_STORAGES"),
}
STATIC_URL = "/static/"
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT", VAR_DIR / "static"))
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]

# --- time and language -----------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

# --- who may do what ---------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
# The pepper of API keys. Changing it ends every key; unset, it follows SECRET_KEY.
HINDCAST_API_KEY_PEPPER = os.environ.get("HINDCAST_API_KEY_PEPPER") or SECRET_KEY
# Fernet keys that seal projects' secrets: the first seals, all open. Empty: a key that follows from SECRET_KEY.
HINDCAST_SECRETS_KEYS = env_list("HINDCAST_SECRETS_KEYS")

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# A promise for every name below this one, and for browsers that were never here: for the owner of the domain to make.
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS and env_flag("HINDCAST_HSTS_PRELOAD")
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # which would have everybody make it
SECURE_REDIRECT_EXEMPT = [r"^(livez|healthz)$"]  # load balancers ask without TLS, and follow nothing
HINDCAST_BEHIND_PROXY = env_flag("HINDCAST_BEHIND_PROXY")
if HINDCAST_BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# --- the API -------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "scheduler.api.authentication.ApiKeyAuthentication",
        "scheduler.api.authentication.BrowserSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["scheduler.api.wire.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "scheduler.api.wire.OneForm",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_PAGINATION_CLASS": None,
    "DEFAULT_THROTTLE_CLASSES": ["scheduler.api.throttling.RequestsPerMinute"],
    "EXCEPTION_HANDLER": "scheduler.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
    "UNICODE_JSON": False,  # all ASCII, so that any text in the database has a form
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hindcast",
    "DESCRIPTION": "The scheduler that can rerun the past. Speaks the REST API of Treasure Workflow and Digdag.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AttemptStatus": "scheduler.models.AttemptStatus.choices",
        "TaskState": "scheduler.models.TaskState.choices",
    },
}

# --- Celery: carries doorbells, owns the worker processes -------------------------------------------------
BROKER_URL = os.environ.get("BROKER_URL") or broker_url(VAR_DIR / "broker.sqlite3")
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_DEFAULT_QUEUE = "celery"
# Where `celery>` hears what became of a task that it sent to a queue; such as redis://… or file:///….
CELERY_RESULT_BACKEND = os.environ.get("HINDCAST_RESULT_BACKEND") or None
CELERY_TASK_IGNORE_RESULT = CELERY_RESULT_BACKEND is None
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = False  # the lease decides who runs what, the broker never does
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60  # on a busy machine a process of the prefork pool needs more than 4 s to begin
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_HEARTBEAT = 10  # AMQP; as `health_check_interval` for Redis: a worker hears of a dead line in 30 s
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"visibility_timeout": 60, "socket_timeout": 5, "socket_connect_timeout": 5, "health_check_interval": 10}
    if BROKER_URL.startswith("redis")
    else {"confirm_publish": True}
    if BROKER_URL.startswith("amqp")
    else {}
)
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "scheduler.beat:HindcastScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- mail, for the operator mail> ------------------------------------------------------------------------
# No EMAIL_HOST: none is sent but by servers that projects name themselves.
EMAIL_BACKEND = os.environ.get("EMAIL_BACKEND") or "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
EMAIL_USE_SSL = env_flag("EMAIL_USE_SSL")
EMAIL_USE_TLS = env_flag("EMAIL_USE_TLS", not EMAIL_USE_SSL)
EMAIL_PORT = env_number("EMAIL_PORT", 465 if EMAIL_USE_SSL else 587)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "")

# --- Hindcast ------------------------------------------------------------------------------------------------
HINDCAST_MAX_BACKFILL_SESSIONS = env_number("HINDCAST_MAX_BACKFILL_SESSIONS", 10_000)
# How many requests one user may send to the API in a minute; 0: any number.
HINDCAST_REQUESTS_PER_MINUTE = env_number("HINDCAST_REQUESTS_PER_MINUTE", 0)
HINDCAST_LEASE_SECONDS = env_number("HINDCAST_LEASE_SECONDS", 45.0)
HINDCAST_RENEW_SECONDS = env_number("HINDCAST_RENEW_SECONDS", 10.0)
HINDCAST_RESEND_SECONDS = env_number("HINDCAST_RESEND_SECONDS", 10.0)
# How many doorbells one verb rings at most; each wakes one worker slot, which goes on while work is left.
HINDCAST_DOORBELLS = env_number("HINDCAST_DOORBELLS", 8)
# How many tasks of one attempt run at the same time, in the slot of the worker that runs it.
HINDCAST_PARALLEL_TASKS = env_number("HINDCAST_PARALLEL_TASKS", 4)
HINDCAST_LOG_LIMIT_BYTES = env_number("HINDCAST_LOG_LIMIT_BYTES", 10 * 1024 * 1024)
# How long after an attempt's end its log stays in the database; then it moves into the storage `logs`.
HINDCAST_LOG_MOVE_SECONDS = env_number("HINDCAST_LOG_MOVE_SECONDS", 60.0)
# What `celery>` may send to a queue although it is not registered here: names that other workers know, or `shop.*`.
HINDCAST_REMOTE_TASKS = env_list("HINDCAST_REMOTE_TASKS")
# What `manage>` may run. By default one that takes nothing and removes only what has expired: many others of Django
# read or write files, open a shell or empty the database, and run with the keys of the house.
HINDCAST_MANAGE_COMMANDS = env_list("HINDCAST_MANAGE_COMMANDS", "clearsessions")
# Where attempts work, below a folder of their own each; removed when the attempt is done.
HINDCAST_WORK_DIR = Path(os.environ.get("HINDCAST_WORK_DIR", VAR_DIR / "work"))

# Where http> may go: these ports of public addresses, and these HOST:PORT wherever they are. The list is mail>'s, too,
# for mail servers that projects name themselves.
HINDCAST_HTTP_PORTS = env_numbers("HINDCAST_HTTP_PORTS", "80,443,8080,8443")
HINDCAST_HTTP_ALLOW = env_list("HINDCAST_HTTP_ALLOW")

# An upload of a project: the body as sent, and how long it may take; the archive unpacked, and what is in it.
HINDCAST_MAX_UPLOAD_BYTES = env_number("HINDCAST_MAX_UPLOAD_BYTES", 16 * 1024 * 1024)
HINDCAST_MAX_UPLOAD_SECONDS = env_number("HINDCAST_MAX_UPLOAD_SECONDS", 60.0)
HINDCAST_MAX_ARCHIVE_BYTES = env_number("HINDCAST_MAX_ARCHIVE_BYTES", 64 * 1024 * 1024)
HINDCAST_MAX_ARCHIVE_MEMBERS = env_number("HINDCAST_MAX_ARCHIVE_MEMBERS", 10_000)

# From when on /healthz calls the clock and the queue late, and the clock down.
HINDCAST_LATE_SECONDS = env_number("HINDCAST_LATE_SECONDS", 60.0)
HINDCAST_DOWN_SECONDS = env_number("HINDCAST_DOWN_SECONDS", 300.0)
# Whoever reaches /metrics may read it, without a key.
HINDCAST_OPEN_METRICS = env_flag("HINDCAST_OPEN_METRICS")

# Where errors are reported to; needs the extra `sentry`.
SENTRY_DSN = os.environ.get("SENTRY_DSN", "")

# --- logs --------------------------------------------------------------------------------------------------------
LOG_LEVEL = env_level("LOG_LEVEL", "INFO")
LOG_RENDERER: structlog.typing.Processor = (
    structlog.dev.ConsoleRenderer(colors=False)
    if sys.stderr.isatty() or env_flag("HINDCAST_PLAIN_LOGS")
    else structlog.processors.JSONRenderer()
)
SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
structlog.configure(
    processors=[*SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                LOG_RENDERER,
                masked_line,
            ],
            "foreign_pre_chain": SHARED_PROCESSORS,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": LOG_LEVEL, "handlers": [], "propagate": True},
        "django.server": {"level": LOG_LEVEL, "handlers": [], "propagate": True},
        "celery": {"level": LOG_LEVEL},
        "celery.app.trace": {"level": "WARNING"},  # a line per doorbell says nothing
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
