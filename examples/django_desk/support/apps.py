"""The app of the cases."""

from django.apps import AppConfig


class SupportConfig(AppConfig):
    """Cases, their history and the messages about them."""

    name = "support"
    verbose_name = "Support"
