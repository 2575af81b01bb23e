"""Find personal data in a text: `presidio-analyzer`, offline, with recognisers of our own beside its own.

Presidio's default engine downloads a language model. Ours has a blank spaCy pipeline, so that only patterns,
checksums and cues speak, in any language: e-mail, telephone (`phonenumbers`), payment card (Luhn), IBAN (mod 97),
IP address, Chinese mobile and resident identity numbers (GB 11643 checksum), postal addresses by pattern, and
names after a cue ("my name is", "收件人"). Names without a cue are not found: that needs a trained model.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import phonenumbers
import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, IbanRecognizer

LANGUAGE = "en"
REGIONS = ("US", "GB", "DE", "FR", "CN", "IN")
_L, _R = r"(?<![0-9A-Za-z_])", r"(?![0-9A-Za-z_])"
_TRIGGER = re.compile(
    r"@|\d(?:[\s().\-/]?\d){5}|\d+\s+\w+[\w .'-]*\b(?i:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|way|court|ct|square)\b"
    r"|(?i:stra(?:ß|ss)e|\brue\b|name is|[’']m called|yours,|regards|mr\.?\s|mrs\.?\s|ms\.?\s)|我叫|我是|姓名|收件人|收货人|联系人|[省市区县镇].{1,20}[路街巷弄号]|\d{1,3}\.\d{1,3}\.|[0-9a-fA-F]:[0-9a-fA-F:]{2,}"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something personal in a text, characters `start` to `end`; `score` from 0 to 1."""

    kind: str
    start: int
    end: int
    score: float


