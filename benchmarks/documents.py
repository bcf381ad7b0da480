"""What the JSON benchmark writes and reads: made up, the same in every run.

Three resemble files that JSON libraries are often measured with: twitter.json, canada.json and
citm_catalog.json. The README says how closely.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from itertools import accumulate
from math import ulp
from random import Random
from sys import intern
from typing import Any
from uuid import UUID

SMALL = """
{"id": 4711, "name": "Ada Lovelace", "email": "ada@example.com", "active": true, "score": 98.6,
 "manager": null, "roles": ["admin", "author"], "address": {"city": "London", "zip": "W1J 7JZ"}}
"""
ROW = """
{"id": {number 6}, "name": "{letters 8}", "email": "{letters 8}@example.com", "active":
 {coin 80}, "score": {score}, "manager": null, "tags": ["{letters 5}", "{letters 7}"]}
"""
USER = """
{"id": {number 10}, "id_str": "{number 10}", "name": "{japanese 8}", "screen_name":
 "{letters 12}", "location": "{japanese 2}", "description": "{japanese 37}\\r\\n{japanese 34}",
 "url": null, "entities": {"description": {"urls": []}}, "protected": false, "followers_count":
 {number 3}, "friends_count": {number 3}, "listed_count": {number 1}, "created_at":
 "Sat Feb {number 2} {number 2}:{number 2}:{number 2} +0000 2013", "favourites_count": {number 2},
 "utc_offset": null, "time_zone": null, "geo_enabled": {coin 50}, "verified": false,
 "statuses_count": {number 4}, "lang": "ja", "contributors_enabled": false, "is_translator":
 false, "is_translation_enabled": false, "profile_background_tile": {coin 20},
 "profile_background_image_url": "http://abs.example.com/images/themes/theme{number 2}/bg.png",
 "profile_image_url": "http://pbs.example.com/images/{number 18}/{letters 17}_normal.jpeg",
 "profile_banner_url": "https://pbs.example.com/profile_banners/{number 10}/{number 10}",
 "profile_use_background_image": {coin 80}, "default_profile": {coin 60},
 "default_profile_image": false, "following": false, "follow_request_sent": false,
 "notifications": false}
"""
MENTION = """
{"screen_name": "{letters 12}", "name": "{japanese 8}", "id": {number 10},
 "id_str": "{number 10}", "indices": [{number 1}, {number 2}]}
"""
STATUS = """
{"metadata": {"result_type": "recent", "iso_language_code": "ja"}, "created_at":
 "Sun Aug 31 {number 2}:{number 2}:{number 2} +0000 2014", "id": {number 18},
 "id_str": "{number 18}", "text": "{japanese 56}\\n{japanese 59}", "source":
 "<a href=\\"http://twitter.example.com/{letters 12}\\" rel=\\"nofollow\\">{japanese 8}</a>",
 "truncated": false, "in_reply_to_status_id": null, "in_reply_to_status_id_str": null,
 "in_reply_to_user_id": null, "in_reply_to_user_id_str": null, "in_reply_to_screen_name": null,
 "user": null, "geo": null, "coordinates": null, "place": null, "contributors": null,
 "retweet_count": {number 2}, "favorite_count": {number 1}, "entities": {"hashtags": [],
 "symbols": [], "urls": [], "user_mentions": []}, "favorited": false, "retweeted": false,
 "lang": "ja"}
"""
SEARCH = {"completed_in": 0.087, "max_id": 505874924095815700, "query": "%E4%B8%80", "count": 100}
EVENT = """
{"description": null, "id": {number 9}, "logo": null, "name": "{letters 9} {letters 18}",
 "subTopicIds": [{number 9}, {number 9}, {number 9}], "subjectCode": null, "subtitle": null,
 "topicIds": [{number 9}, {number 9}, {number 9}]}
"""
PRICE = '{"amount": {number 5}, "audienceSubCategoryId": 337100890, "seatCategoryId": {number 9}}'
SEATS = '{"areas": [], "seatCategoryId": {number 9}}'
AREA = '{"areaId": {number 9}, "blockIds": []}'
PERFORMANCE = """
{"eventId": {number 9}, "id": {number 9}, "logo": "/images/{number 25}", "name": null,
 "prices": [], "seatCategories": [], "seatMapImage": null, "start": {number 13},
 "venueCode": "PLEYEL_PLEYEL"}
