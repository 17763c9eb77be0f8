"""What the desk stores: cases, their history, and the messages to send.

No rule of a workflow stands here. Where a case stands is changed by `support.cases` alone, so these
columns are not editable; nothing here can be deleted, and no entry of a history can be changed.
"""

# ruff: noqa: DJ001 - see `Case`: what is absent is NULL

from __future__ import annotations

import secrets

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.db.models import Q


class KeptError(Exception):
    """Cases, their history and their messages are kept: nothing deletes them."""


class Kept(models.QuerySet[Any]):
    """Rows that are never deleted."""

    def refuse(self, what: str) -> NoReturn:
        """Say that nothing does such a thing."""
        raise KeptError(f"nothing {what} the {self.model._meta.verbose_name_plural} of this desk")  # noqa: SLF001 - Django's own

    def delete(self) -> NoReturn:
        self.refuse("deletes")


class AppendOnly(Kept):
    """Rows that are never changed either."""

    def update(self, **_: object) -> NoReturn:
        self.refuse("changes")


class KeptModel(models.Model):
    """The base of what is never deleted."""

    objects: ClassVar[models.Manager[Any]] = Kept.as_manager()

    class Meta:
        abstract = True
        default_permissions = ("add", "change", "view")

    def delete(self, *_: object, **__: object) -> NoReturn:
        raise KeptError(f"nothing deletes {self._meta.verbose_name} {self.pk}")


def new_id() -> str:
    """An id that nobody has to hand out."""
    return f"C-{secrets.token_hex(4)}"


class Case(KeptModel):
    """A case: what it is about, and where it stands.

    What is absent is NULL and never an empty text: the sweep looks for NULL, and NULL alone.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_id)
    subject = models.CharField(max_length=200, blank=True)
    customer = models.EmailField(blank=True, help_text="Where the reminders and notifications go.")

    policy = models.CharField(max_length=80)
    status = models.CharField(max_length=80, editable=False)
    sub_status = models.CharField(max_length=80, null=True, editable=False)
    entered_at = models.DateTimeField("since", editable=False)
    stay = models.PositiveBigIntegerField(default=1, editable=False)
    previous = models.CharField(max_length=161, null=True, editable=False)
    assignee = models.CharField(max_length=150, null=True, editable=False)
    settled = models.CharField(max_length=80, null=True, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)
    opened_at = models.DateTimeField("opened", null=True, editable=False)
    cloned_from = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, editable=False, related_name="clones"
    )
    revision = models.PositiveBigIntegerField(default=1, editable=False)

    class Meta(KeptModel.Meta):
        indexes = (
            models.Index(fields=["status", "sub_status", "settled", "entered_at"], name="support_case_sweep"),
        )
        constraints = (
            models.CheckConstraint(
                name="support_case_absent_is_null",
                condition=~(Q(sub_status="") | Q(previous="") | Q(assignee="") | Q(settled="")),
            ),
            models.CheckConstraint(
                name="support_case_settled_at",
                condition=Q(settled__isnull=True, settled_at__isnull=True)
                | Q(settled__isnull=False, settled_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.pk} {self.subject}".strip()


class Change(KeptModel):
    """An entry of a case's history: written once."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="changes")
    number = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    event = models.CharField(max_length=80)
    by = models.CharField(max_length=80)
    actor = models.CharField(max_length=150, null=True)
    from_state = models.CharField(max_length=161)
    to_state = models.CharField(max_length=161)
    stay = models.PositiveBigIntegerField()
    detail = models.JSONField(null=True)

    objects: ClassVar[models.Manager[Any]] = AppendOnly.as_manager()

    class Meta:
        default_permissions = ("view",)
        ordering = ("case", "number")
        constraints = (models.UniqueConstraint(fields=["case", "number"], name="support_change_number"),)

    def __str__(self) -> str:
        return f"{self.case_id}: {self.event} by {self.by}"

    def save(self, **options: Any) -> None:  # noqa: ANN401 - Django's own
        if not self._state.adding:
            raise KeptError(f"nothing changes an entry of the history ({self})")
        super().save(**options)


class Outbox(KeptModel):
    """A message to send, written in the transaction that settles its timer.

    ``key`` is the action's. It is unique, so no message is written twice, and it goes to the mail provider
    as the idempotency key, so none is sent twice.
    """

    key = models.CharField(max_length=200, unique=True)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="messages")
    timer = models.CharField(max_length=80)
    audience = models.CharField(max_length=80)
    written_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        ordering = ("written_at", "pk")
        verbose_name = "message"
        verbose_name_plural = "messages"

    def __str__(self) -> str:
        return self.key
