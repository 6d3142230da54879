"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from scheduler.observe.charset import readable_charset
from scheduler.observe.target import host_of_target

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler.settings")

application = readable_charset(host_of_target(get_wsgi_application()))
