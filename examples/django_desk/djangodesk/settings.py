"""The desk's settings: SQLite in a file beside `manage.py`, or the PostgreSQL that ``DATABASE_URL`` names."""

from __future__ import annotations

import os

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import django


BASE_DIR = Path(__file__).resolve().parent.parent

# Good enough for 127.0.0.1, and for nothing else: whoever serves this to others gives both by name.
DEBUG = os.environ.get("DEBUG", "1") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY", "for this machine only" if DEBUG else "")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1 localhost").split()

# The policies that cases may follow, by name or by file; new cases follow the first.
CASESTATE_POLICIES = ["sub-status", "open-resolved"]

SUPPORT_EMAIL = "support@desk.example"
DEFAULT_FROM_EMAIL = SUPPORT_EMAIL
MAIL_PRINTER = "django.core.mail.backends.console.EmailBackend"  # prints what it would send
if django.VERSION < (6, 1):
    EMAIL_BACKEND = MAIL_PRINTER
else:
    MAILERS = {"default": {"BACKEND": MAIL_PRINTER}}

USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "djangodesk.formats"


def database(url: str) -> dict[str, Any]:
    """The database that a URL names: ``postgresql://user:password@host:port/name``, or a file for SQLite."""
    parts = urlsplit(url)
    if parts.scheme.startswith("postgres"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.removeprefix("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": parts.port or "",
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": url.removeprefix("sqlite:///"),
        "OPTIONS": {
            # One that reads first and writes then would fail, not wait, if another one wrote in between.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL",
            "timeout": 20,
        },
    }


DATABASES = {"default": database(os.environ.get("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "support",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "djangodesk.urls"
STATIC_URL = "static/"
