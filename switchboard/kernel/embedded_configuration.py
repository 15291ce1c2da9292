"""What the embedded Postgres is told: small at rest, durable, and silent about personal data."""

from switchboard.kernel.embedded_layout import PORT, Layout

# Anybody who can enter the socket's folder owns the data anyway, so a password would guard nothing.
ACCESS_RULES = "local all all trust\nlocal replication postgres trust\n"

_HEADER = "# Written anew at each start. To change a setting, use ALTER SYSTEM: that wins over this file.\n"

_COMMON = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "posix",
    # The input and output workers of Postgres 18 would cost three resting processes.
    "io_method": "sync",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "1",
    # These binaries know pglz only. It takes 45 microseconds for a page that is first touched since a checkpoint, where
    # 3 are enough to write it as it is; and among a million contacts each lead touches one or two such pages.
    "wal_compression": "off",
    "wal_buffers": "8MB",
    "min_wal_size": "128MB",
    "max_wal_size": "2GB",
    "max_wal_senders": "3",
    "checkpoint_timeout": "15min",
    # Queue tables turn over all their rows in minutes, and the default waits for a fifth of a table.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    "timezone": "UTC",
    "lc_messages": "C",
    "datestyle": "iso, ymd",
    "default_text_search_config": "pg_catalog.english",
    # Details and parameters of a failed statement hold names and addresses.
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_lock_waits": "on",
    "log_min_duration_statement": "2s",
}

_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

# Only for a test's server, whose data nobody wants back.
_THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def render_configuration(layout: Layout, *, durable: bool) -> str:
    """The whole `postgresql.conf`."""
    folders = {
        # This one is a list of names, so a path needs quotes of its own against commas and spaces.
        "unix_socket_directories": '"{}"'.format(str(layout.sockets).replace('"', '""')),
        "log_directory": str(layout.logs),
        "port": str(PORT),
    }
    settings = folders | _COMMON | (_DURABLE if durable else _THROW_AWAY)
    return _HEADER + "".join(f"{name} = '{_quoted(value)}'\n" for name, value in settings.items())


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
