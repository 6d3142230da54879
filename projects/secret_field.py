"""The field for a secret's value in every form: what was sent is never put back into a page."""

from typing import Any

from django import forms

from projects import secrets


class WriteOnlyTextarea(forms.Textarea):
    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class SecretValueField(forms.CharField):
    """Text of any kind, of more than one line, too. Gives it with the line ends that were pasted."""

    def __init__(self, **options: Any) -> None:
        attrs = {"autocomplete": "off", "spellcheck": "false", "rows": 3, "class": "code"}
        defaults = {
            "label": "Value",
            "strip": False,
            "help_text": "Nobody can read it back. Tasks get it by its key.",
            "error_messages": {"required": "Give the value; it is not kept from the last try."},
            "widget": WriteOnlyTextarea(attrs=attrs),
        }
        super().__init__(**{**defaults, **options})

    def clean(self, value: Any) -> str:
        """A browser sends every end of a line as two characters."""
        text = str(super().clean(value)).replace("\r\n", "\n")
        try:
            secrets.check_value(text)
        except secrets.InvalidSecret as refusal:
            raise forms.ValidationError(refusal.problem) from None
        return text
