"""What operations can measure of a service. Labels are few and never name a store or a person."""

from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram, Info

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)

rpc_requests = Counter(
    "pomona_rpc_requests_total", "Calls answered, by outcome.", ["method", "outcome"]
)
rpc_duration = Histogram(
    "pomona_rpc_duration_seconds",
    "From a call's arrival to its answer.",
    ["method"],
    buckets=SECONDS,
)
rpc_in_progress = Gauge("pomona_rpc_in_progress", "Calls being handled.")
commands_expired = Counter("pomona_commands_expired_total", "Commands that came too late.")
command_replays = Counter(
    "pomona_command_replays_total", "Commands answered from the stored answer."
)
command_key_conflicts = Counter(
    "pomona_command_key_conflicts_total", "Command ids used again for something else."
)
events_appended = Counter("pomona_events_appended_total", "Events stored.", ["type"])
append_duration = Histogram(
    "pomona_append_duration_seconds", "One transaction of the event store.", buckets=SECONDS
)
append_batch = Histogram(
    "pomona_append_batch_entries",
    "Commits that shared one transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64),
)
append_conflicts = Counter(
    "pomona_append_conflicts_total", "Transactions that met a newer version and were tried again."
)
aggregate_loads = Counter(
    "pomona_aggregate_loads_total", "Aggregates loaded, by where from.", ["origin"]
)
ambiguous_commits = Counter(
    "pomona_ambiguous_commits_total", "Transactions whose connection was lost before the answer."
)
event_store_position = Gauge(
    "pomona_event_store_position", "Position of the last event that this service published."
)
outbox_published = Counter(
    "pomona_outbox_published_total", "Events given to the broker.", ["outcome"]
)
outbox_unroutable = Counter(
    "pomona_outbox_unroutable_total", "Events for which no queue was bound."
)
outbox_pending = Gauge("pomona_outbox_pending", "Stored events that wait to be published.")
outbox_oldest_pending = Gauge(
    "pomona_outbox_oldest_pending_timestamp_seconds",
    "Time of the oldest event that waits to be published; 0 when none waits.",
)
messages_handled = Counter(
    "pomona_messages_handled_total", "Events taken from other services.", ["source", "outcome"]
)
message_duplicates = Counter(
    "pomona_message_duplicates_total", "Events that came again and were dropped.", ["source"]
)
inbox_gaps = Counter(
    "pomona_inbox_gaps_total", "Holes in the stream, filled from the source's log.", ["source"]
)
inbox_estranged = Gauge(
    "pomona_inbox_estranged",
    "1 while a source that was restored does not know what was applied of it.",
    ["source"],
)
inbox_position = Gauge(
    "pomona_inbox_position", "Position of the last event applied, by source.", ["source"]
)
inbox_lag = Gauge(
    "pomona_inbox_lag_events", "Published events of a source not applied yet.", ["source"]
)
parked_events = Gauge(
    "pomona_parked_events", "Events set aside after failing, by source.", ["source"]
)
messages_dead_lettered = Counter(
    "pomona_messages_dead_lettered_total", "Messages that could not be read.", ["reason"]
)
amqp_connected = Gauge(
    "pomona_amqp_connected", "1 while the connection to the broker stands.", ["purpose"]
)
authz_denied = Counter("pomona_authz_denied_total", "Calls refused to their caller.", ["reason"])
erasures = Counter(
    "pomona_erasures_total",
    "People who were erased: as asked, or again after a crash or a restore.",
    ["result"],
)
invalid_messages = Counter("pomona_invalid_messages_total", "Requests refused.", ["reason"])
trust_learned = Gauge(
    "pomona_trust_learned_timestamp_seconds",
    "When identity last said who is believed and who no more; 0 before the first time.",
)
backup_taken = Gauge(
    "pomona_backup_timestamp_seconds",
    "When the last backup that this database knows of ended; 0 when it knows of none.",
)
wal_archive_failing = Gauge(
    "pomona_wal_archive_failing", "1 while the database cannot archive its log."
)
certificate_expires = Gauge(
    "pomona_certificate_expires_timestamp_seconds",
    "When the certificate that others see, or that we believe, expires.",
    ["purpose"],
)
hub_lag = Gauge("pomona_hub_lag_seconds", "How late the process's event loop wakes up.")
build_info = Info("pomona_build", "The version that runs.")
build_info.info({"version": version("pomona")})
