"""What databases of every schema hold: a row or two of each table, written right after the step that makes it.

A step that makes a table, or gives one a column, gets its rows here with it, as the program of that time wrote them:
then every later step is tried on them.
"""

import sqlite3

USER, WORKSPACE, JOB, VERSION, DEPLOYMENT, CONFIGURATION = (bytes([n]) * 16 for n in range(1, 7))
RUNS = [bytes([100 + n]) * 16 for n in range(3)]
DIGEST, SESSION = b"\x0a" * 32, b"\x0b" * 32
_DEFINITION = '{"job_ref": "jobs.shop.load", "entry_point": {"job_type": "batch"}, "triggers": []}'

Statement = tuple[str, tuple[object, ...]]


def _run(number: int, status: str) -> Statement:
    ended = 2_000_000 * number if status != "running" else None
    return (
        """INSERT INTO runs (id, workspace_id, job_id, job_version_id, deployment_id, configuration_id, number,
                             status, trigger, profile, created_at, updated_at, started_at, ended_at, prev_run_id)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'manual:jobs.shop.load', 'prod', 1000000, 1000000, 1000000, ?, ?)""",
        (RUNS[number - 1], WORKSPACE, JOB, VERSION, DEPLOYMENT, CONFIGURATION, number, status, ended, RUNS[0]),
    )


