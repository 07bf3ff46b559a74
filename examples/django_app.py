"""A Django shop that logs what its visitors do and sends it to Segment.

    pip install segment-logging django

Set SEGMENT_WRITE_KEY before you run it. To send to another host, for example to the collector, also
set SEGMENT_HOST. The program makes its own requests with Django's test client.
"""

import logging

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse

settings.configure(
    SECRET_KEY="for this example only",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "segment_logging.contrib.django.SegmentMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
        "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
    },
)
django.setup()

from django.contrib.auth import get_user_model, login  # noqa: E402  needs the settings
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

logger = logging.getLogger("shop")


def pricing(request: HttpRequest) -> HttpResponse:
    logger.info("Pricing", extra={"type": "page"})
    return HttpResponse("Free for one, 29 for all")


def sign_up(request: HttpRequest) -> HttpResponse:
    name, plan = request.POST["name"], request.POST["plan"]
    login(request, get_user_model().objects.create_user(name))
    logger.info("Profile saved", extra={"traits": {"name": name, "plan": plan}})
    logger.info("Signed Up", extra={"properties": {"plan": plan}})
    return HttpResponse("Welcome")


def order(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponse("Sign up first", status=401)
    bought = {"order_id": "o-501", "revenue": 29.0, "currency": "EUR"}
    logger.info("Order Completed", extra={"properties": bought})
    return HttpResponse("Thank you")


urlpatterns = [path("pricing", pricing), path("signup", sign_up), path("orders", order)]


def main() -> None:
    """Simulate a visitor who signs up and buys something."""
    call_command("migrate", verbosity=0)
    browser = Client()
    browser.cookies["ajs_anonymous_id"] = "visitor-31"  # analytics.js sets this cookie
    browser.get("/pricing")
    browser.post("/signup", {"name": "Ada", "plan": "pro"})
    browser.post("/orders")


if __name__ == "__main__":
    main()
