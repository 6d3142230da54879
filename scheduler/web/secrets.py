"""The secrets of a project: their keys are shown, their values are only ever written."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from projects import secrets as verbs
from projects.models import NAME_LENGTH, Project, Secret
from projects.secret_field import SecretValueField
from projects.secrets import InvalidSecret
from scheduler.web.asking import Button, ask
from scheduler.web.crumbs import project_crumbs
from scheduler.web.errors import Gone
from scheduler.web.frame import KEEP_SECRETS, Link, Page, signed_in
from scheduler.web.paging import key_page
from scheduler.web.project import visible_project
from scheduler.web.times import moment, zone_or_utc

PAGE_SIZE = 100


class SecretForm(forms.Form):
    """A key and its value. The value is never shown again, not even when the form is refused."""

    key = forms.CharField(
        label="Key",
        strip=False,
        help_text="Segments of letters, digits, _ and -, joined by dots, such as db.password.",
        error_messages={"required": "Give the secret a key."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )
    value = SecretValueField()


@require_safe
@signed_in
def secret_list(request: HttpRequest, project_id: int) -> HttpResponse:
    return _page(request, _kept(request, project_id), SecretForm(initial={"key": request.GET.get("key", "")[:255]}))


@require_http_methods(["POST"])
@signed_in
@sensitive_post_parameters("value")
@sensitive_variables("form")
def secret_set(request: HttpRequest, project_id: int) -> HttpResponse:
    """Set a secret, over an earlier one of that key."""
    project = _kept(request, project_id)
    form = SecretForm(request.POST)
    if not form.is_valid():
        return _page(request, project, form)
    key = form.cleaned_data["key"]
    try:
        verbs.put(project_id=project.pk, key=key, value=form.cleaned_data["value"], now=timezone.now())
    except InvalidSecret as refusal:
        form.add_error(refusal.field, refusal.problem)
        return _page(request, project, form)
    except Project.DoesNotExist as gone:
        raise Gone("The project was deleted.") from gone
    messages.info(request, f"The secret {key} is set.")
    return redirect("secrets", project.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def secret_delete(request: HttpRequest, project_id: int, key: str) -> HttpResponse:
    project = _kept(request, project_id)
    if request.method != "POST":
        if not Secret.objects.filter(project=project, key=key).exists():
            raise Gone("There is no secret of this key.")
        return ask(
            request,
            Page(title=f"Delete the secret “{key}”", at="projects", crumbs=_crumbs(project)),
            text="Tasks that ask for it fail from now on. Its value is gone for good.",
            buttons=[Button("Delete the secret")],
            back=reverse("secrets", args=[project.pk]),
        )
    there = verbs.delete(project_id=project.pk, key=key)
    messages.info(request, f"The secret {key[:NAME_LENGTH]} {'is deleted' if there else 'was not there any more'}.")
    return redirect("secrets", project.pk)


def _kept(request: HttpRequest, project_id: int) -> Project:
    project = visible_project(request, project_id)
    if not request.user.has_perm(KEEP_SECRETS):
        raise PermissionDenied("Seeing and setting secrets needs the permission “Can change secret”.")
    return project


def _crumbs(project: Project) -> list[Link]:
    return [*project_crumbs(project), Link("Secrets", reverse("secrets", args=[project.pk]))]


def _page(request: HttpRequest, project: Project, form: SecretForm) -> HttpResponse:
    after, now = request.GET.get("after", "")[:NAME_LENGTH].replace("\x00", ""), timezone.now()
    rows = Secret.objects.filter(project=project).order_by("key").values_list("key", "updated_at")
    found = list((rows.filter(key__gt=after) if after else rows)[: PAGE_SIZE + 1])
    where = zone_or_utc("UTC")
    lines = [_line(project, key, moment(updated_at, where, now)) for key, updated_at in found]
    wrong = next((name for name in form.fields if name in form.errors), "")
    if wrong:
        form.fields[wrong].widget.attrs["autofocus"] = True
    facts = {
        "page": Page(title=f"Secrets of {project.name}", at="projects", crumbs=project_crumbs(project)),
        "form": form,
        "action": reverse("secret_set", args=[project.pk]),
        "list": key_page(
            lines,
            size=PAGE_SIZE,
            key="after",
            last=found[:PAGE_SIZE][-1][0] if found else None,
            start=after or None,
            kept={},
        ),
    }
    return render(request, "hindcast/secrets.html", facts)


def _line(project: Project, key: str, updated: Any) -> dict[str, Any]:
    return {
        "key": key,
        "updated": updated,
        "replace_href": f"{reverse('secrets', args=[project.pk])}?key={key}#id_value",
        "delete_href": reverse("secret_delete", args=[project.pk, key]),
    }
