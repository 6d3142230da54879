"""Where everything is found."""

from django.contrib import admin
from django.urls import include, path

from scheduler.observe.views import Metrics
from scheduler.web.signing_in import bounded

admin.autodiscover()  # here and nowhere earlier: only a process that shows pages needs it

urlpatterns = [
    path("admin/login/", bounded(admin.site.login)),
    path("admin/", admin.site.urls),
    path("api/", include("scheduler.api.urls")),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("", include("scheduler.web.urls")),
]
handler400 = "scheduler.web.errors.bad_request"
handler403 = "scheduler.web.errors.not_allowed"
handler404 = "scheduler.web.errors.not_found"
handler500 = "scheduler.web.errors.server_error"
