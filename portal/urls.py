"""Every address of the site. Machine-facing ones keep the standard's shape and stay for good."""

from django.contrib import admin
from django.urls import include, path

from portal.api.access import ADDRESS
from portal.api.operations import api
from portal.views import (
    accounts,
    api_description,
    api_tokens,
    connect,
    consents,
    dashboard,
    download,
    languages,
    letters,
    notify,
    pages,
    problems,
    styleguide,
    testing,
    upload,
    usage,
)

journey = [
    path("", connect.choose_utility, name="choose-utility"),
    path("/arrival", connect.arrival, name="arrival"),
    path("/change/<uuid:public_id>", connect.change_data, name="change-data"),
    path("/check/<uuid:public_id>", connect.check, name="check"),
    path("/leave/<uuid:public_id>", connect.leave, name="leave"),
    path("/cancel/<uuid:public_id>", connect.cancel, name="cancel"),
    path("/result/<uuid:public_id>", connect.result, name="result"),
    path("/<slug:slug>", connect.choose_data, name="choose-data"),
]

# These stand on registration forms at the utilities.
machines = [
    path("Notification/<slug:slug>/<str:secret>", notify.notification, name="notification"),
    path("OAuthCallBack/<slug:slug>", connect.callback, name="callback"),
    path("ScopeSelection", connect.scope_selection, name="scope-selection"),
    path("ScopeSelection/<slug:slug>", connect.scope_selection, name="scope-selection-of"),
    path("ThirdPartyPortal/<slug:slug>", connect.third_party_portal, name="third-party-portal"),
    path("Webhook/<slug:slug>/<str:secret>", notify.webhook, name="webhook"),
]

acceptance = [
    path("", testing.overview, name="overview"),
    path("registrations/<int:pk>/begin", testing.begin, name="begin"),
    path("registrations/<int:pk>/pack", testing.pack, name="pack"),
    path("registrations/<int:pk>/pack/document", testing.pack_document, {"form": "html"}, name="pack-document"),
    path("registrations/<int:pk>/pack/csv", testing.pack_document, {"form": "csv"}, name="pack-csv"),
    path("tests/<uuid:public_id>", testing.test_page, name="test"),
    path("tests/<uuid:public_id>/start/<slug:kind>", testing.start, name="start"),
    path("tests/<uuid:public_id>/start/<slug:kind>/<slug:name>", testing.start, name="start"),
    path("tests/<uuid:public_id>/steps/<slug:key>", testing.step, name="step"),
    path("tests/<uuid:public_id>/finish", testing.finish, name="finish"),
    path("reports/<uuid:public_id>", testing.report, name="report"),
    path("reports/<uuid:public_id>/csv", testing.report_csv, name="report-csv"),
    path("parts/<uuid:public_id>", testing.part_page, name="part"),
    path("parts/<uuid:public_id>/walk", testing.walk, name="walk"),
    path("parts/<uuid:public_id>/judge", testing.judge, name="judge"),
]

urlpatterns = [
    # People
    path("", pages.start, name="start"),
    path("account/", accounts.overview, name="account"),
    path("account/delete", accounts.delete, name="delete-account"),
    path("account/deleted", accounts.deleted, name="account-deleted"),
    path("account/letters", letters.letters, name="letters"),
    path("account/tokens", api_tokens.api_tokens_page, name="api-tokens"),
    path("account/tokens/<uuid:public_id>/take-back", api_tokens.revoke_api_token, name="revoke-api-token"),
    path("account/language", languages.language_page, name="language"),
    path("account/stay", accounts.stay_signed_in, name="stay-signed-in"),
    path("connect", include((journey, "connect"))),
    path("connections/<uuid:public_id>/renew", consents.renew, name="renew"),
    path("connections/<uuid:public_id>/stop", consents.stop, name="stop"),
    path("connections/<uuid:public_id>/stopped", consents.stopped, name="stopped"),
    path("consents", consents.history, name="consents"),
    path("dashboard", dashboard.dashboard, name="dashboard"),
    path("data/<uuid:public_id>/delete", dashboard.delete_data, name="delete-data"),
    path("download", download.download, name="download"),
    path("download/customer-data", download.customer_data, name="download-customer-data"),
    path("download/everything", download.everything, name="download-everything"),
    path("download/prepared/<uuid:public_id>", download.prepared, name="prepared"),
    path("help", pages.help_page, name="help"),
    path("help/stop", pages.how_to_stop, name="how-to-stop"),
    path("language", languages.switch, name="switch-language"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
    path("letters/unsubscribe/<str:token>", letters.unsubscribe, name="unsubscribe"),
    path("privacy", pages.privacy, name="privacy"),
    path("receipts/<uuid:public_id>", consents.receipt, name="receipt"),
    path("receipts/<uuid:public_id>/file", consents.receipt_file, name="receipt-file"),
    path("upload", upload.upload, name="upload"),
    path("usage", usage.all_meters, name="all-meters"),
    path("usage/<uuid:public_id>", usage.usage_point, name="usage_point"),
    path("usage/<uuid:public_id>/bills", usage.usage_bills, name="usage-bills"),
    path("usage/<uuid:public_id>/patterns", usage.usage_patterns, name="usage-patterns"),
    path("account/", include("allauth.urls")),
    path("api", api_description.describe, name="api-description"),
    # Machines
    path(ADDRESS.lstrip("/"), api.urls),
    path("espi/1_1/", include((machines, "espi"))),
    # Staff
    path("testing/", include((acceptance, "testing"))),
    path("staff/", include(("portal.views.staff.urls", "staff"))),
    path("staff/", admin.site.urls),
]

handler400 = problems.bad_request
handler403 = problems.forbidden
handler404 = problems.not_found
handler429 = problems.too_many_requests  # django-allauth's own limits
handler500 = problems.server_error
