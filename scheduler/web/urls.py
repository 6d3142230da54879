"""Where the pages are."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from scheduler.web import acting, attempts, backfill_acting, backfilling, backfills, schedules, sessions, switching
from scheduler.web.frame import Page
from scheduler.web.health import healthz, livez

login = LoginView.as_view(
    template_name="hindcast/login.html", redirect_authenticated_user=True, extra_context={"page": Page(title="Sign in")}
)

urlpatterns = [
    path("", schedules.schedule_list, name="schedules"),
    path("schedules/<int:schedule_id>", schedules.schedule_page, name="schedule"),
    path("schedules/<int:schedule_id>/enable", switching.schedule_enable, name="schedule_enable"),
    path("schedules/<int:schedule_id>/disable", switching.schedule_disable, name="schedule_disable"),
    path("schedules/<int:schedule_id>/skip", switching.schedule_skip, name="schedule_skip"),
    path("schedules/<int:schedule_id>/backfill", backfilling.backfill_form, name="backfill_form"),
    path("backfills", backfills.backfill_list, name="backfills"),
    path("backfills/<int:backfill_id>", backfills.backfill_page, name="backfill"),
    path("backfills/<int:backfill_id>/progress", backfills.backfill_progress, name="backfill_progress"),
    path("backfills/<int:backfill_id>/kill", backfill_acting.backfill_kill, name="backfill_kill"),
    path("backfills/<int:backfill_id>/retry", backfill_acting.backfill_retry, name="backfill_retry"),
    path("sessions/<int:session_id>", sessions.session_page, name="session"),
    path("attempts", attempts.attempt_list, name="attempts"),
    path("attempts/<int:attempt_id>", attempts.attempt_page, name="attempt"),
    path("attempts/<int:attempt_id>/kill", acting.attempt_kill, name="attempt_kill"),
    path("attempts/<int:attempt_id>/retry", acting.attempt_retry, name="attempt_retry"),
    path("attempts/<int:attempt_id>/live", attempts.attempt_live, name="attempt_live"),
    path("attempts/<int:attempt_id>/log", attempts.attempt_log, name="attempt_log"),
    path("attempts/<int:attempt_id>/log.txt", attempts.attempt_log_raw, name="attempt_log_raw"),
    path("login", login, name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("healthz", healthz, name="healthz"),
    path("livez", livez, name="livez"),
]
