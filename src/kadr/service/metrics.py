"""What Prometheus reads at /metrics. No metric holds a query, a path or an address."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "kadr_requests_total", "Requests answered.", ["method", "route", "status"], registry=REGISTRY
)
SECONDS = Histogram(
    "kadr_request_seconds",
    "Seconds from a request to the end of its answer.",
    ["route"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BATCH = Histogram(
    "kadr_search_batch_size",
    "Searches answered together.",
    registry=REGISTRY,
    buckets=(1, 2, 4, 8, 16),
)
TURNED_AWAY = Counter(
    "kadr_turned_away_total", "Requests answered 503 because too many were waiting.", ["pool"],
    registry=REGISTRY,
)  # fmt: skip
HIDDEN = Counter(
    "kadr_hidden_total", "Answers 451: a photo or a query that the policy hides.", registry=REGISTRY
)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
