"""What categories of sites are called here, and in the lists and filters of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

NAMES: Final[Mapping[str, str]] = {
    "adult": "nudity and sexual content",
    "adverts": "advertising, tracking and measuring",
    "bypass": "ways around a filter: proxies, anonymisers, VPN",
    "cdn": "content delivery for other sites",
    "dating": "dating",
    "downloads": "sites that offer software to load, whoever allowed it",
    "drugs": "illegal drugs",
    "filesharing": "peer-to-peer sharing and pirated copies",
    "fundraising": "collecting money for causes and persons",
    "gambling": "gambling",
    "games": "games",
    "hacking": "tools and instructions to break into systems",
    "legislature": "parliaments and their members",
    "malware": "harmful software and fraud",
    "mining": "mining of crypto-currencies",
    "news": "newspapers, broadcasters and other media",
    "selling": "consoles of those who sell: listings, orders, payments",
    "shopping": "shops and auctions",
    "social": "social networks",
    "software": "catalogues and repositories of software that the district allows",
    "sports": "sports",
    "streaming": "video, music and radio",
    "travel": "travel",
    "updates": "updates of software, and where devices report to",
    "violence": "violence and hatred",
    "weapons": "weapons",
}
"""Our names and what they mean. A rule may name others: a category that is not mapped keeps its own name."""

# What a name is taken for accuses somebody or excuses them. So names stay their own that mean more than ours do: `doh`
# (browsers ask name servers over HTTPS by themselves), translators among proxies, UT1's `strict_redirector` and
# `strong_redirector` (search engines), mature themes, swimwear and `mixed_adult` (sites with such a part), pages in
# which a miner was hidden (`cryptojacking`), software in general, which is no catalogue that a district allows, and of
# Fortinet's `nudity and risque`, `file sharing and storage`, `marijuana`, `discrimination` and `sports hunting and war
# games`. Its names are those of https://www.fortiguard.com/webfilter/categories.
_OTHERS: Final[Mapping[str, str]] = {
    "adult": "porn|pornography|adult content|adult material|nudity|sex|sexually explicit|sexual content|"
    "other adult material|other adult materials|explicit",
    "adverts": "publicite|ads|advertising|advertisements|web advertisements|web ads/analytics|trackers|tracking|"
    "web analytics|analytics|online advertising|marketing/advertising",
    "bypass": "redirector|vpn|proxy avoidance|proxy|proxies|web proxies|anonymizer|anonymizers|anonymizing|"
    "proxy/anonymizer|proxy-avoidance-and-anonymizers|filter avoidance|proxy avoidance and anonymizers|"
    "remote proxies|anonymous proxy|vpn services|bypassing",
    "cdn": "content delivery networks|content-delivery-networks|content servers|content delivery|"
    "infrastructure and content delivery networks|infrastructure",
    "dating": "personals/dating|personals and dating|online dating|dating & personals|dating/personals",
    "downloads": "download|freeware and software downloads|software downloads|shareware/freeware|"
    "shareware-and-freeware|freeware/shareware",
    "drugs": "drogue|drug abuse|illegal drugs|abused-drugs|abused drugs|illegal or questionable drugs",
    "filesharing": "warez|torrent|torrents|p2p|peer to peer|peer-to-peer|peer-to-peer (p2p)|p2p/file sharing|piracy|"
    "peer to peer file sharing|peer file transfer|copyright-infringement|copyright infringement|illegal downloads|"
    "illegal software|peer to peer (p2p)|peer-to-peer file sharing",
    "fundraising": "fundraising|crowdfunding|charitable organizations|donations",
    "gambling": "gambling sites|lotteries|betting",
    "games": "online games|online-games|gaming|game|video games|online gaming",
    "hacking": "computer hacking|hacking/computer crime|hacking & cracking|computer crime|hacker|hacking tools",
    "malware": "phishing|malicious sites|malware sites|malicious sources|spyware|ddos|command-and-control|botnets|"
    "malicious websites|phishing and other frauds|spyware and adware|suspicious",
    "mining": "cryptomining|cryptocurrency mining|crypto mining|coinminer|coin mining|cryptominers",
    "news": "press|media|news and media|news & media|news/media|newspapers|online news",
    "selling": "seller tools|online selling|seller consoles",
    "shopping": "auctions|shopping and auction|online shopping|shop|e-commerce|auctions & marketplaces|classifieds|"
    "online auctions|auction|shopping & auctions|online trading and auctions",
    "social": "social_networks|social networking|social-networking|social media|social networks|social web",
    "sports": "sport|sports/recreation|sports & recreation",
    "streaming": "audio-video|radio|streaming media|streaming-media|video streaming|streaming media & downloads|"
    "streaming media and download|internet radio and tv|streaming video|audio/video clips|video/audio",
    "travel": "travel & tourism|travel/tourism",
    "updates": "update|software updates|system updates|device updates|operating system updates",
    "violence": "agressif|violence/hate/racism|violence/hate|hate|hate speech|extremistic|extreme|extremism|racism|"
    "explicit violence|extremist groups|terrorism",
    "weapons": "weapon|arms|weapons & bombs|weapons (sales)",
}

MAP: Final[Mapping[str, str]] = dict(zip(NAMES, NAMES, strict=True)) | {
    other: name for name, listed in _OTHERS.items() for other in listed.split("|")
}
"""Our name by another's, lower case: of the lists of UT1 and squidGuard, and of web filters' own categories."""


def ours(name: str, more: Mapping[str, str] = MAP) -> str:
    """What a category of others is called here; one that is not known keeps its name, in lower case."""
    lowered = " ".join(name.lower().split())
    return more.get(lowered) or MAP.get(lowered, lowered)


def split(text: str) -> Iterable[str]:
    """Categories of a filter's field, which may hold several: parted by commas, semicolons or bars."""
    for sign in ";|":
        text = text.replace(sign, ",")
    return (part for one in text.split(",") if (part := one.strip()) and part not in ("-", "none", "unknown"))
