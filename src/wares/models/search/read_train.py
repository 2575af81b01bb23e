"""Build the artefact of the reader: what a catalogue calls its things, and what shoppers call them."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wares.core.arrays import save_arrays, seal
from wares.core.files import write_json
from wares.core.strings import StringTable
from wares.core.text import has_han
from wares.features.catalogue import Catalogue
from wares.models.search.analysis import lower, stem
from wares.models.search.read_infer import KIND
from wares.models.search.read_lexicon import DOUBT, name_key, pair_key, size_key
from wares.models.search.read_tokens import Token, fold, normal, tokens
from wares.models.search.spelling import FIRST_HAN, LAST_HAN, LONGEST, SHORTEST, deletions
from wares.models.search.synonyms_train import Pair, proven
from wares.models.search.units import sizes_in

TITLE_CHARS = 1000
VALUE_SHARE = 0.5
"""So many of the products whose title has the word of an attribute's value must carry the value."""
VALUE_KEY = 0.8
"""So many of those who carry the value must carry it under the same key."""
VALUE_PRODUCTS = 500
"""A value that no title names must be carried by one of so many products."""
VALUE_LENGTH = 30
PROPOSALS = "synonyms.json"
MOST_PROPOSALS = 1000
EVIDENCE = 400
"""Words kept as evidence for each doubtful brand."""
CLICK_WEIGHT = 3.0
"""A clicked query says so many times more of a category than a title."""
_SUFFIXES = frozenset(
    [
        "inc",
        "ltd",
        "llc",
        "gmbh",
        "co",
        "corp",
        "corporation",
        "company",
        "ag",
        "sa",
        "kg",
        "bv",
        "plc",
        "srl",
        "spa",
        "oy",
        "ab",
        "limited",
        "有限公司",
    ]
)
_NO_VALUE = frozenset(
    [
        "yes",
        "no",
        "true",
        "false",
        "none",
        "n/a",
        "unknown",
        "other",
        "others",
        "是",
        "否",
        "无",
        "其他",
        "default",
    ]
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The columns of products ``(n,)`` that a reader learns from; `attributes` holds a dictionary for each."""

    titles: Sequence[str]
    brands: Sequence[str]
    categories: Sequence[str]
    sizes: Sequence[str] = ()
    attributes: Sequence[Mapping[str, str]] = ()

    @classmethod
    def of(cls, catalogue: Catalogue) -> Shelf:
        """The columns of a catalogue."""
        title, brand, category, size, cells = (
            list(catalogue.columns[name]) for name in ("title", "brand", "category", "size", "attributes")
        )
        return cls(title, brand, category, size, [json.loads(cell) if cell else {} for cell in cells])


@dataclass(slots=True)
class _Read:
    """A shelf, once gone through: for each product its tokens, and the counts of all."""

    rows: list[list[Token]] = field(default_factory=list[list[Token]])
    words: Counter[str] = field(default_factory=Counter[str])
    pairs: Counter[int] = field(default_factory=Counter[int])


def fit_reader(
    shelf: Shelf,
    folder: Path,
    *,
    clicks: Mapping[str, Mapping[int, float]] | None = None,
    pairs: Sequence[Pair] = (),
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Write the artefact into `folder`; returns its manifest.

    `clicks` has for each typed text the products (rows of the shelf) that were clicked with their weights; they tell categories.
    `pairs` may say the same: the proven ones are synonyms from now on, the others are kept to be proposed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    read = _go_through(shelf, progress)
    brands = sorted({b for b in shelf.brands if b})
    categories = sorted({c for c in shelf.categories if c})
    words = sorted(read.words)
    row_of = {word: i for i, word in enumerate(words)}
    for name, strings in (("brands", brands), ("categories", categories), ("words", words)):
        StringTable.of(strings).save(folder, name)
    StringTable.of(sorted({token for word in words if (token := stem(word))})).save(folder, "stems")
    keys = np.array(sorted(read.pairs), np.uint64)
    save_arrays(
        folder,
        word_counts=np.array([read.words[w] for w in words], np.int64),
        pair_hash=keys,
        pair_counts=np.array([read.pairs[int(k)] for k in keys], np.int32),
    )
    forms = _forms(brands)
    dims = _units(shelf)
    _save_brands(folder, shelf, read, forms, brands, dims)
    n_values = _save_values(folder, shelf, read, {w for form in forms for w in form.split()})
    StringTable.of(sorted({size_key(size) for row in dims for size in row})).save(folder, "sizes")
    _save_categories(folder, shelf, read, categories, row_of, clicks or {})
    _save_spelling(folder, words, read.words)
    same = proven(pairs)
    StringTable.of([one for one, _ in same]).save(folder, "same_from")
    StringTable.of([other for _, other in same]).save(folder, "same_to")
    write_json(folder / PROPOSALS, [pair.to_json() for pair in pairs[:MOST_PROPOSALS]])
    return seal(
        folder, KIND, products=len(shelf.titles), words=len(words), brands=len(brands), brand_forms=len(forms), values=n_values,
        categories=len(categories), synonyms=len(same), clicked_queries=len(clicks or {}),
    )  # fmt: skip


def _go_through(shelf: Shelf, progress: Progress) -> _Read:
    read = _Read()
    n = len(shelf.titles)
    # The words of a brand or category count once for each product, but are taken apart once for each name.
    for names in (Counter(b for b in shelf.brands if b), Counter(c for c in shelf.categories if c)):
        for name, times in names.items():
            for token in {t.text for t in tokens(lower(normal(name)))}:
                read.words[token] += times
    for at, title in enumerate(shelf.titles):
        row = tokens(lower(normal(title, TITLE_CHARS)))
        read.rows.append(row)
        for word in {t.text for t in row}:
            read.words[word] += 1
            # "gore-tex" is also written "gore tex".
            for part in fold(word).split() if not word.isalnum() else ():
                read.words[part] += 1
        for key in {pair_key(a.text, b.text) for a, b in pairwise(row) if b.start - a.end <= 1}:
            read.pairs[key] += 1
        if at % 5000 == 0:
            progress(at, n)
    return read


def _forms(brands: Sequence[str]) -> dict[str, list[int]]:
    """The ways to write each brand: whole, without what a law adds, without "the", in each of its scripts, as one word."""
    forms: dict[str, dict[int, None]] = defaultdict(dict)
    for code, name in enumerate(brands):
        row = tokens(lower(normal(name)))
        runs = [row, [t for t in row if t.han], [t for t in row if not t.han]]
        for run in runs:
            kept = [t for t in run if t.text.strip(".") not in _SUFFIXES] or run
            if kept and kept[0].text == "the" and len(kept) > 1:
                kept = kept[1:]
            for some in (run, kept):
                key = name_key(some)
                if len(key) >= 2 and not key.isdigit():
                    forms[key][code] = None
                if " " in key and len(key) >= 6:
                    forms[key.replace(" ", "")][code] = None
    return {form: list(codes) for form, codes in sorted(forms.items())}


def _units(shelf: Shelf) -> list[tuple[Any, ...]]:
    sizes = shelf.sizes or [""] * len(shelf.titles)
    known: dict[str, tuple[Any, ...]] = {}
    out: list[tuple[Any, ...]] = []
    for title, size in zip(shelf.titles, sizes, strict=True):
        text = f"{normal(title, TITLE_CHARS)} | {normal(size)}"
        if text not in known:
            known[text] = sizes_in(lower(text))
        out.append(known[text])
    return out


def _save_brands(
    folder: Path, shelf: Shelf, read: _Read, forms: dict[str, list[int]], brands: list[str],
    dims: list[tuple[Any, ...]],
) -> None:  # fmt: skip
    """The forms, and for those that other brands' titles use as a word, what stands beside them in either sense."""
    code_of = {brand: i for i, brand in enumerate(brands)}
    own = Counter(shelf.brands)
    others: dict[str, list[int]] = defaultdict(list)
    longest = max((len(form.split()) for form in forms), default=0)
    for at, row in enumerate(read.rows):
        brand = code_of.get(shelf.brands[at], -1)
        for key in _named(row, forms, longest):
            if brand not in forms[key]:
                others[key].append(at)
    names = list(forms)
    doubt = np.zeros(len(names), np.float32)
    ptr, told, logs = [0], list[str](), list[float]()
    for i, form in enumerate(names):
        mine = sum(own[brands[b]] for b in forms[form])
        doubt[i] = len(others[form]) / (mine + len(others[form])) if mine + len(others[form]) else 0
        if doubt[i] >= DOUBT:
            codes = set(forms[form])
            here = [at for at, brand in enumerate(shelf.brands) if code_of.get(brand, -1) in codes]
            for token, value in _evidence(read, dims, here, others[form], set(form.split())):
                told.append(token)
                logs.append(value)
        ptr.append(len(told))
    StringTable.of(names).save(folder, "forms")
    StringTable.of(told).save(folder, "doubt_token")
    flat = [code for form in names for code in forms[form]]
    save_arrays(
        folder,
        form_ptr=np.cumsum([0, *(len(forms[form]) for form in names)]).astype(np.int64),
        form_brand=np.array(flat, np.int32),
        form_doubt=doubt,
        doubt_ptr=np.array(ptr, np.int64),
        doubt_log=np.array(logs, np.float32),
    )


def _named(row: list[Token], forms: Mapping[str, Any], longest: int) -> set[str]:
    found: set[str] = set()
    for at in range(len(row)):
        for n in range(1, min(max(longest, 3), len(row) - at) + 1):
            key = name_key(row[at : at + n])
            if key in forms:
                found.add(key)
    return found


def _evidence(
    read: _Read, dims: list[tuple[Any, ...]], here: list[int], there: list[int], name: set[str]
) -> list[tuple[str, float]]:
    def counts(rows: list[int]) -> Counter[str]:
        out: Counter[str] = Counter()
        for at in rows[:5000]:
            out.update({t.text for t in read.rows[at]} - name)
            out.update({f"#{size.unit}" for size in dims[at]})
        return out

    mine, other = counts(here), counts(there)
    n, m = min(len(here), 5000), min(len(there), 5000)
    best = sorted(mine | other, key=lambda w: (-max(mine[w] / max(n, 1), other[w] / max(m, 1)), w))[:EVIDENCE]
    return [(w, log((mine[w] + 0.5) / (n + 1)) - log((other[w] + 0.5) / (m + 1))) for w in best]


def _save_values(folder: Path, shelf: Shelf, read: _Read, brand_words: set[str]) -> int:
    """Values of attributes that may be recognised without their key: words that, in a title, mostly mean the value."""
    times: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    keys: Counter[str] = Counter()
    for attributes in shelf.attributes:
        for key, value in attributes.items():
            keys[key] += 1
            cell = normal(str(value))
            form = name_key(tokens(lower(cell)))
            if (
                2 <= len(form) <= VALUE_LENGTH
                and not any(ch.isdigit() for ch in form)
                and form not in _NO_VALUE
            ):
                times[form][(key, cell)] += 1
    longest = max((len(form.split()) for form in times), default=0)
    in_titles: Counter[str] = Counter()
    carried: Counter[str] = Counter()
    for at, row in enumerate(read.rows) if times else ():
        cells = {name_key(tokens(lower(normal(str(v))))) for v in shelf.attributes[at].values()}
        named = {name_key(tokens(lower(normal(shelf.brands[at]))))}
        for form in _named(row, times, longest) - {w for name in named for w in (name, *name.split())}:
            in_titles[form] += 1
            carried[form] += form in cells
    enough = len(shelf.titles) / VALUE_PRODUCTS
    kept: dict[str, tuple[str, str]] = {}
    for form, found in sorted(times.items()):
        best, most = max(found.items(), key=lambda item: (item[1], item[0]))
        known = carried[form] >= VALUE_SHARE * in_titles[form] and (in_titles[form] or most >= enough)
        if known and most >= VALUE_KEY * sum(found.values()):
            kept[form] = best
    StringTable.of(list(kept)).save(folder, "values")
    StringTable.of([key for key, _ in kept.values()]).save(folder, "value_key")
    StringTable.of([cell for _, cell in kept.values()]).save(folder, "value_cell")
    StringTable.of(sorted(keys)).save(folder, "keys")
    return len(kept)


def _save_categories(
    folder: Path, shelf: Shelf, read: _Read, categories: list[str], row_of: Mapping[str, int],
    clicks: Mapping[str, Mapping[int, float]],
) -> None:  # fmt: skip
    """How often each word stands in a title of each category, and in queries that led there."""
    code_of = {name: i for i, name in enumerate(categories)}
    counts: list[Counter[int]] = [Counter() for _ in row_of]
    total = np.zeros(len(categories), np.float32)
    whole = {c: [t.text for t in tokens(lower(normal(c.rsplit(">", 1)[-1])))] for c in categories}

    def add(texts: Iterable[str], code: int, weight: float) -> None:
        for word in texts:
            row = row_of.get(word, -1)
            if row >= 0:
                counts[row][code] += weight  # pyright: ignore[reportArgumentType]
                total[code] += weight

    for at, row in enumerate(read.rows):
        code = code_of.get(shelf.categories[at], -1)
        if code >= 0:
            add({t.text for t in row} | set(whole[shelf.categories[at]]), code, 1.0)
    for text, products in clicks.items():
        words = {t.text for t in tokens(lower(normal(text)))}
        share = sum(products.values()) or 1.0
        for product, weight in products.items():
            code = code_of.get(shelf.categories[product], -1)
            if code >= 0:
                add(words, code, CLICK_WEIGHT * weight / share)
    flat = [(code, value) for found in counts for code, value in sorted(found.items())]
    save_arrays(
        folder,
        cat_ptr=np.cumsum([0, *(len(found) for found in counts)]).astype(np.int64),
        cat_code=np.array([code for code, _ in flat], np.int32),
        cat_count=np.array([value for _, value in flat], np.float32),
        cat_total=total,
    )


def _save_spelling(folder: Path, words: list[str], counts: Counter[str]) -> None:
    hashes: list[int] = []
    rows: list[int] = []
    for row, word in enumerate(words):
        if SHORTEST - 1 <= len(word) <= LONGEST and word.isascii() and word.isalpha():
            found = deletions(word)
            hashes += found
            rows += [row] * len(found)
    keys = np.array(hashes, np.uint32)
    order = np.argsort(keys, kind="stable")
    save_arrays(folder, delete_hash=keys[order], delete_word=np.array(rows, np.int32)[order])
    _save_sounds(folder, words, counts)


@lru_cache(1)
def _readings() -> tuple[list[str], Callable[[str], str]]:
    """The commonest sound of each character from U+4E00 on, and the sound of words that a dictionary of phrases has, without tones."""
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

    def plain(sound: str) -> str:
        # ü is typed v.
        apart = unicodedata.normalize("NFD", sound).replace("u\u0308", "v")
        bare = "".join(ch for ch in apart if not unicodedata.combining(ch))
        return bare if bare.isascii() and bare.isalpha() else ""

    table = [plain(PINYIN_DICT.get(code, "").split(",")[0]) for code in range(FIRST_HAN, LAST_HAN + 1)]
    return table, lambda word: "".join(plain(one[0]) for one in PHRASES_DICT.get(word, ()))


def _save_sounds(folder: Path, words: list[str], counts: Counter[str]) -> None:
    """The sound of each Chinese word, where there are any; of several that sound alike the commonest."""
    han = [
        (row, word) for row, word in enumerate(words) if len(word) >= 2 and all(has_han(ch) for ch in word)
    ]
    table: list[str] = []
    best: dict[str, int] = {}
    if han:
        table, phrase = _readings()
        for row, word in han:
            at = [ord(ch) - FIRST_HAN for ch in word]
            by_char = [table[i] if 0 <= i < len(table) else "" for i in at]
            # A character with several sounds is found by the one in this word and by its commonest one.
            for sound in {"".join(by_char) if all(by_char) else "", phrase(word)} - {""}:
                old = best.get(sound, -1)
                if old < 0 or counts[word] > counts[words[old]]:
                    best[sound] = row
    StringTable.of(table).save(folder, "char_sound")
    names = sorted(best)
    StringTable.of(names).save(folder, "sounds")
    sound_word: NDArray[np.int32] = np.array([best[name] for name in names], np.int32)
    save_arrays(folder, sound_word=sound_word)
