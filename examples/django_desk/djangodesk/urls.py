"""One page: the admin."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView


admin.site.site_header = admin.site.site_title = "Support desk"
admin.site.index_title = "Cases"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(pattern_name="admin:support_case_changelist")),
]
