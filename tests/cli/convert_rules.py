"""Rules that are converted to SQL in tests: of every kind and shape, and what is refused."""

from __future__ import annotations

from agents.rules.loader import parse_rules
from agents.rules.model import RuleSet

OWN = """
title: {kind}
name: {name}
level: low
correlation: {{type: {kind}, rules: [{rules}], group-by: {by}, timespan: {span}, condition: {condition}}}
aupstream: {{{own}}}
"""
BASES = """
title: A page
name: a-page
level: low
logsource: {category: proxy}
detection: {s: {url_domain|exists: true}, condition: s}
---
title: A page refused
name: a-refusal
level: low
logsource: {category: proxy}
detection: {s: {http_response_status_code|gte: 400}, condition: s}
---
title: A login
name: a-login
level: low
logsource: {category: authentication}
detection: {s: {event_outcome: success}, condition: s}
"""
REFUSED = """
title: In order, and lasting
name: long-order
level: low
correlation: {type: temporal_ordered, rules: [a-page, a-refusal], group-by: [user_name], timespan: 5m}
aupstream: {lasting: 1m}
---
title: A log that is quiet in school hours
name: quiet
level: low
correlation: {type: event_count, rules: [a-page], group-by: [user_name], timespan: 15m, condition: {lt: 1}}
aupstream: {kind: absence, expect: [{user_name: anna}], when: {hours: "08:00-16:00"}}
---
title: What an order measures
name: sum-of-orders
level: low
correlation:
  type: value_sum
  rules: [an-order, a-page]
  group-by: [user_name]
  timespan: 5m
  condition: {field: http_response_bytes, gte: 5}
---
title: In order
name: an-order
level: low
correlation:
  type: temporal_ordered
  rules: [a-page, a-refusal]
  group-by: [user_name, http_response_bytes]
  timespan: 5m
---
"""
SHAPES = [
    ("event_count", "a-page", "source_ip", "2m", "{gte: 12}", ""),
    ("event_count", "a-page", "user_name", "5m", "{gte: 2, lte: 4}", ""),
    ("event_count", "a-page", "user_name", "10m", "{gte: 5}", "window: tumbling"),
    ("value_count", "a-page", "user_name", "10m", "{field: url_domain, gte: 4}", ""),
    ("value_count", "a-page", "source_ip", "10m", "{field: [user_name, url_domain], gte: 4}", ""),
    ("value_count", "a-page", "user_name", "5m", "{field: url_domain, gte: 4}", "window: session, lasting: 2m"),
    ("value_sum", "a-page", "source_ip", "5m", "{field: http_response_bytes, gte: 300000}", ""),
    ("value_avg", "a-page", "source_ip", "5m", "{field: http_response_bytes, gt: 60000}", ""),
    ("value_median", "a-page", "source_ip", "5m", "{field: http_response_bytes, gt: 60000}", ""),
    ("temporal", "a-refusal, a-login", "user_name", "30m", "a-refusal and a-login", ""),
    ("temporal_ordered", "a-page, a-refusal, a-page", "source_ip", "5m", "", ""),
    ("event_count", "a-page", "source_ip", "2m", "{gte: 8}", "suppress: 1h"),
    (
        "event_count",
        "a-page",
        "source_ip",
        "2m",
        "{gte: 5}",
        "rearm: 10m, when: {hours: '08:30-14:00', zone: America/Denver}",
    ),
    ("event_count", "a-page", "user_name", "1d", "{gte: 30}", "kind: quota, per: day"),
    (
        "value_sum",
        "a-page",
        "user_name",
        "1d",
        "{field: http_response_bytes, gte: 500000}",
        "kind: quota, per: day",
    ),
    (
        "event_count",
        "a-page",
        "source_ip",
        "30m",
        "{gte: 5}",
        "kind: spike, spike: {periods: 6, least: 2, factor: 2}",
    ),
    (
        "event_count",
        "a-page",
        "user_name",
        "1d",
        "{gte: 1}",
        "kind: new_value, forget: 90m, learn: {time: 1h}, known: [NOBODY]",
    ),
    ("value_count", "a-login", "user_name", "2h", "{field: source_site, gte: 2}", "kind: concurrent"),
    ("event_count", "own-2", "user_name", "3h", "{gte: 1}", ""),
    ("temporal", "own-3, a-login", "user_name", "1h", "", ""),
    ("value_count", "a-page", "source_mac", "1h", "{field: user_name, gte: 1}", ""),
    ("event_count", "a-refusal", "", "30m", "{gte: 3}", ""),
    ("event_count", "own-21", "", "1h", "{gte: 1}", ""),
]


def own_rules() -> RuleSet:
    """One rule a shape: `own-0`, `own-1` …"""
    documents = [
        OWN.format(kind=k, name=f"own-{i}", rules=r, by=f"[{b}]" if b else "~", span=s, condition=c or "~", own=o)
        for i, (k, r, b, s, c, o) in enumerate(SHAPES)
    ]
    return parse_rules("\n---\n".join([*documents, BASES]))
