"""The forms in which operators answer reports."""

from __future__ import annotations

from typing import Any

from django import forms

from feedback.fields import TextField
from feedback.models import TEXT_LENGTH, Report
from sidekick.admin.reasons import Reason


class ReportForm(forms.ModelForm):  # type: ignore[type-arg]
    """The answer to one report, and a note that customers never see."""

    class Meta:
        model = Report
        fields = ["status", "reply", "note"]
        field_classes = {"reply": TextField, "note": TextField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.Meta.fields:
            if name in self.fields:
                # `changed_data` then compares with what this page showed, not with the row, which another operator
                # may have answered since.
                self.fields[name].show_hidden_initial = True


class AnswerForm(forms.Form):
    """The same answer for several reports."""

    status = forms.ChoiceField(choices=[("", "Leave as it is"), *Report.Status.choices], required=False)
    reply = TextField(
        label="Public reply",
        required=False,
        max_length=TEXT_LENGTH,
        help_text="Every one of these customers gets it instead of the reply they have. Empty: each keeps its own.",
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    reason = Reason()

    def clean(self) -> dict[str, Any]:
        answer: dict[str, Any] = super().clean() or self.cleaned_data
        if not answer.get("status") and not answer.get("reply") and "reply" not in self.errors:
            raise forms.ValidationError("Choose a status or write a reply.")
        return answer
