"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from scheduler.observe.charset import readable_charset

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler.settings")

application = readable_charset(get_wsgi_application())
