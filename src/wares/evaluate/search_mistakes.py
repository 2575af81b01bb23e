"""Queries made from titles with what people get wrong: typing, words left out, words that mean the same, units, two languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wares.models.search.analysis import lower
from wares.models.search.read_infer import STOP
from wares.models.search.read_tokens import normal, tokens
from wares.models.search.units import quantities

KINDS = ("clean", "typo", "two typos", "joined words", "word drop", "synonym", "unit", "mixed language")
_NEAR = dict(
    zip(
        "qwertyuiopasdfghjklzxcvbnm",
        [
            "wa",
            "qes",
            "wrd",
            "etf",
            "ryg",
            "tuh",
            "yij",
            "uok",
            "ipl",
            "ol",
            "qsz",
            "adwx",
            "sfec",
            "dgrv",
            "fhtb",
            "gjyn",
            "hkum",
            "jlin",
            "kop",
            "asx",
            "zsdc",
            "xdfv",
            "cfgb",
            "vghn",
            "bhjm",
            "njk",
        ],
        strict=True,
    )
)
SYNONYMS = tuple(
    tuple(pair.split("/"))
    for pair in [
        "television/tv",
        "fridge/refrigerator",
        "phone/mobile",
        "laptop/notebook",
        "sofa/couch",
        "vacuum/hoover",
        "cooker/stove",
        "trousers/pants",
        "sneakers/trainers",
        "sweater/jumper",
        "rucksack/backpack",
        "torch/flashlight",
        "nappies/diapers",
        "pram/stroller",
        "tap/faucet",
        "earphones/earbuds",
        "headphones/headset",
        "kids/children",
        "men/mens",
        "women/ladies",
        "car/auto",
        "bike/bicycle",
        "cap/hat",
        "rug/carpet",
        "cushion/pillow",
        "lamp/light",
        "mug/cup",
        "soap/wash",
        "photo/picture",
        "gift/present",
        "toy/plaything",
        "jewelry/jewellery",
        "gray/grey",
        "color/colour",
        "aluminum/aluminium",
        "large/big",
        "small/little",
        "quick/fast",
        "quiet/silent",
        "handbag/purse",
        "raincoat/mackintosh",
        "candle/taper",
        "set/kit",
        "cover/case",
        "bottle/flask",
        "washer/washing-machine",
        "freezer/deep-freeze",
        "cpu/processor",
        "monitor/screen",
        "display/screen",
        "memory/ram",
        "charger/adapter",
        "cable/lead",
        "bag/tote",
        "shirt/top",
        "dress/gown",
        "puzzle/jigsaw",
        "dog/puppy",
        "cat/kitten",
        "garden/yard",
        "couple/pair",
        "cooking/kitchen",
    ]
)
"""Written by hand for this test alone; nothing that reads queries knows them."""
CHINESE = {
    "wireless": "无线", "bluetooth": "蓝牙", "black": "黑色", "white": "白色", "red": "红色", "blue": "蓝色", "silver": "银色", "phone": "手机",
    "headphones": "耳机", "camera": "相机", "digital": "数码", "freezer": "冰柜", "fridge": "冰箱", "washing": "洗衣", "dishwasher": "洗碗机",
    "microwave": "微波炉", "tv": "电视", "smart": "智能", "led": "灯", "monitor": "显示器", "case": "壳", "cover": "套", "bag": "包", "watch": "手表",
    "women": "女士", "men": "男士", "kids": "儿童", "baby": "婴儿", "puzzle": "拼图", "toy": "玩具", "dog": "狗", "cat": "猫", "steel": "钢",
    "wood": "木", "cotton": "棉", "leather": "皮", "gift": "礼物", "light": "灯", "car": "汽车", "home": "家用", "kitchen": "厨房",
    "garden": "花园", "set": "套装", "pack": "包装", "oil": "油", "coffee": "咖啡", "tea": "茶", "water": "水", "green": "绿色", "pink": "粉色",
}  # fmt: skip
_PLAIN_UNIT = {
    "g": ("g", "kg", 1000.0),
    "ml": ("ml", "l", 1000.0),
    "mm": ("mm", "cm", 10.0),
    "byte": ("gb", "tb", 1000.0),
}
_OTHER_NAMES = {"inch": '"', "w": " watts", "piece": " pcs"}


@dataclass(frozen=True, slots=True)
class Mistaken:
    """A query with the row of the product it was made from, and its kind."""

    text: str
    row: int
    kind: str


def mistaken_queries(titles: Sequence[str], total: int, seed: int) -> list[Mistaken]:
    """About `total` queries, as many of each kind, made from random titles; a kind that a title does not allow takes another title."""
    rng = np.random.default_rng(seed)
    out: list[Mistaken] = []
    each = total // len(KINDS)
    for kind in KINDS:
        made, tried = 0, 0
        while made < each and tried < 60 * each:
            tried += 1
            row = int(rng.integers(len(titles)))
            text = _MAKE[kind](titles[row], rng)
            if text:
                out.append(Mistaken(text, row, kind))
                made += 1
    return out


def clean_words(title: str, rng: np.random.Generator) -> list[str]:
    """Three to six words of a title in their order, the first among them: what someone types who knows the product."""
    words = [t.text for t in tokens(lower(normal(title, 1000))) if t.text not in STOP][:14]
    if len(words) < 3:
        return []
    n = int(rng.integers(3, min(6, len(words)) + 1))
    rest = rng.choice(np.arange(1, len(words)), n - 1, replace=False)
    return [words[i] for i in sorted([0, *rest.tolist()])]


def typo(word: str, rng: np.random.Generator) -> str:
    """A word with one mistake: two letters swapped, one left out, doubled or taken from the key beside."""
    at = int(rng.integers(1, len(word) - 1))
    kind = int(rng.integers(4))
    if kind == 0 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    near = _NEAR.get(word[at], "e")
    return word[:at] + near[int(rng.integers(len(near)))] + word[at + 1 :]


def _long(words: list[str]) -> list[int]:
    return [i for i, w in enumerate(words) if len(w) >= 5 and w.isascii() and w.isalpha()]


def _clean(title: str, rng: np.random.Generator) -> str:
    return " ".join(clean_words(title, rng))


def _typos(n: int) -> Callable[[str, np.random.Generator], str]:
    def make(title: str, rng: np.random.Generator) -> str:
        words = clean_words(title, rng)
        places = _long(words)
        if len(places) < n:
            return ""
        for at in rng.choice(places, n, replace=False):
            words[at] = typo(words[at], rng)
        return " ".join(words)

    return make


def _joined(title: str, rng: np.random.Generator) -> str:
    row = [t.text for t in tokens(lower(normal(title, 1000))) if t.text not in STOP][:14]
    places = [
        i
        for i in range(len(row) - 1)
        if all(w.isascii() and w.isalpha() and len(w) >= 3 for w in row[i : i + 2])
    ]
    if len(row) < 4 or not places:
        return ""
    at = int(rng.choice(places))
    more = [w for i, w in enumerate(row) if i not in (at, at + 1)]
    some = rng.choice(np.arange(len(more)), min(3, len(more)), replace=False)
    return " ".join([row[at] + row[at + 1], *(more[i] for i in sorted(some.tolist()))])


def _dropped(title: str, rng: np.random.Generator) -> str:
    words = clean_words(title, rng)
    if len(words) < 4:
        return ""
    gone = int(rng.integers(1, len(words)))
    return " ".join(w for i, w in enumerate(words) if i != gone)


def _replaced(words: dict[str, tuple[str, ...]]) -> Callable[[str, np.random.Generator], str]:
    def make(title: str, rng: np.random.Generator) -> str:
        row = [t.text for t in tokens(lower(normal(title, 1000))) if t.text not in STOP][:14]
        places = [i for i, w in enumerate(row) if w in words]
        if len(row) < 3 or not places:
            return ""
        at = int(rng.choice(places))
        others = [i for i in range(len(row)) if i != at]
        some = rng.choice(others, min(len(others), int(rng.integers(2, 5))), replace=False)
        said = words[row[at]]
        changed = {at: said[int(rng.integers(len(said)))]}
        return " ".join(changed.get(i, row[i]) for i in sorted([at, *some.tolist()]))

    return make


def _unit(title: str, rng: np.random.Generator) -> str:
    """A size of the title in other words: 500g as 0.5 kg, 64gb as 64 gb, 27 inch as 27"."""
    low = lower(normal(title, 1000))
    found = quantities(low, lambda _: True)
    if not found:
        return ""
    one = found[int(rng.integers(len(found)))]
    size = one.size
    if size.unit in _PLAIN_UNIT:
        small, big, factor = _PLAIN_UNIT[size.unit]
        amount = size.amount / 1e9 if size.unit == "byte" else size.amount
        said = (
            f"{amount / factor:g} {big}"
            if amount >= factor / 4 and small not in low[one.start : one.end]
            else f"{amount:g} {small}"
        )
        if "".join(said.split()) == "".join(low[one.start : one.end].split()):
            said = (
                f"{amount / factor:g}{big}"
                if size.unit != "byte"
                else f"{amount:g}{small}"
                if " " in low[one.start : one.end]
                else f"{amount:g} {small}"
            )
    elif size.unit in _OTHER_NAMES:
        said = f"{size.amount:g}{_OTHER_NAMES[size.unit]}"
    else:
        return ""
    if re.search(r"e[+-]", said) or said == low[one.start : one.end]:
        return ""
    rest = [t.text for t in tokens(low) if t.text not in STOP and (t.end <= one.start or t.start >= one.end)][
        :10
    ]
    if len(rest) < 2:
        return ""
    some = sorted(rng.choice(np.arange(len(rest)), min(len(rest), 3), replace=False).tolist())
    return " ".join([*(rest[i] for i in some), said])


def _both_ways() -> dict[str, tuple[str, ...]]:
    out: dict[str, tuple[str, ...]] = {}
    for one, other in SYNONYMS:
        out[one] = (*out.get(one, ()), other.replace("-", " "))
        if "-" not in other:
            out[other] = (*out.get(other, ()), one)
    return out


_MAKE: dict[str, Callable[[str, np.random.Generator], str]] = {
    "clean": _clean,
    "typo": _typos(1),
    "two typos": _typos(2),
    "joined words": _joined,
    "word drop": _dropped,
    "synonym": _replaced(_both_ways()),
    "unit": _unit,
    "mixed language": _replaced({word: (zh,) for word, zh in CHINESE.items()}),
}
