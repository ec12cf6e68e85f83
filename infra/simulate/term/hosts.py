"""The simulated district's own list of sites by category, in the layout of UT1. All of it is made up."""

from __future__ import annotations

LISTS = {
    "adult": ("velvet-hall.example", "after-midnight.example", "bare-garden.example"),
    "adverts": ("banner-yard.example", "click-counter.example"),
    "bypass": ("tunnel-mole.example", "hidden-path.example", "veil-net.example"),
    "drugs": ("green-corner.example", "pipe-dream.example"),
    "filesharing": ("cargo-bay-tracker.example", "seed-and-leech.example"),
    "fundraising": ("give-a-hand.example", "cause-jar.example"),
    "gambling": ("lucky-wheel.example", "card-palace.example"),
    "mining": ("pool-of-coins.example", "hash-quarry.example"),
    "news": tuple(f"{name}-gazette.example" for name in ("north", "south", "valley", "plains", "metro", "canyon")),
    "legislature": ("statehouse.example", "senate-desk.example"),
    "selling": ("stall-console.example", "my-shop-orders.example"),
    "shopping": ("basket-street.example", "bargain-loft.example"),
    "social": ("chatter-square.example", "photo-wall.example"),
    "streaming": ("evening-reels.example", "tune-river.example"),
    "sports": ("score-board.example",),
    "games": ("pixel-keep.example",),
    "software": ("campus-catalogue.example", "free-images.example"),
    "weapons": ("blade-and-barrel.example", "long-range.example"),
    "updates": ("system-updates.example", "peer-delivery.example", "app-refresh.example"),
}
ORDINARY = tuple(f"{name}.example" for name in ("lesson-plans", "grade-book", "map-room", "word-lab", "herbarium"))
GUESTS, LABS, VPN, NAT = "10.250.0", "10.251.0", "10.252.0", "10.253.0"
"""First three bytes of networks that are many people's at once: guests, the class about security, the VPN, a NAT."""
SERVERS = "10.1.0"
"""First three bytes of the DHCP servers' network."""