class _Blank(SpacyNlpEngine):
    """A pipeline without a model: it splits words and knows nothing, and asks no network."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": LANGUAGE, "model_name": "blank"}])
        self.nlp = {LANGUAGE: spacy.blank("xx")}

    def load(self) -> None:
        """Nothing to load."""


class _Email(PatternRecognizer):
    # Own bounds: Presidio's \b sees no edge between a Chinese character and an address, and it asks a public list.
    def __init__(self) -> None:
        pattern = rf"{_L}[0-9A-Za-z][0-9A-Za-z.!#$%&'*+/=?^_`{{|}}~-]{{0,63}}@(?:[0-9A-Za-z](?:[0-9A-Za-z-]{{0,61}}[0-9A-Za-z])?\.)+[A-Za-z]{{2,24}}{_R}"
        super().__init__("email", patterns=[Pattern("email", pattern, 0.95)], supported_language=LANGUAGE)


class _ChineseMobile(PatternRecognizer):
    def __init__(self) -> None:
        pattern = r"(?<![0-9A-Za-z])(?:\+?86[-\s]?)?1[3-9]\d[-\s]?\d{4}[-\s]?\d{4}(?![0-9A-Za-z])"
        super().__init__("phone", patterns=[Pattern("cn mobile", pattern, 0.75)], supported_language=LANGUAGE)


class _ResidentId(PatternRecognizer):
    """GB 11643-1999: 17 digits and a check character, ISO 7064 MOD 11-2; the date inside must exist."""

    def __init__(self) -> None:
        pattern = r"(?<![0-9A-Za-z])[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[0-9Xx](?![0-9A-Za-z])"
        super().__init__(
            "identity number", patterns=[Pattern("cn id", pattern, 0.6)], supported_language=LANGUAGE
        )

    def validate_result(self, pattern_text: str) -> bool:
        return resident_id_is_valid(pattern_text)


def resident_id_is_valid(text: str) -> bool:
    """Whether the last character of a Chinese resident identity number is the right one."""
    weights = [pow(2, 17 - i, 11) for i in range(17)]
    total = sum(int(d) * w for d, w in zip(text[:17], weights, strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


class _Address(PatternRecognizer):
    def __init__(self) -> None:
        street = r"(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|way|court|ct|square|sq|terrace|place)"
        patterns = [
            Pattern("en", rf"{_L}\d{{1,5}}[a-zA-Z]?\s+(?:[NSEW]\.?\s+)?(?:[A-Z][a-zà-ÿ][\w'-]*\s+){{1,3}}(?i:{street}){_R}", 0.7),
            Pattern("de", rf"{_L}[A-ZÄÖÜ][\wäöüß-]+(?:straße|strasse|str\.|weg|allee|platz|gasse)\s+\d{{1,4}}[a-z]?{_R}", 0.7),
            Pattern("fr", rf"{_L}\d{{1,4}},?\s+(?:bis\s+)?(?:rue|avenue|boulevard|place|chemin)\s+(?:de\s+|du\s+|des\s+|la\s+|l')*[A-ZÉÈ][\wéèêàç'-]+", 0.7),
            Pattern("zh", r"[\u4e00-\u9fff]{2,8}(?:省|市|自治区|区|县)[\u4e00-\u9fff0-9]{0,20}?(?:路|街|道|巷|弄|村|镇)[\u4e00-\u9fff]{0,6}\d{1,5}(?:号|弄|栋|幢)[\u4e00-\u9fff0-9-]{0,15}", 0.8),
        ]  # fmt: skip
        # Case matters: it tells "5 Oak Street" from "5 in a way".
        super().__init__(
            "address", patterns=patterns, supported_language=LANGUAGE, global_regex_flags=re.DOTALL
        )


class _Ip(PatternRecognizer):
    def __init__(self) -> None:
        patterns = [
            Pattern("v4", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", 0.6),
            Pattern(
                "v6", r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])", 0.6
            ),
        ]
        super().__init__("ip address", patterns=patterns, supported_language=LANGUAGE)

    def validate_result(self, pattern_text: str) -> bool | None:
        try:
            address = ipaddress.ip_address(pattern_text)
        except ValueError:
            return False
        if address.version == 6:
            return None if len(pattern_text) > 6 else False
        # "1.2.0.4" is more often a version of some software than a machine.
        return None if max(address.packed) > 31 else False


class _Name(PatternRecognizer):
    def __init__(self) -> None:
        word = r"(?:[A-ZÀ-Ý]['’])?[A-ZÀ-Ý][a-zà-ÿ]{1,20}(?:-[A-ZÀ-Ý][a-zà-ÿ]+)?(?![\w'’])"
        patterns = [
            Pattern("cue", rf"(?<=my name is ){word}(?: {word}){{0,2}}", 0.8),
            Pattern("cue 2", rf"(?<=My name is ){word}(?: {word}){{0,2}}", 0.8),
            Pattern("title", rf"(?<![A-Za-z])(?:Mr|Mrs|Ms|Herr|Frau|Mme)\.? {word}(?: {word})?", 0.7),
            Pattern("sign", rf"(?<=[Rr]egards, ){word}(?: {word}){{0,2}}", 0.7),
            Pattern("zh", r"(?<=我叫)[\u4e00-\u9fff]{2,3}(?=[，。,.\s!！]|$)", 0.7),
            Pattern(
                "zh 2",
                r"(?<=(?:姓名|件人|货人|系人)[:：])\s?[\u4e00-\u9fff]{2,4}(?=[，。,.\s]|$)",
                0.8,
            ),
        ]
        super().__init__("name", patterns=patterns, supported_language=LANGUAGE, global_regex_flags=re.DOTALL)


class _Phone(EntityRecognizer):
    """Telephone numbers by Google's `phonenumbers`; bare digits count only after a word that says so."""

    CUE = re.compile(
        r"(?i)(?:tele)?phone|\btel\b|mobile|\bcell|\bcall\b|\bfax\b|whats ?app|wechat|\btext me|电话|手机|致电|联系方式|微信"
    )

    SHAPED = re.compile(r"\+\d|\(\d{2,5}\)|\d{2,5}[\s.\-/]+\d{2,5}[\s.\-/]+\d{2}")
    IP = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")

    def __init__(self) -> None:
        super().__init__(["phone"], name="phone", supported_language=LANGUAGE)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Numbers that are valid in one of `REGIONS`, or with a country code anywhere."""
        found: dict[tuple[int, int], RecognizerResult] = {}
        if not (self.SHAPED.search(text) or self.CUE.search(text)):
            return []
        for region in REGIONS:
            for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.VALID):
                raw = match.raw_string
                if self.IP.fullmatch(raw):
                    continue
                cue = self.CUE.search(text[max(0, match.start - 24) : match.start]) is not None
                shaped = raw.startswith("+") or len(re.findall(r"[\s().\-/]+", raw.strip("+ "))) >= 2
                # Body measures ("33-25-37") are written like short numbers.
                if cue or (shaped and sum(map(str.isdigit, raw)) >= 7):
                    place = (match.start, match.end)
                    found[place] = RecognizerResult("phone", *place, 0.8 if cue else 0.65)
        return list(found.values())


class _Card(CreditCardRecognizer):
    """Luhn alone takes every tenth EAN for a card; cards of 13 digits are no longer issued."""

    def validate_result(self, pattern_text: str) -> bool:
        """Whether it can be a card of today."""
        return sum(map(str.isdigit, pattern_text)) >= 14 and super().validate_result(pattern_text)


@lru_cache(1)
def _engine() -> AnalyzerEngine:
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    registry = RecognizerRegistry(supported_languages=[LANGUAGE])
    for recogniser in (
        _Email(), _ChineseMobile(), _ResidentId(), _Address(), _Ip(), _Name(), _Phone(),
        _Card(supported_language=LANGUAGE, supported_entity="payment"),
        IbanRecognizer(supported_language=LANGUAGE, supported_entity="payment"),
    ):  # fmt: skip
        registry.add_recognizer(recogniser)
    return AnalyzerEngine(registry=registry, nlp_engine=_Blank(), supported_languages=[LANGUAGE])


def find(text: str, threshold: float = 0.5) -> list[Finding]:
    """What is personal in a text, by place; of findings that overlap, the surest and then the longest stays."""
    if not _TRIGGER.search(text):
        return []
    results: list[Any] = _engine().analyze(text[:20_000], language=LANGUAGE, score_threshold=threshold)
    kept: list[Finding] = []
    for r in sorted(results, key=lambda r: (-r.score, r.start - r.end)):
        if all(r.end <= k.start or r.start >= k.end for k in kept):
            kept.append(Finding(r.entity_type, r.start, r.end, round(float(r.score), 2)))
    return sorted(kept, key=lambda f: f.start)
