"""A second opinion on searches: which values a parameter has in a resource, and whether a resource is found by
them. Slow, and written from the specification (R4 search.html) rather than from Salus."""

import unicodedata
from collections.abc import Iterator

import dates
from elements import at

TOKENS = {"CodeableConcept", "Coding", "code", "Identifier", "boolean", "http://hl7.org/fhirpath/System.String"}
DATES = {"date", "dateTime", "instant", "Period"}
STRINGS = {"string", "HumanName", "Address"}

# The fields of the datatypes that string parameters search in.
FIELDS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}


class Parameter:
    """A search parameter as the metadata describe it."""

    def __init__(self, name: str, definition: dict):
        self.name = name
        self.type: str = definition["type"]
        self.paths: list[str] = definition["paths"]
        self.comparators: dict[str, str] = definition["comparators"]
        self.listed: list[str] = definition["values"]
        self.multiple_or: str | None = definition.get("multiple_or")
        self.chains: list[dict] = definition.get("chain", [])

    @property
    def is_date(self) -> bool:
        return self.type in DATES

    @property
    def is_reference(self) -> bool:
        return self.type == "Reference"

    def elements(self, resource: dict) -> list:
        """The elements that it searches."""
        types = DATES if self.is_date else None
        return [found for path in self.paths for found in at(resource, path, types=types)]

    def values(self, resource: dict) -> Iterator[str]:
        """Texts to search the resource by, in their plainest form."""
        for element in self.elements(resource):
            yield from self.texts(element)

    def texts(self, element) -> Iterator[str]:
        if self.is_reference:
            if "reference" in element:
                yield element["reference"]
        elif self.is_date:
            yield from dates.edges(element)
        elif self.type == "CodeableConcept":
            yield from (escaped(coding["code"]) for coding in element.get("coding", []) if "code" in coding)
        elif self.type == "Coding":
            yield escaped(element["code"])
        elif self.type == "Identifier":
            yield from [escaped(element["value"])] if "value" in element else []
        elif self.type in FIELDS:
            yield from (escaped(text) for text in fields(self.type, element))
        else:
            yield escaped(str(element).lower() if isinstance(element, bool) else str(element))

    def with_system(self, resource: dict) -> Iterator[str]:
        """Token values with their systems, where they have one."""
        for element in self.elements(resource):
            match self.type:
                case "CodeableConcept":
                    found = [(coding.get("system"), coding.get("code")) for coding in element.get("coding", [])]
                case "Coding":
                    found = [(element.get("system"), element.get("code"))]
                case "Identifier":
                    found = [(element.get("system"), element.get("value"))]
                case _:
                    found = []
            yield from (f"{escaped(system)}|{escaped(code)}" for system, code in found if system and code)

    def finds(self, resource: dict, text: str) -> bool:
        """Whether the resource is found by a value: alternatives separated by commas, with prefixes for dates."""
        return any(self.finds_one(element, one) for element in self.elements(resource) for one in split(text, ","))

    def finds_one(self, element, text: str) -> bool:
        if self.is_date:
            prefix, value = (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)
            return dates.holds(prefix, dates.of_element(element), dates.of_text(value))
        if self.is_reference:
            return element.get("reference") == text
        if self.type == "canonical":
            return element.split("|")[0] == unescaped(text)
        if self.type in STRINGS:
            start = folded(unescaped(text))
            return any(folded(field).startswith(start) for field in fields(self.type, element))
        return self.finds_token(element, split(text, "|"))

    def finds_token(self, element, parts: list[str]) -> bool:
        match self.type:
            case "CodeableConcept":
                pairs = [(coding.get("system"), coding.get("code")) for coding in element.get("coding", [])]
            case "Coding":
                pairs = [(element.get("system"), element.get("code"))]
            case "Identifier":
                pairs = [(element.get("system"), element.get("value"))]
            case _:
                pairs = [(None, str(element))]
        *system, code = (unescaped(part) for part in parts)
        return any(one == code and (not system or of == system[0]) for of, one in pairs)


def fields(kind: str, element) -> list[str]:
    if kind == "string":
        return [element]
    found = [value for name in FIELDS[kind] for value in at(element, name)]
    return [value for value in found if isinstance(value, str)]


def folded(text: str) -> str:
    """Without case and accents (R4 search.html#string)."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def escaped(text: str) -> str:
    """A value with the characters escaped that searches give a meaning (R4 search.html#escaping)."""
    for letter in ("\\", ",", "$", "|"):
        text = text.replace(letter, "\\" + letter)
    return text


def unescaped(text: str) -> str:
    out, letters = [], iter(text)
    for letter in letters:
        out.append(next(letters, "") if letter == "\\" else letter)
    return "".join(out)


def split(text: str, separator: str) -> list[str]:
    """Splits at separators that are not escaped; the parts stay escaped."""
    parts, current, letters = [], "", iter(text)
    for letter in letters:
        if letter == "\\":
            current += letter + next(letters, "")
        elif letter == separator:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [*parts, current]
