"""Dates as FHIR searches compare them (R4 search.html#date, #prefix): every value is a range of time as wide
as its precision, from its first instant to the one just after it."""

import re
from datetime import datetime, timedelta, timezone

FORM = re.compile(
    r"^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?$"
)
BEGINNING = datetime.min.replace(tzinfo=timezone.utc)
END = datetime.max.replace(tzinfo=timezone.utc)

Range = tuple[datetime, datetime]


def of_text(text: str) -> Range:
    """The range of a date, dateTime or instant; in UTC where it names no zone."""
    year, month, day, hour, minute, second, fraction, zone = FORM.match(text).groups()
    parts = [int(part) for part in (year, month or 1, day or 1, hour or 0, minute or 0, second or 0)]
    micro = int((fraction or "0").ljust(6, "0")[:6])
    low = datetime(*parts, micro, tzinfo=offset(zone))
    if fraction:
        return low, low + timedelta(microseconds=10 ** max(0, 6 - len(fraction)))
    if second:
        return low, low + timedelta(seconds=1)
    if minute:
        return low, low + timedelta(minutes=1)
    if day:
        return low, low + timedelta(days=1)
    if month:
        return low, low.replace(year=low.year + low.month // 12, month=low.month % 12 + 1)
    return low, low.replace(year=low.year + 1)


def offset(zone: str | None) -> timezone:
    if zone in (None, "Z"):
        return timezone.utc
    hours, minutes = zone[1:].split(":")
    whole = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-whole if zone[0] == "-" else whole)


def of_element(value) -> Range:
    """The range of an element: a text, or a Period, open where it has no end."""
    if isinstance(value, str):
        return of_text(value)
    start, end = value.get("start"), value.get("end")
    return of_text(start)[0] if start else BEGINNING, of_text(end)[1] if end else END


def holds(prefix: str, target: Range, search: Range) -> bool:
    """Whether a target is found by a prefix and a value."""
    contained = search[0] <= target[0] and target[1] <= search[1]
    match prefix:
        case "eq":
            return contained
        case "ne":
            return not contained
        case "gt":
            return target[1] > search[1]
        case "lt":
            return target[0] < search[0]
        case "ge":
            return target[1] > search[1] or contained
        case "le":
            return target[0] < search[0] or contained
        case "sa":
            return target[0] >= search[1]
        case "eb":
            return target[1] <= search[0]
    raise ValueError(prefix)


def edges(value) -> list[str]:
    """Texts of the edges of an element, as they were sent."""
    if isinstance(value, str):
        return [value]
    return [value[edge] for edge in ("start", "end") if edge in value]


def day(text: str) -> str:
    """The day of a date, in UTC."""
    return of_text(text)[0].astimezone(timezone.utc).date().isoformat()
