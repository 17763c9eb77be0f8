"""`python manage.py send_messages`: the mailer, one at a time, after each sweep or in a loop of its own."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from casestate import CasestateError
from support.models import Outbox
from support.shown import shown


class Command(BaseCommand):
    """Sends what stands in the outbox, then marks it as sent."""

    help = "Send the messages of the outbox. The exit status is 1 if one could not be sent; the others are."

    def handle(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - Django's own
        bad = 0
        for message in Outbox.objects.filter(sent_at=None).select_related("case"):
            case = message.case
            to = case.customer if message.audience == "customer" else settings.SUPPORT_EMAIL
            why = "there is nobody to send it to"
            try:
                where = shown(case, timezone.now())
                sent = EmailMessage(
                    subject=f"{case}: {where.label}",
                    body="\n\n".join(filter(None, [where.meaning, where.action_required, *where.forecast])),
                    to=[to],
                    # A crash before it is marked sends it again, with the same id: so it is told apart.
                    headers={"Message-ID": f"<{uuid5(NAMESPACE_OID, message.key)}@desk.example>"},
                ).send()
            except (OSError, ValueError, CasestateError) as error:
                sent, why = 0, str(error)
            if sent:
                Outbox.objects.filter(pk=message.pk).update(sent_at=timezone.now())
            else:
                bad += 1
                self.stderr.write(f"{message.key}: {why}")
        if bad:
            raise CommandError(f"messages that could not be sent: {bad}")
