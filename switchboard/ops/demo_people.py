"""Believable people for the demo workspace, the same ones every time."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

_FIRST = """
    Amelia Noah Leila Mateo Yuki Priya Lukas Zofia Omar Ingrid Kwame Chiara Hugo Anika Diego Fatima Jonas Mei
    Sofia Arjun Elena Tomas Aisha Felix Nora Ravi Clara Ibrahim Greta Luca Hana Viktor Camila Samir Freya Daniel
    Imani Oskar Lucia Ken Marta Theo Salma Emil Paula Rashid Linnea Marco Adaeze Stefan
""".split()
_LAST = """
    Bennett García Nakamura Okafor Schmidt Rossi Haddad Novák Lindqvist Sharma Dubois Kowalska Mensah Fernández
    Becker Tanaka Petrov Almeida Nilsson Khan Moreau Varga Ortiz Andersen Chen Silva Weber Ivanova Hughes Farouk
    Janssen Costa Berg Kaplan Romano Sato Müller Duarte Olsen Singh
""".split()
_PLAIN = str.maketrans("áàâãäåçéèêëíìîïñóòôõöøúùûüýžšžőźćńłąęśřčďťů", "aaaaaaceeeeiiiinoooooouuuuyzszozcnlaesrcdtu")
_COMPANY_FIRST = """
    Northwind Alder Bluebird Copperline Drift Ember Foxglove Granite Harbor Ivory Juniper Kestrel Lantern Meridian
""".split()
_COMPANY_LAST = """
    Studios Logistics Dental Travel Interiors Foods Robotics Legal Clinics Outfitters Energy Partners Media Homes
""".split()
_WANTS = (
    "a quote for {n} people in {month}",
    "to know whether you work with teams of {n}",
    "a call back about the {month} offer",
    "prices for {n} seats",
    "a visit next week, ideally before {month}",
    "to move {n} users from our current provider",
    "help with an urgent order of {n}",
    "a brochure and a demo for {n} colleagues",
)
_MONTHS = "January February March April May June July September October".split()
_COUNTRIES: Mapping[str, tuple[str, str]] = {
    "DE": ("+49151", "Europe/Berlin"),
    "GB": ("+447700", "Europe/London"),
    "ES": ("+34612", "Europe/Madrid"),
    "IN": ("+9198765", "Asia/Kolkata"),
    "US": ("+1415555", "America/Los_Angeles"),
    "JP": ("+819012", "Asia/Tokyo"),
}
_CAMPAIGNS = (
    ("google", "cpc", "brand"),
    ("google", "cpc", "autumn-offer"),
    ("facebook", "paid-social", "lookalike-2"),
    ("newsletter", "email", "november"),
    ("partner", "referral", "kestrel"),
    ("", "", ""),
)


@dataclass(frozen=True, slots=True)
class DemoLead:
    """One enquiry: which source it comes by, when, and the payload as that source would send it."""

    source: str
    at: datetime
    payload: Mapping[str, object]


def demo_leads(count: int, *, until: datetime, days: int = 30, seed: int = 7) -> Iterator[DemoLead]:
    """`count` enquiries of the `days` before `until`, oldest first; office hours are busier, one in twelve returns."""
    chance = random.Random(seed)  # noqa: S311 the demo must be the same every time
    moments = sorted(_moment(chance, until, days) for _ in range(count))
    people: list[Mapping[str, object]] = []
    for number, at in enumerate(moments):
        returning = bool(people) and chance.random() < 1 / 12
        person = chance.choice(people) if returning else _person(chance, number)
        people.append(person)
        source = chance.choices(("Website form", "Facebook ads", "Partner API", "Trade fair"), (50, 28, 15, 7))[0]
        yield DemoLead(source, at, {**person, **_enquiry(chance, number, at)})


def _moment(chance: random.Random, until: datetime, days: int) -> datetime:
    at = until - timedelta(seconds=chance.random() * days * 86_400)
    # Nights and weekends are quiet: most of what falls there moves into a working afternoon.
    if (at.hour < 7 or at.weekday() >= 5) and chance.random() < 0.7:
        moved = at.replace(hour=chance.randint(9, 18)) - timedelta(days=max(0, at.weekday() - 4))
        return min(moved, until)
    return at


def _person(chance: random.Random, number: int) -> Mapping[str, object]:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    country = chance.choice(tuple(_COUNTRIES))
    prefix, zone = _COUNTRIES[country]
    company = f"{chance.choice(_COMPANY_FIRST)} {chance.choice(_COMPANY_LAST)}" if chance.random() < 0.6 else ""
    host = f"{company.lower().replace(' ', '-')}.example" if company else "mail.example"
    local = f"{first}.{last}".lower().translate(_PLAIN)
    person = {
        "full_name": f"{first} {last}",
        "email": f"{local}{number}@{host}",
        "phone": f"{prefix}{chance.randint(0, 999_999):06d}"[: 12 if country != "IN" else 13],
        "company": company,
        "country": country,
        "time_zone": zone,
        "consent": chance.random() < 0.8,
    }
    if chance.random() < 0.15:
        person.pop("phone")
    return person


def _enquiry(chance: random.Random, number: int, at: datetime) -> Mapping[str, object]:
    source, medium, campaign = chance.choice(_CAMPAIGNS)
    want = chance.choice(_WANTS).format(n=chance.choice((3, 5, 8, 12, 20, 45, 120)), month=chance.choice(_MONTHS))
    enquiry: dict[str, object] = {
        "submission_id": f"demo-{number}",
        "submitted_at": at.isoformat(),
        "message": f"I would like {want}.",
        "utm_source": source,
        "utm_medium": medium,
        "utm_campaign": campaign,
    }
    if chance.random() < 0.4:
        enquiry |= {"value": chance.choice((450, 900, 1_500, 2_400, 6_000, 18_000)), "currency": "EUR"}
    return enquiry
