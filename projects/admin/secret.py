"""Secrets of projects: keys are listed; values are set, replaced and deleted here, and never shown."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from projects import secrets
from projects.admin.columns import link_column, moment_column
from projects.admin.confirm import YES, confirm, is_confirmed
from projects.admin.lists import HindcastAdmin, linked
from projects.admin.selection import at_most
from projects.models import Project, Secret
from projects.secret_field import SecretValueField

KEEP = "projects.change_secret"
MOST = 500  # deleted in one go


class SecretForm(forms.ModelForm[Secret]):
    value = SecretValueField()

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        try:
            secrets.check_key(key)
        except secrets.InvalidSecret as refusal:
            raise forms.ValidationError(refusal.problem) from None
        return key


@admin.register(Secret)
class SecretAdmin(HindcastAdmin[Secret]):
    """Whoever may change secrets may add and delete them, as on the wire and on the pages; nobody else sees a key."""

    path_to_project = "project"
    list_display = ("key", link_column("project", "Project"), moment_column("updated_at", "Set"))
    list_select_related = ("project",)
    list_filter = (linked("project", Project),)
    search_fields = ("key__startswith", "project__name__startswith")
    search_help_text = "How a key or the name of its project starts."
    ordering = ("project__name", "key")
    actions = ("delete_secrets",)
    row_actions = actions
    form = SecretForm
    details: ClassVar[Any] = ("project", "key", moment_column("updated_at", "Set"))

    # --- who sees and makes what ---------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Secret]:
        return super().get_queryset(request).filter(project__deleted_at=None).defer("sealed")

    def has_view_permission(self, request: HttpRequest, obj: Secret | None = None) -> bool:
        return request.user.has_perm(KEEP)

    has_change_permission = has_add_permission = has_keep_permission = has_view_permission

    def get_fields(self, request: HttpRequest, obj: Secret | None = None) -> Any:
        return ("project", "key", "value") if obj is None else (*self.details, "value")

    def get_readonly_fields(self, request: HttpRequest, obj: Secret | None = None) -> Any:
        return () if obj is None else self.details

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """There may be thousands of projects; who may not look for one there gets them all in a list."""
        return ("project",) if request.user.has_perm("projects.view_project") else ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "project":
            visible = Project.objects.visible_to(request.user)
            options["queryset"] = Project.objects.filter(pk__in=visible).order_by("name")
        field = super().formfield_for_dbfield(db_field, request, **options)
        for door in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
            if field is not None and hasattr(field.widget, door):
                setattr(field.widget, door, False)
        return field

    # --- setting and deleting ----------------------------------------------------------------------------

    @method_decorator(sensitive_post_parameters("value"))
    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        return super().changeform_view(request, *args, **options)

    def save_model(self, request: HttpRequest, obj: Secret, form: Any, change: bool) -> None:
        value = form.cleaned_data["value"]
        secrets.put(project_id=obj.project_id, key=obj.key, value=value, now=timezone.now())
        obj.pk = Secret.objects.values_list("pk", flat=True).get(project=obj.project_id, key=obj.key)

    @admin.action(description="Delete…", permissions=["keep"])
    def delete_secrets(self, request: HttpRequest, rows: QuerySet[Secret]) -> HttpResponse | None:
        selected = at_most(MOST, self, request, rows.select_related("project").order_by("project__name", "key"))
        if selected is None:
            return None
        if selected and not is_confirmed(request):
            return confirm(
                self,
                request,
                selected,
                action="delete_secrets",
                title=f"Delete the secret “{selected[0].key}”" if len(selected) == 1 else "",
                buttons=[(YES, f"Delete {counted(len(selected))}")],
                text="Tasks that ask for them fail from now on. The values are gone for good.",
                lines=[f"{secret.project.name}: {secret.key}" for secret in selected],
            )
        gone = [secret for secret in selected if secrets.delete(project_id=secret.project_id, key=secret.key)]
        for secret in gone:
            self.log_change(request, secret, "Deleted.")
        self.message_user(request, f"{counted(len(gone))} deleted.", messages.SUCCESS)
        return None


def counted(number: int) -> str:
    return "1 secret" if number == 1 else f"{number} secrets"
