"""Category lists as UT1 and squidGuard write them; lookup against a slow one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.categories import OWN, Categories
from agents.context.category_names import MAP, NAMES, ours
from schemas.errors import Errors

LABEL = st.sampled_from(["a", "b", "ab", "example", "x"])
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@given(st.dictionaries(st.sampled_from(["adult", "news", "games"]), st.lists(DOMAIN, max_size=6)), st.lists(DOMAIN))
def test_a_host_is_in_the_categories_of_every_domain_above_it(listed: dict[str, list[str]], hosts: list[str]) -> None:
    found = Categories.of(listed).of_hosts(hosts)
    for host in hosts:
        slow = {name for name, some in listed.items() if any(host == d or host.endswith(f".{d}") for d in some)}
        assert found[host] == slow


def _file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_folders_are_read_packed_or_not_and_under_our_names(tmp_path: Path) -> None:
    _file(tmp_path / "porn" / "domains", b"# a list\r\nBAD.example\r\n.worse.example\n\n")
    _file(tmp_path / "vpn" / "domains.gz", gzip.compress(b"tunnel.example\nbad.example\n"))
    _file(tmp_path / "selling" / "urls", b"shop.example/sell\nhttps://www.market.example/my/\n")
    _file(tmp_path / "porn" / "expressions", b"(sex|xxx)")
    _file(tmp_path / "porn" / "domains.db", b"\x00\x01")
    got = Categories.read([tmp_path], {"porn": "adult"})
    assert got.of_hosts(["www.bad.example", "worse.example", "notbad.example"]) == {
        "www.bad.example": {"adult", "bypass"},
        "worse.example": {"adult"},
        "notbad.example": frozenset(),
    }
    assert got.of_path("market.example", "/my/shop") == {"selling"}
    assert got.of_path("www.shop.example", "/sell/1") == {"selling"}
    assert got.of_path("shop.example", "/buy") == frozenset()
    assert got.passed_over == (f"{tmp_path}/porn/expressions",)
    assert Categories.read([tmp_path], {"porn": "adult"}).version == got.version
    _file(tmp_path / "vpn" / "domains.gz", gzip.compress(b"tunnel.example\n"))
    assert Categories.read([tmp_path], {"porn": "adult"}).version != got.version


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    _file(tmp_path / "vpn" / "domains.gz", gzip.compress(b"tunnel.example\n" * 999)[:30])
    _file(tmp_path / "selling" / "urls", b"# sites\nshop.example\n")
    with pytest.raises(Errors) as caught:
        Categories.read([tmp_path, tmp_path / "nowhere"])
    texts = [str(error) for error in caught.value.errors]
    assert len(texts) == 3
    assert any(f"{tmp_path}/selling/urls:" in text and "no part of a site" in text for text in texts)
    assert any(f"{tmp_path}/vpn/domains.gz: cannot be read" in text for text in texts)


def test_every_name_is_known_by_itself_and_what_is_not_known_stays() -> None:
    assert {ours(name) for name in NAMES} == set(NAMES) == set(MAP.values())
    assert (ours("  Proxy   Avoidance "), ours("Knitting")) == ("bypass", "knitting")


@pytest.mark.parametrize(
    "name",
    [
        "doh", "Proxies & Translators", "strict_redirector", "strong_redirector", "mixed_adult", "R-Rated",
        "Lingerie/Bikini", "Adult/Mature Content", "Mature Content", "Adult Themes", "cryptojacking",
        "Software/Hardware", "Software/Technology", "Nudity and Risque", "File Sharing and Storage", "Marijuana",
        "Sex Education", "Lingerie and Swimsuit", "Sports Hunting and War Games", "Discrimination", "Remote Access",
        "Information and Computer Security", "Cryptocurrency",
    ],
)  # fmt: skip
def test_what_means_more_than_a_category_of_ours_accuses_and_excuses_nobody(name: str) -> None:
    assert ours(name) == name.lower()
    assert Categories().filed(name) & NAMES.keys() == frozenset()


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("Pornography", "adult"), ("Other Adult Materials", "adult"), ("Advertising", "adverts"),
        ("Proxy Avoidance", "bypass"), ("Content Servers", "cdn"), ("Dating", "dating"), ("Drug Abuse", "drugs"),
        ("Peer-to-peer File Sharing", "filesharing"), ("Charitable Organizations", "fundraising"),
        ("Gambling", "gambling"), ("Games", "games"), ("Hacking", "hacking"), ("Malicious Websites", "malware"),
        ("Crypto Mining", "mining"), ("News and Media", "news"), ("Auction", "shopping"), ("Shopping", "shopping"),
        ("Social Networking", "social"), ("Sports", "sports"), ("Streaming Media and Download", "streaming"),
        ("Internet Radio and TV", "streaming"), ("Travel", "travel"), ("Explicit Violence", "violence"),
        ("Extremist Groups", "violence"), ("Terrorism", "violence"), ("Weapons (Sales)", "weapons"),
    ],
)  # fmt: skip
def test_what_fortinet_files_is_known(name: str, category: str) -> None:
    assert Categories().filed(name) == {category}


@pytest.mark.parametrize("name", ["download", "Freeware and Software Downloads", "Shareware/Freeware"])
def test_sites_that_offer_software_are_not_those_that_the_district_allows(name: str) -> None:
    assert ours(name) == "downloads"


def test_the_lists_that_come_along_are_small_and_under_our_names() -> None:
    own = Categories.read([OWN])
    assert set().union(*own.named, *({c for _, c in some} for some in own.prefixes.values())) <= set(NAMES)
    assert 20 < len(own.domains) < 400
