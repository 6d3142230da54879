"""Keys of the API: made here, shown once, renamed, revoked. Neither the key nor its digest is ever shown again."""

from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from projects import apikeys
from projects.admin.columns import link_column, moment_column
from projects.admin.lists import HindcastAdmin, linked
from projects.admin.selection import at_most
from projects.models import ApiKey, Project, Scope

MADE_OF = ("user", "name", "scopes", "project", "expires_at")
MOST = 500  # revoked in one go


class ApiKeyForm(forms.ModelForm[ApiKey]):
    """What a key is made of. `maker` is who asks; without a `user` field the key is the maker's own."""

    maker: User
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.READ.value],
        help_text="Read: look at everything its user may see. Operate: what its user may do, too.",
        error_messages={"required": "Tick at least one scope."},
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        expires_at: datetime | None = cleaned.get("expires_at")
        if expires_at is not None and expires_at <= timezone.now():
            self.add_error("expires_at", "This moment has passed.")
        owner = cleaned.get("user", self.maker)
        project: Project | None = cleaned.get("project")
        if project and owner and not Project.objects.visible_to(owner).filter(pk=project.pk).exists():
            self.add_error("project", f"{owner} may not see this project.")
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(HindcastAdmin[ApiKey]):
    list_display = (
        "name",
        "key",
        "state",
        "user",
        "may",
        link_column("project", "Project"),
        moment_column("created_at", "Created"),
        moment_column("expires_at", "Expires"),
        moment_column("last_used_at", "Last used"),
    )
    list_select_related = ("user", "project")
    list_filter = (linked("project", Project), linked("user", User))
    search_fields = ("name", "=prefix", "user__username")
    search_help_text = "Part of a name or a user's name, or the twelve letters after hc_."
    ordering = ("-pk",)
    autocomplete_fields = ("user",)
    actions = ("revoke",)
    row_actions = ("revoke",)
    form = ApiKeyForm
    details = (
        "key",
        "state",
        "user",
        "may",
        "project",
        moment_column("created_at", "Created"),
        moment_column("expires_at", "Expires"),
        moment_column("last_used_at", "Last used"),
        moment_column("revoked_at", "Revoked"),
    )

    # --- who sees and makes what ---------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """Everybody sees their own keys; superusers, all."""
        keys = super().get_queryset(request).defer("digest")
        return keys if is_superuser(request) else keys.filter(user=request.user.pk)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[Any, ...]:
        if obj is not None:
            return ("name", *self.details)
        return MADE_OF if is_superuser(request) else MADE_OF[1:]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[Any, ...]:
        return () if obj is None else self.details

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **options: Any
    ) -> type[forms.ModelForm[ApiKey]]:
        if change:
            return super().get_form(request, obj, change, **{"form": forms.ModelForm, **options})
        form = super().get_form(request, obj, change, **options)
        form.maker = request.user  # type: ignore[attr-defined]
        return form

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """There may be thousands of projects; who may not look for one there gets them all in a list."""
        return ("user", "project") if request.user.has_perm("projects.view_project") else ("user",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "project":
            visible = Project.objects.visible_to(request.user)
            options["queryset"] = Project.objects.filter(pk__in=visible).order_by("name")
        field = super().formfield_for_dbfield(db_field, request, **options)
        for door in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
            if field is not None and hasattr(field.widget, door):
                setattr(field.widget, door, False)
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk, **super().get_changeform_initial_data(request)}

    # --- saving --------------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        asked = form.cleaned_data
        made, text = apikeys.issue(
            user=asked.get("user", request.user),
            name=asked["name"],
            now=timezone.now(),
            scopes=[Scope(scope) for scope in asked["scopes"]],
            project=asked["project"],
            expires_at=asked["expires_at"],
        )
        obj.pk, obj.user_id, obj.prefix, obj.created_at = made.pk, made.user_id, made.prefix, made.created_at
        request.issued_key = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The key itself, in this one answer: it is stored nowhere, so no later page can show it."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Your new API key" if obj.user_id == request.user.pk else "The new API key",
            "opts": self.opts,
            "media": self.media,
            "made": obj,
            "text": request.issued_key,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/projects/apikey/issued.html", context)
        response["Cache-Control"] = "no-store, private"
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        context.update(show_save_and_add_another=False, show_save_and_continue=False)
        return super().render_change_form(request, context, *args, **options)

    # --- revoking --------------------------------------------------------------------------------------

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        alive = at_most(MOST, self, request, keys.filter(revoked_at=None).select_related("user").order_by("pk"))
        if alive is None:
            return None
        if not alive:
            self.message_user(request, "The selected keys were revoked before.", messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            return self.ask_to_revoke(request, alive)
        now = timezone.now()
        ended = [key for key in alive if apikeys.revoke(key, now=now)]
        for key in ended:
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"{counted(len(ended))} revoked.", messages.SUCCESS)
        return None

    def ask_to_revoke(self, request: HttpRequest, keys: list[ApiKey]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Revoke {counted(len(keys))}",
            "opts": self.opts,
            "media": self.media,
            "keys": keys,
            "button": f"Revoke {counted(len(keys))}",
        }
        return TemplateResponse(request, "admin/projects/apikey/revoke.html", context)

    def buttons(self, request: HttpRequest, object_id: str) -> list[tuple[str, str]]:
        key = self.get_object(request, object_id)
        return super().buttons(request, object_id) if key and key.revoked_at is None else []

    # --- cells -----------------------------------------------------------------------------------------

    @admin.display(description="Key")
    def key(self, key: ApiKey) -> str:
        return f"{apikeys.SCHEME}_{key.prefix}_…"

    @admin.display(description="State")
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "expired" if key.expires_at is not None and key.expires_at <= timezone.now() else "usable"

    @admin.display(description="Scopes")
    def may(self, key: ApiKey) -> str:
        return ", ".join(str(scope) for scope in key.scopes)


def is_superuser(request: HttpRequest) -> bool:
    return cast(User, request.user).is_superuser


def counted(number: int) -> str:
    return "1 key" if number == 1 else f"{number} keys"
