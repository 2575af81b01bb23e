"""Texts with personal data planted at known places, and texts that only look so: a truth for the detection.

The formats come from national numbering and addressing rules, not from the recognisers; what the recognisers are known to
miss (names and telephone numbers without a cue, addresses without a number) is planted, too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

PLAIN = (
    "Works as described, the {thing} is solid and I use it every day.",
    "Bought 2x500ml for 12.99, arrived on 2025-03-04 at 10:32, order 4711-2231.",
    "{thing} model {model}, EAN {ean}, version 1.2.0.4, size 10-12-14, ratio 16:9.",
    "五星好评，{zh}很好用，物流快，下单第2天就到了。",
    "Price went from 199.00 to 149.50 in 30 days, 25% off, 4.5/5 stars from 1,204 buyers.",
    "{zh}尺寸30*40*50cm，订单号{order}，颜色很正，客服回复及时。",
    "Battery 10000 mAh, 5V/2.1A, IP67, 802.11ac, USB 3.2, part no. {part}.",
    "The way it folds is clever; 5 in a row would fit on my road bike.",
    "Returned after 14 days, ticket #{order}, refund of EUR 23,40.",
    "Mister Proper cleans well, Dr. Oetker pizza is fine, Mrs. Meyer's soap smells nice.",
)
_THINGS = ("kettle", "desk lamp", "garden hose", "frying pan", "phone case")
_ZH = ("茶壶", "台灯", "手机壳", "锅", "椅子")
_GIVEN = ("Anna", "Peter", "Olivia", "Jürgen", "Chloé", "Tariq", "Wanjiru", "Ignacio")
_FAMILY = ("Miller", "Okafor", "Schneider", "Lefèvre", "O'Brien", "Kowalski", "Tanaka", "García")
_ZH_NAMES = ("王小明", "李静", "欧阳雪", "张伟", "陈思远", "刘洋")
_STREETS = ("Baker Street", "Elm Avenue", "Old Mill Road", "Sunset Blvd", "Church Lane")


@dataclass(frozen=True)
class Planted:
    """A text, and what was planted: (kind, value) pairs; `hard` ones are known to need a model."""

    text: str
    truth: tuple[tuple[str, str], ...] = ()
    hard: bool = False


def _luhn(digits: str) -> str:
    total = 0
    for i, d in enumerate(reversed(digits)):
        n = int(d) * (2 if i % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return digits + str(-total % 10)


def _iban(rng: random.Random) -> str:
    bban = "".join(rng.choice("0123456789") for _ in range(18))
    number = int(bban + "131400")
    return f"DE{98 - number % 97:02d}{bban}"


def _resident_id(rng: random.Random) -> str:
    body = f"{rng.choice(('110105', '310104', '440305'))}{rng.randint(1950, 2005)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{rng.randint(0, 999):03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def _values(rng: random.Random) -> list[tuple[str, str, str, bool]]:
    """(kind, value, sentence around it with {}, hard)."""
    given, family = rng.choice(_GIVEN), rng.choice(_FAMILY)
    n = rng.randint
    mobile = f"1{rng.choice('3456789')}{n(0, 9)}{n(10_000_000, 99_999_999)}"
    us = f"({rng.choice((212, 415, 617, 305))}) {n(200, 999)}-{n(1000, 9999)}"
    uk = f"+44 20 7{n(100, 999)} {n(1000, 9999)}"
    mail = f"{given}.{family}{n(1, 99)}@{rng.choice(('example.org', 'mail.example.co.uk', 'shop-xyz.de', 'qq.com'))}"
    mail = mail.replace("ü", "ue").replace("é", "e").replace("è", "e").replace("í", "i").replace("'", "")
    card = _luhn("4" + "".join(str(n(0, 9)) for _ in range(14)))
    return [
        ("email", mail, "If it breaks write to {} and we talk.", False),
        ("email", mail, "有问题请发邮件到{}谢谢", False),
        ("phone", mobile, "卖家加我微信{}聊", False),
        ("phone", f"+86 {mobile[:3]} {mobile[3:7]} {mobile[7:]}", "my number is {} if needed", False),
        ("phone", us, "Call me at {} before delivery.", False),
        ("phone", uk, "reach us on {} please", False),
        ("phone", f"0{n(30, 89)}{n(1000000, 9999999)}", "Ruf mich an: {} danke", True),
        ("payment", f"{card[:4]} {card[4:8]} {card[8:12]} {card[12:]}", "they charged {} twice!", False),
        ("payment", _iban(rng), "refund to {} please", False),
        ("identity number", _resident_id(rng), "实名认证用的{}一直失败", False),
        ("ip address", f"{n(60, 220)}.{n(0, 255)}.{n(0, 255)}.{n(1, 254)}", "blocked from {} again", False),
        ("address", f"{n(1, 999)} {rng.choice(_STREETS)}", "Left at {}, next to the door.", False),
        ("address", f"Lindenstraße {n(1, 99)}", "Geliefert an die {} in Köln.", False),
        ("address", f"上海市徐汇区漕溪北路{n(1, 999)}号{n(1, 30)}楼", "送到{}就行", False),
        ("address", f"{family} House, Upper Green", "Deliver to {} after six.", True),
        ("name", f"{given} {family}", "My name is {}, thanks for the quick reply.", False),
        ("name", f"{given} {family}", "As {} told me in the shop, it is fine.", True),
        ("name", rng.choice(_ZH_NAMES), "我叫{}，买了三次了。", False),
        ("name", rng.choice(_ZH_NAMES), "谢谢{}的推荐", True),
    ]


def make_texts(n: int = 2000, seed: int = 7, share: float = 0.3) -> list[Planted]:
    """Review-like texts, a `share` of them with one planted value."""
    rng = random.Random(seed)
    out: list[Planted] = []
    for _ in range(n):
        base = rng.choice(PLAIN).format(
            thing=rng.choice(_THINGS), zh=rng.choice(_ZH), model=f"{rng.choice('ABX')}{rng.randint(100, 9999)}",
            ean=f"{rng.randint(10**12, 10**13 - 1)}", order=rng.randint(10**7, 10**8), part=f"{rng.randint(100, 999)}-{rng.randint(1000, 9999)}",
        )  # fmt: skip
        if rng.random() >= share:
            out.append(Planted(base))
            continue
        kind, value, around, hard = rng.choice(_values(rng))
        said = around.format(value)
        text = f"{base} {said}" if rng.random() < 0.5 else f"{said} {base}"
        out.append(Planted(text, ((kind, value),), hard))
    return out


def measure(n: int = 2000, seed: int = 7) -> dict[str, object]:
    """Precision and recall of the detection, in all and by kind, on planted texts; a finding is right when it overlaps a value of its kind."""
    import time

    from wares.data.privacy.detect import find

    begun = time.perf_counter()
    by_kind: dict[str, list[int]] = {}
    right = found_n = missed_hard = hard = 0
    wrong: list[str] = []
    for planted in make_texts(n, seed):
        found = find(planted.text)
        found_n += len(found)
        places = [(kind, planted.text.index(value), len(value)) for kind, value in planted.truth]
        for finding in found:
            hit = any(
                finding.kind == k and finding.start < at + size and at < finding.end for k, at, size in places
            )
            right += hit
            if not hit:
                wrong.append(f"{finding.kind}: {planted.text[finding.start : finding.end]}")
        for kind, at, size in places:
            hit = any(f.kind == kind and f.start < at + size and at < f.end for f in found)
            tally = by_kind.setdefault(kind + (", no cue" if planted.hard else ""), [0, 0])
            tally[0] += hit
            tally[1] += 1
            hard += planted.hard
            missed_hard += planted.hard and not hit
    total, hits = sum(t[1] for t in by_kind.values()), sum(t[0] for t in by_kind.values())
    return {
        "texts": n, "seed": seed, "planted": total, "found": found_n,
        "precision": right / max(found_n, 1), "recall": hits / max(total, 1),
        "recall_without_hard": (hits - (hard - missed_hard)) / max(total - hard, 1),
        "by_kind": {kind: {"recall": t[0] / t[1], "planted": t[1]} for kind, t in sorted(by_kind.items())},
        "false_alarms": sorted(set(wrong))[:20], "seconds": round(time.perf_counter() - begun, 2),
    }  # fmt: skip