"""

_PLACE = re.compile(r"\{(\w+) ?(\d*)\}")


@dataclass(frozen=True, slots=True)
class Document:
    """A value to write, and a text to read: none where that is what Flask writes of it."""

    title: str
    value: Any
    text: bytes | None = None


class _Maker:
    """Makes up values: what stands in braces in the shapes above are its methods."""

    def __init__(self) -> None:
        self.random = Random(20140831)

    def fill(self, shape: str) -> Any:
        return json.loads(_PLACE.sub(self._make, shape), object_hook=_with_shared_keys)

    def _make(self, place: re.Match[str]) -> str:
        value = getattr(self, place[1])(*map(int, place[2].split()))
        return value if isinstance(value, str) else json.dumps(value)

    def several(self, shape: str, size: int) -> list[Any]:
        return [self.fill(shape) for _ in range(size)]

    def number(self, digits: int) -> int:
        return self.random.randrange(10 ** (digits - 1), 10**digits)

    def score(self) -> float:
        return self.number(4) / 100

    def coin(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def letters(self, length: int) -> str:
        return "".join(self.random.choices("abcdefghijklmnopqrstuvwxyz", k=length))

    def japanese(self, length: int) -> str:
        kinds = ((0x3041, 0x3094), (0x30A1, 0x30FB), (0x4E00, 0x9FA0), (0x61, 0x7B))
        chosen = self.random.choices(kinds, (42, 16, 28, 14), k=length)
        return "".join(chr(self.random.randrange(*kind)) for kind in chosen)

    def moment(self) -> datetime:
        return datetime(2014, 8, 31) + timedelta(microseconds=self.random.randrange(10**15))


def _with_shared_keys(pairs: dict[str, Any]) -> dict[str, Any]:
    return {intern(name): value for name, value in pairs.items()}


def small() -> Document:
    """Return what an API answers about one thing."""
    return Document("small object", json.loads(SMALL))


def rows() -> Document:
    """Return a table of what JSON has by itself."""
    return Document("1,000 plain rows", _Maker().several(ROW, 1000))


def special_rows() -> Document:
    """Return a table of what a database driver returns."""
    maker = _Maker()
    value = maker.several(ROW, 1000)
    for row in value:
        row["created"] = maker.moment().replace(tzinfo=UTC)
        row["key"] = UUID(int=maker.random.getrandbits(128), version=4)
        row["price"] = Decimal(maker.number(6)).scaleb(-2)
    return Document("1,000 rows with datetime, UUID and Decimal", value)


def naive_rows() -> Document:
    """Return a table with datetimes that have no zone."""
    maker = _Maker()
    value = [maker.fill(ROW) | {"created": maker.moment()} for _ in range(1000)]
    return Document("1,000 rows with naive datetime", value)


def twitter() -> Document:
    """Return 100 tweets, most of them Japanese and repeating another."""
    maker = _Maker()
    statuses = [_status(maker) for _ in range(100)]
    for status in statuses[:73]:
        status["retweeted_status"] = _status(maker)
    return _indented("like twitter.json", {"statuses": statuses, "search_metadata": SEARCH}, 2)


def _status(maker: _Maker) -> dict[str, Any]:
    status: dict[str, Any] = maker.fill(STATUS)
    status["user"] = user = maker.fill(USER)
    for part in ("background", "link", "sidebar_border", "sidebar_fill", "text"):
        user[f"profile_{part}_color"] = str(maker.number(6))
    for name in ("profile_image_url", "profile_background_image_url"):
        user[f"{name}_https"] = user[name].replace("http", "https")
    status["entities"]["user_mentions"] = maker.several(MENTION, maker.random.randint(0, 2))
    return status


def canada() -> Document:
    """Return the coast of Canada: pairs of floats with all their digits."""
    maker = _Maker()
    rings = [_ring(maker, 8 + int(14300 / rank**1.273)) for rank in range(1, 481)]
    geometry = {"type": "Polygon", "coordinates": rings}
    feature = {"type": "Feature", "properties": {"name": "Canada"}, "geometry": geometry}
    value = {"type": "FeatureCollection", "features": [feature]}
    # The original spells floats with 17 digits, Python with as few as will do.
    text = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.17g}", json.dumps(value))
    return Document("like canada.json", value, text.replace(" ", "").encode())


def _ring(maker: _Maker, length: int) -> list[list[float]]:
    longitudes = _walk(maker, -maker.number(7) * 9 - 50_000_000, length)
    latitudes = _walk(maker, maker.number(7) * 4 + 43_000_000, length)
    return [list(point) for point in zip(longitudes, latitudes, strict=True)]


def _walk(maker: _Maker, begin: int, length: int) -> Iterator[float]:
    for step in accumulate(maker.random.choices(range(-30_000, 30_000), k=length), initial=begin):
        # Six decimals, and what a calculation has left behind these.
        degrees = step / 1e6
        yield degrees + maker.coin(93) * maker.random.randrange(-12, 12) * ulp(degrees)


def citm() -> Document:
    """Return a catalogue of concerts: many small objects, empty arrays, numbers as keys."""
    maker = _Maker()
    value = {
        "areaNames": _named(maker, 17),
        "audienceSubCategoryNames": {"337100890": "Abonné"},
        "blockNames": {},
        "events": {str(maker.number(9)): maker.fill(EVENT) for _ in range(184)},
        "performances": [_performance(maker) for _ in range(243)],
        "seatCategoryNames": _named(maker, 64),
        "subTopicNames": _named(maker, 19),
        "subjectNames": {},
        "topicNames": _named(maker, 4),
        "topicSubTopics": {
            str(maker.number(9)): [maker.number(9) for _ in range(5)] for _ in range(4)
        },
        "venueNames": {"PLEYEL_PLEYEL": "Salle Pleyel"},
    }
    return _indented("like citm_catalog.json", value, 4)


def _named(maker: _Maker, size: int) -> dict[str, str]:
    return {str(maker.number(9)): "2ème " + maker.letters(9) for _ in range(size)}


def _performance(maker: _Maker) -> dict[str, Any]:
    performance: dict[str, Any] = maker.fill(PERFORMANCE)
    categories = maker.random.choices((1, 2, 4, 5), (42, 17, 89, 95))[0]
    performance["prices"] = maker.several(PRICE, categories)
    performance["seatCategories"] = maker.several(SEATS, categories)
    for seats in performance["seatCategories"]:
        seats["areas"] = maker.several(AREA, maker.random.randint(4, 16))
    return performance


def _indented(title: str, value: object, indent: int) -> Document:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return Document(title, value, text.encode())


DOCUMENTS: dict[str, Callable[[], Document]] = {
    make.__name__: make for make in (small, rows, special_rows, naive_rows, twitter, canada, citm)
}
"""How to make each, by its name on the command line."""
