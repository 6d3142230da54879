"""What the caller may do: scopes of the key, permissions of the user. Which projects it sees is `visible_to`."""

from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from projects.models import Scope
from scheduler.api.authentication import key_of


class MayRead(BasePermission):
    message = "This API key may not read: it lacks the scope `read`."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return allowed(request, Scope.READ)


class MayOperate(BasePermission):
    message = "This API key may not start anything: it lacks the scope `operate`."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return allowed(request, Scope.OPERATE)


class MayBackfill(BasePermission):
    message = "This user may not backfill: the permission `scheduler.backfill_schedule` is missing."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("scheduler.backfill_schedule")


class MayRun(BasePermission):
    message = "This user may not start or kill attempts: the permission `scheduler.run_attempt` is missing."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("scheduler.run_attempt")


class MayChange(BasePermission):
    message = "This user may not change schedules: the permission `scheduler.change_schedule` is missing."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("scheduler.change_schedule")


class MayPush(BasePermission):
    message = "This user may not push projects: the permission `projects.add_revision` is missing."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("projects.add_revision")


class MayDelete(BasePermission):
    message = "This user may not delete projects: the permission `projects.delete_project` is missing."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("projects.delete_project")


class MayKeepSecrets(BasePermission):
    message = "This user may not see or set secrets: the permission `projects.change_secret` is missing."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.has_perm("projects.change_secret")


def allowed(request: Request, scope: Scope) -> bool:
    """A browser session has no key, and may do all that its user may."""
    key = key_of(request)
    return key is None or key.allows(scope)


READING = [IsAuthenticated, MayRead]
BACKFILLING = [IsAuthenticated, MayOperate, MayBackfill]
RUNNING = [IsAuthenticated, MayOperate, MayRun]
CHANGING = [IsAuthenticated, MayOperate, MayChange]
PUSHING = [IsAuthenticated, MayOperate, MayPush]
DELETING = [IsAuthenticated, MayOperate, MayDelete]
KEEPING_SECRETS = [IsAuthenticated, MayOperate, MayKeepSecrets]