_ROWS: dict[int, tuple[Statement, ...]] = {
    1: (
        ("INSERT INTO organization VALUES (?, 'pears', NULL, 1, 1)", (USER,)),
        ("INSERT INTO users VALUES (?, 'ada@example.org', NULL, 1, NULL)", (USER,)),
        ("INSERT INTO workspaces VALUES (?, 'shop', 'fruit', 1, 1)", (WORKSPACE,)),
        ("INSERT INTO workspace_members VALUES (?, ?, 'owner', 1)", (WORKSPACE, USER)),
        ("INSERT INTO device_logins VALUES (?, 'BCDF-2345', ?, 1, 9, NULL)", (DIGEST, USER)),
        ("INSERT INTO refresh_tokens VALUES (?, ?, ?, 1, 9, NULL, NULL)", (DIGEST, USER, USER)),
        ("INSERT INTO machine_tokens VALUES (?, ?, ?, ?, ?, 1, 9, 5)", (JOB, USER, WORKSPACE, DIGEST, USER)),
        ("INSERT INTO audit_log VALUES (1, 1, ?, ?, 'deployment.create', 'x', NULL)", (USER, WORKSPACE)),
        ("INSERT INTO blobs VALUES ('digest', x'28')", ()),
        ("INSERT INTO deployments VALUES (?, ?, 1, 'h', 1, 9, '{}', ?, 1)", (DEPLOYMENT, WORKSPACE, USER)),
        ("INSERT INTO deployment_files VALUES (?, 'shop.py', 9, 'digest', NULL, 420)", (DEPLOYMENT,)),
        ("INSERT INTO configurations VALUES (?, ?, 1, 'h', 1, 9, '[]', ?, 1)", (CONFIGURATION, WORKSPACE, USER)),
        ("INSERT INTO configuration_files VALUES (?, 'config.toml', 9, 'd', NULL, 384, x'5ea1')", (CONFIGURATION,)),
        ("INSERT INTO jobs VALUES (?, ?, 'jobs.shop.load', ?, 5, NULL, ?, 1, 1)", (JOB, WORKSPACE, VERSION, USER)),
        ("INSERT INTO job_versions VALUES (?, ?, 1, 1, ?, 'h', 'm', ?, 1)", (VERSION, JOB, _DEFINITION, USER)),
        *(_run(number, status) for number, status in enumerate(("completed", "failed", "running"), start=1)),
        *(("INSERT INTO log_chunks VALUES (?, 0, 2, 'program', 1, x'00112233')", (run,)) for run in RUNS),
        (
            "INSERT INTO live_runs VALUES (?, 77, 4711, 'boot', 9, 'timeout', 8, 10, 2)",
            (RUNS[2],),
        ),
        ("INSERT INTO environments VALUES (?, 'request', 'key', '[]', '3.11', 1, 2)", (WORKSPACE,)),
    ),
    2: (
        ("UPDATE jobs SET paused_at = 3, schedule_override = 'every:10m', refresh_pending = 1, at_once = 4", ()),
        ("UPDATE runs SET scheduled_at = 4, skip_count = 2, outcome = 'skipped_fresh' WHERE number = 2", ()),
        ("INSERT INTO job_timers VALUES (?, 'every:10m', 1, 2)", (JOB,)),
        ("INSERT INTO completed_intervals VALUES (?, 1, 2)", (JOB,)),
        ("INSERT INTO awaited_starts VALUES (?, 'every:10m', 'prod', 1, 0, 3, ?)", (JOB, USER)),
        ("INSERT INTO manifest_deployments VALUES (?, 'm', ?)", (WORKSPACE, DEPLOYMENT)),
        ("INSERT INTO hook_tokens VALUES (?, ?, ?, ?, 1, 2, NULL)", (JOB, JOB, DIGEST, USER)),
        ("INSERT INTO run_payloads VALUES (?, '{}', x'28')", (RUNS[0],)),
    ),
    3: (
        ("INSERT INTO public_links VALUES (?, ?, ?, 1)", (JOB, VERSION, USER)),
        (
            "INSERT INTO pipeline_run_summaries VALUES (?, 'p', 'd', 'duckdb', 'completed', 't', 7, 8, 1, 2)",
            (RUNS[0],),
        ),
    ),
    4: (
        ("UPDATE device_logins SET denied_at = 4, address = '192.0.2.1', client = 'curl'", ()),
        ("INSERT INTO passwords VALUES (?, '$argon2id$', 1)", (USER,)),
        ("INSERT INTO github_accounts VALUES (42, ?, 'ada', 1)", (USER,)),
        ("INSERT INTO browser_sessions VALUES (?, ?, 'password', 1, 2)", (SESSION, USER)),
        ("INSERT INTO known_browsers VALUES (?, ?, 1)", (DIGEST, USER)),
        ("INSERT INTO attempts VALUES (?, 3, 1)", (DIGEST,)),
    ),
    6: (("UPDATE awaited_starts SET prev_run_id = ?", (RUNS[1],)),),
    7: (
        ("INSERT INTO apps VALUES (?, 'load-0a0b0c0d')", (JOB,)),
        ("UPDATE live_runs SET stop_words = 'nobody came', app_port = 8080, app_prefix = '/apps/load'", ()),
    ),
    8: (
        ("INSERT INTO app_visits VALUES (?, ?, ?, NULL, 1, 9)", (DIGEST, JOB, SESSION)),
        ("INSERT INTO app_tickets VALUES (?, ?, NULL, ?, 9)", (DIGEST, JOB, DIGEST)),
    ),
    9: (
        ("UPDATE pipeline_run_summaries SET rows_by_table = '{\"pears\": 7}', schema_changes = '{}'", ()),
        ("INSERT INTO pipelines VALUES (1, ?, 'prod', 'p', 'd', 'duckdb', 'duckdb', 1, '[]', 1)", (WORKSPACE,)),
        ("INSERT INTO pipeline_loads VALUES (1, ?, 't', 1, '{}')", (RUNS[0],)),
    ),
    10: (("INSERT INTO run_limits VALUES (?, '{}', '[]', '[]', 5, NULL)", (RUNS[2],)),),
    11: (
        ("UPDATE live_runs SET environment_key = 'key'", ()),
        ("INSERT INTO removed_runs VALUES (?, 900000000, 'completed', 3, 4)", (WORKSPACE,)),
        ("INSERT INTO removed_logs VALUES (?)", (RUNS[0],)),
        ("INSERT INTO notable_events VALUES ('failed', ?, 1)", (RUNS[1],)),
        ("INSERT INTO told VALUES ('ops', 'failed', ?, ?, 1)", (JOB, RUNS[1])),
        ("INSERT INTO notifications VALUES (1, 'ops', 'failed', 'load failed', 'pears', 1, 9, 1, 2)", ()),
    ),
    12: (("UPDATE workspaces SET access_data = 'separate'", ()),),
    13: (("INSERT INTO deployed_manifests VALUES (?, 'm', 1, 1, 'pears', '[]')", (WORKSPACE,)),),
    14: (("UPDATE runs SET answered_at = 5 WHERE number = 3", ()),),
    16: (("UPDATE runs SET environment_key = 'key' WHERE number = 1", ()),),
    17: (("UPDATE device_logins SET network = '192.0.2.0/24'", ()),),
}


def add_rows(connection: sqlite3.Connection, step: int) -> None:
    """Write what a program of this schema might have written, in one transaction."""
    connection.execute("BEGIN")
    for sql, parameters in _ROWS.get(step, ()):
        connection.execute(sql, parameters)
    connection.execute("COMMIT")
