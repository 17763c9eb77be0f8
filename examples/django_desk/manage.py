"""Django's command line for this desk: `python manage.py migrate`, `sweep_cases`, `runserver`."""

import os
import sys

from django.core.management import execute_from_command_line


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djangodesk.settings")
    execute_from_command_line(sys.argv)
