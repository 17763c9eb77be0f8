"""The admin: agents see where a case stands, and let events happen to it."""

# ruff: noqa: ANN401 - what Django passes

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone

from casestate import CasestateError
from support.cases import WORKFLOWS, CaseChanged, change, clone, open_case
from support.models import Case, Change, Outbox, new_id
from support.shown import choices, labels, shown


if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from support.shown import Choice, Shown

STAFF = {"agent": "You", "customer": "The customer (you enter it)"}
"""Whom an agent may act for."""


class EventForm(forms.Form):
    """What a button of the page sends."""

    event = forms.CharField()
    by = forms.ChoiceField(choices=list(STAFF.items()))
    revision = forms.IntegerField()
    sub_status = forms.CharField(required=False, empty_value=None)
    assignee = forms.CharField(required=False, empty_value=None)


class ReadOnly:
    """Rows to look at: `support.cases` writes them."""

    def has_add_permission(self, *_: object) -> bool:
        return False

    def has_change_permission(self, *_: object) -> bool:
        return False

    def has_delete_permission(self, *_: object) -> bool:
        return False


class ChangeInline(ReadOnly, admin.TabularInline):
    """The history."""

    model = Change
    verbose_name_plural = "history"
    fields = readonly_fields = ("at", "event", "by", "actor", "state", "stay", "details")

    def state(self, entry: Change) -> str:
        """The state since then."""
        return labels().get(entry.to_state, entry.to_state)

    def details(self, entry: Change) -> str:
        """The new assignee, the clone, the timers passed over."""
        return ", ".join(entry.detail) if isinstance(entry.detail, list) else entry.detail or "-"


class OutboxInline(ReadOnly, admin.TabularInline):
    """What the sweeps have written to the outbox."""

    model = Outbox
    fields = ("timer", "audience", "written_at", "sent_at")


class StateFilter(admin.SimpleListFilter):
    """One state of a policy."""

    title = "state"
    parameter_name = "state"

    def lookups(self, *_: object) -> list[tuple[str, str]]:
        return list(labels().items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:  # noqa: ARG002 - Django's own
        status, _, sub_status = (self.value() or "").partition(".")
        return queryset.filter(status=status, sub_status=sub_status or None) if status else queryset


@admin.register(Case)
class CaseAdmin(admin.ModelAdmin):
    """Cases: what they are about is edited as ever, where they stand is changed by events alone."""

    list_display = ("id", "subject", "state", "assignee", "entered_at", "closes")
    list_filter = ("policy", StateFilter, "assignee")
    search_fields = ("id", "subject", "customer")
    ordering = ("-entered_at",)
    actions = None
    inlines = (ChangeInline, OutboxInline)

    @admin.display(ordering="status")
    def state(self, row: Case) -> str:
        """The state as people read it, or what is wrong with it."""
        said = look(row)
        return said if isinstance(said, str) else said.label

    @admin.display(description="closes by itself", empty_value="-")
    def closes(self, row: Case) -> datetime | None:
        """When it closes unless something happens before."""
        said = look(row)
        return None if isinstance(said, str) else said.closes_at

    def has_delete_permission(self, *_: object) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Case | None = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's own
        if obj is None:
            return ("id", "policy", "subject", "customer")
        return ("subject", "customer", "policy", "assignee", "opened_at", "entered_at", "cloned_from")

    def get_readonly_fields(self, request: HttpRequest, obj: Case | None = None) -> tuple[str, ...]:
        return () if obj is None else self.get_fields(request, obj)[2:]

    def get_inlines(self, request: HttpRequest, obj: Case | None) -> Any:  # noqa: ARG002 - Django's own
        return () if obj is None else self.inlines

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "policy":
            return forms.ChoiceField(choices=[(name, name) for name in WORKFLOWS])
        return super().formfield_for_dbfield(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Case, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001 - Django's own
        if change:
            obj.save(update_fields=form.changed_data)  # and never what an event has stored in the meantime
        else:
            open_case(obj.pk, policy=obj.policy, subject=obj.subject, customer=obj.customer)
            obj.refresh_from_db()

    # --- events -----------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        context = {} if row is None else {"said": look(row), "revision": row.revision}
        if row is not None and self.has_change_permission(request, row):
            context["staff"] = get_user_model().objects.filter(is_staff=True, is_active=True)
            context["actors"] = actors(row)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def get_urls(self) -> list[URLPattern]:
        event = path(
            "<path:object_id>/event/", self.admin_site.admin_view(self.event_view), name="support_case_event"
        )
        return [event, *super().get_urls()]

    def event_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A button has been pressed: let the event happen, or say why not."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self.get_object(request, unquote(object_id))
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        if row is None:
            messages.error(request, f"There is no case {unquote(object_id)}.")
            return HttpResponseRedirect(reverse("admin:support_case_changelist"))
        form = EventForm(request.POST)
        if not form.is_valid():
            messages.error(request, f"Nothing has been stored: {form.errors.as_text()}")
            return self.page_of(row.pk)
        given = {**form.cleaned_data, "actor": request.user.get_username()}
        event, shows = given.pop("event"), row.pk
        try:
            if event == "clone":
                shows = new_id()
                del given["sub_status"], given["assignee"]
                clone(row.pk, shows, **given)
            else:
                change(row.pk, event, **given)
        except (CaseChanged, CasestateError) as error:
            messages.error(request, f"Nothing has been stored: {error}")
            return self.page_of(row.pk)
        self.log_change(request, row, f"{event} by {given['by']}")
        messages.success(request, f"{event} by {given['by']} has been stored.")
        return self.page_of(shows)

    @staticmethod
    def page_of(case_id: str) -> HttpResponse:
        """Back to the page of a case, afresh."""
        return HttpResponseRedirect(reverse("admin:support_case_change", args=[quote(case_id)]))


@admin.register(Outbox)
class OutboxAdmin(ReadOnly, admin.ModelAdmin):
    """The outbox."""

    list_display = ("case", "timer", "audience", "written_at", "sent_at")
    list_select_related = ("case",)
    list_filter = ("timer", "audience", ("sent_at", admin.EmptyFieldListFilter))
    ordering = ("-written_at", "-pk")


def look(row: Case) -> Shown | str:
    """Where a case stands in words, or what is wrong with its row: one bad row does not hide the others."""
    try:
        return shown(row, timezone.now())
    except CasestateError as error:
        return str(error)


def actors(row: Case) -> list[tuple[str, str, list[Choice]]]:
    """What an agent may do, by whom it is done."""
    try:
        return [(by, title, list(choices(row, by))) for by, title in STAFF.items()]
    except CasestateError:
        return []  # the page says what is wrong
