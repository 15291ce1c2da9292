"""Promises, the text that keeps each, and the tests that must turn red without it."""

from tests.mutations.mutation import Mutation

OUTBOX = "tests/delivery/test_outbox.py"
LEASES = "tests/delivery/test_leases.py"
CLAIMING = "tests/delivery/test_claiming.py"
RUNNING = "tests/flows/test_running.py"
ACCOUNTS = "tests/accounts/test_accounts.py"
SESSIONS = "tests/entrypoints/test_session_pages.py"

MODEL = "tests/model/test_model.py::test_the_product_does_what_the_model_says"
VIRTUAL_TIME = "tests/model/test_virtual_time.py"
CRASH_POINTS = "tests/crash_points/test_crash_points.py"

RETENTION = "tests/ops/test_retention.py"
HOLDING = "tests/delivery/test_holding.py"

DELIVERY = (
    Mutation(
        "signals are dropped with their month before they are recognised",
        "switchboard/migrations/0020_retention.up.sql",
        "WHEN log IN ('signal', 'signal_outcome') THEN EXISTS (",
        "WHEN log = 'no such log' THEN EXISTS (",
        (f"{RETENTION}::test_what_work_under_way_needs_stays_until_it_is_done",),
    ),
    Mutation(
        "mail is forgotten before it is read",
        "switchboard/inbox/repository_mail.py",
        "created_at < %(before)s AND outcome IS NOT NULL",
        "created_at < %(before)s",
        (f"{RETENTION}::test_ended_runs_and_mail_that_was_read_go_by_rows",),
    ),
    Mutation(
        "a campaign that pauses goes on",
        "switchboard/delivery/repository_outbox.py",
        "campaign_id IN (SELECT campaign_id FROM held) IS TRUE AS is_held",
        "false AS is_held",
        (f"{HOLDING}::test_a_held_campaign_waits_and_nobody_else_does",),
    ),
    Mutation(
        "what is parked while a campaign is let go on is forgotten",
        "switchboard/delivery/repository_outbox.py",
        "FROM app.send_hold FOR KEY SHARE SKIP LOCKED",
        "FROM app.send_hold",
        (f"{HOLDING}::test_what_is_parked_while_the_campaign_is_let_go_is_not_forgotten",),
    ),
    Mutation(
        "what was taken of a campaign that pauses goes out all the same",
        "switchboard/delivery/sending.py",
        "if outgoing.message.campaign_id in self._held:",
        "if False:",
        (f"{HOLDING}::test_what_was_taken_and_not_begun_is_given_back",),
    ),
    Mutation(
        "a campaign uses up what of a provider's rate is kept for pages",
        "switchboard/delivery/pacing.py",
        "max(int(tokens - self.kept), 0)",
        "int(tokens)",
        ("tests/delivery/test_pacing.py::test_room_is_what_the_tokens_allow",),
    ),
    Mutation(
        "a sending API inside the network can be reached by a public name",
        "switchboard/delivery/channels/webhook/transport.py",
        "if not is_public_ip(ip):",
        "if False:",
        (
            "tests/delivery/channels/test_webhook_channel.py::"
            "test_a_private_address_gets_nothing_unless_it_is_allowed[127.0.0.1]",
        ),
    ),
    Mutation(
        "two reapers take back the same messages",
        "switchboard/delivery/repository_outbox.py",
        "ORDER BY lease_until LIMIT %s FOR UPDATE SKIP LOCKED",
        "ORDER BY lease_until LIMIT %s",
        (f"{LEASES}::test_what_one_reaper_holds_another_passes_by",),
    ),
    Mutation(
        "what went out is forgotten when it cannot be written down",
        "switchboard/delivery/outbox.py",
        "        self._outcomes.extend(watched)\n",
        "        self._outcomes = watched\n",
        (f"{CRASH_POINTS}::test_what_went_out_is_known_although_it_cannot_be_written_down",),
    ),
    Mutation(
        "each try has a Message-ID of its own",
        "switchboard/delivery/letters.py",
        "message_id=message.header_id,",
        'message_id=f"<{id(message)}@x.example>",',
        (
            f"{LEASES}::test_after_a_crash_between_sending_and_writing_it_down_the_same_message_id_goes_again",
            f"{OUTBOX}::test_in_doubt_an_awaited_message_goes_again_with_its_message_id",
        ),
    ),
    Mutation(
        "opt-outs are not looked at when a message goes",
        "switchboard/delivery/gate.py",
        "    _refuse_opted_out,\n",
        "",
        (f"{CLAIMING}::test_an_opt_out_after_queueing_keeps_the_message_back", MODEL),
    ),
    Mutation(
        "quiet hours are not looked at when a message goes",
        "switchboard/delivery/gate.py",
        "    _wait_for_quiet_hours,\n",
        "",
        (f"{VIRTUAL_TIME}::test_advertising_rests_until_the_quiet_is_over", MODEL),
    ),
    Mutation(
        "the frequency cap is not looked at when a message goes",
        "switchboard/delivery/gate.py",
        "    _wait_for_cap,\n",
        "",
        (f"{CLAIMING}::test_the_cap_counts_over_all_flows_also_within_one_batch", MODEL),
    ),
    Mutation(
        "whoever was too slow writes down an outcome",
        "switchboard/delivery/repository_settling.py",
        "ON o.message_id = new.message_id AND o.token = new.token",
        "ON o.message_id = new.message_id",
        (
            f"{LEASES}::test_a_late_writer_changes_nothing",
            f"{LEASES}::test_of_two_tries_of_a_message_in_one_batch_the_last_counts",
        ),
        is_quick=True,
    ),
    Mutation(
        "whoever was too slow writes down an outcome while the message is being taken anew",
        "switchboard/delivery/repository_settling.py",
        "ORDER BY o.message_id FOR UPDATE OF o",
        "ORDER BY o.message_id",
        (f"{LEASES}::test_a_message_that_is_just_being_taken_anew_is_waited_for_and_left_alone",),
    ),
    Mutation(
        "a lease is taken back before it has run out",
        "switchboard/delivery/repository_outbox.py",
        "WHERE lease_until IS NOT NULL AND lease_until < app.now()",
        "WHERE lease_until IS NOT NULL",
        (f"{LEASES}::test_a_lease_that_has_not_run_out_is_left_alone",),
    ),
    Mutation(
        "two processes take the same messages",
        "switchboard/delivery/repository_outbox.py",
        "FOR UPDATE SKIP LOCKED",
        "",
        (f"{OUTBOX}::test_two_processes_send_every_transactional_message_once",),
    ),
    Mutation(
        "nothing keeps a step from having two messages",
        "switchboard/migrations/0005_delivery.up.sql",
        "CREATE UNIQUE INDEX message_of_step",
        "CREATE INDEX message_of_step",
        ("tests/delivery/test_queueing.py::test_a_step_writes_its_message_once_however_often_it_is_tried",),
    ),
    Mutation(
        "suppressions are not looked at when a message goes",
        "switchboard/delivery/gate.py",
        "(\n    _refuse_suppressed,\n",
        "(\n",
        (f"{CLAIMING}::test_nothing_ever_goes_to_a_suppressed_address",),
        is_quick=True,
    ),
    Mutation(
        "the frequency cap is decided by two processes at once",
        "switchboard/delivery/repository.py",
        "NOT pg_try_advisory_xact_lock(hashtextextended('delivery.cap:' || contact_id::text, 0)) END",
        "false END",
        (f"{CLAIMING}::test_a_contact_on_whom_another_process_is_deciding_waits",),
    ),
    Mutation(
        "what is just going out does not count against the frequency cap",
        "switchboard/delivery/repository.py",
        "AND state = 'queued' AND purpose = 'marketing'",
        "AND false",
        (f"{CLAIMING}::test_what_is_going_out_counts_against_the_cap",),
    ),
    Mutation(
        "advertising is sent again though it may have arrived",
        "switchboard/delivery/completing.py",
        'frozenset({"page", "reply", "transactional"})',
        'frozenset({"page", "reply", "transactional", "marketing"})',
        (f"{OUTBOX}::test_in_doubt_advertising_is_shown_and_not_sent_again",),
    ),
    Mutation(
        "a stop leaves queued messages in the outbox",
        "switchboard/delivery/queueing.py",
        "dropped = await repository_outbox.delete_queued_of_runs(tx, run_ids)",
        "dropped: list[UUID] = []",
        (f"{RUNNING}::test_a_stop_ends_the_run_and_drops_what_it_had_queued",),
    ),
    Mutation(
        "a stop is forgotten by a message that is being tried",
        "switchboard/delivery/queueing.py",
        "    await repository_outbox.mark_stopped(tx, run_ids, reason)\n",
        "",
        (f"{OUTBOX}::test_a_stop_during_a_try_keeps_the_message_from_being_tried_again",),
    ),
)

FLOWS = (
    Mutation(
        "a position of a run is written over a newer one",
        "switchboard/flows/repository_runs.py",
        " AND r.revision < new.revision",
        "",
        ("tests/flows/test_fences.py::test_a_position_that_is_no_newer_changes_nothing",),
    ),
    Mutation(
        "a subject may be in a flow twice",
        "switchboard/migrations/0006_flows.up.sql",
        "CREATE UNIQUE INDEX run_by_subject",
        "CREATE INDEX run_by_subject",
        (f"{RUNNING}::test_four_processes_let_one_subject_in_once",),
    ),
    Mutation(
        "the last message of a run that has ended is not called back",
        "switchboard/flows/triggers.py",
        "        await _silence(tx, ended, versions, heard, knowledge)\n",
        "",
        (f"{RUNNING}::test_an_answer_stops_a_last_message_that_has_not_gone_out_though_its_run_has_ended", MODEL),
    ),
    Mutation(
        "two loops hand out the same waiting leads",
        "switchboard/routing/repository.py",
        "LIMIT %s FOR UPDATE SKIP LOCKED",
        "LIMIT %s",
        ("tests/routing/test_waiting.py::test_who_waits_and_is_held_by_one_loop_is_passed_by_by_another",),
    ),
    Mutation(
        "a job is added again although there is one of its key",
        "switchboard/kernel/jobs.py",
        "(new_id(), tx.workspace_id, kind, key, ",
        "(new_id(), tx.workspace_id, kind, None, ",
        ("tests/kernel/test_queues.py::test_a_key_is_one_job",),
    ),
    Mutation(
        "two steppers take the same runs",
        "switchboard/flows/repository_cohorts.py",
        "ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED",
        "ORDER BY due_at LIMIT %s",
        ("tests/flows/test_trails.py::test_what_one_stepper_holds_another_passes_by",),
    ),
    Mutation(
        "who was in a flow enters again at once",
        "switchboard/flows/repository_runs.py",
        "WHERE e.entered_at <= app.now() - %(reentry)s::interval",
        "",
        (f"{RUNNING}::test_nobody_enters_again_before_the_flow_allows_it",),
    ),
    Mutation(
        "two processes hand out the places of a rota at once",
        "switchboard/routing/repository_rotas.py",
        "ORDER BY user_id, rota_id FOR UPDATE",
        "ORDER BY user_id, rota_id",
        (
            "tests/routing/test_fairness.py::test_ten_batches_through_four_connections_differ_by_at_most_one",
            "tests/routing/test_fairness.py::test_capacity_holds_in_two_rotas_that_share_their_people",
        ),
    ),
    Mutation(
        "one job runs at two workers",
        "switchboard/kernel/job_claims.py",
        "LIMIT %(most)s FOR UPDATE SKIP LOCKED",
        "LIMIT %(most)s",
        ("tests/kernel/test_queues.py::test_a_job_runs_once_and_leaves_the_table",),
    ),
)

ACCESS = (
    Mutation(
        "forms are taken without the session's token",
        "switchboard/accounts/web.py",
        "            _require_csrf_token(request, form, session)\n",
        "            pass\n",
        (f"{SESSIONS}::test_a_form_without_the_sessions_token_changes_nothing",),
        is_quick=True,
    ),
    Mutation(
        "forms of other sites are taken",
        "switchboard/accounts/web.py",
        'if site in {"cross-site", "same-site"} or (',
        "if False and (",
        (f"{SESSIONS}::test_a_form_from_another_site_is_refused",),
    ),
    Mutation(
        "every role may do everything",
        "switchboard/accounts/models.py",
        "if ROLES.index(self.role) > ROLES.index(role):",
        "if role not in ROLES:",
        (f"{ACCOUNTS}::test_an_agent_cannot_add_members_and_nothing_changes",),
        is_quick=True,
    ),
    Mutation(
        "sessions never end",
        "switchboard/accounts/repository.py",
        " AND s.expires_at > app.now()",
        "",
        (f"{ACCOUNTS}::test_a_session_ends_when_its_time_is_up",),
    ),
    Mutation(
        "passwords may be guessed without end",
        "switchboard/kernel/throttle.py",
        "WHERE greatest(t.full_again_at, app.now()) + %(every)s <= app.now() + %(every)s * %(burst)s",
        "",
        (f"{ACCOUNTS}::test_the_eleventh_try_is_throttled_even_with_the_right_password",),
    ),
    Mutation(
        "row security lets every workspace see the contacts of all",
        "switchboard/migrations/0003_people.up.sql",
        "CREATE POLICY tenant ON app.contact USING (workspace_id = app.workspace_id());",
        "CREATE POLICY tenant ON app.contact USING (true);",
        (
            "tests/security/test_tenancy.py::test_nothing_of_another_workspace_is_read_changed_or_deleted",
            "tests/security/test_tenancy.py::test_every_policy_keeps_to_the_workspace",
        ),
        is_quick=True,
    ),
    Mutation(
        "the owner of the tables is not held to row security",
        "switchboard/migrations/0003_people.up.sql",
        "ALTER TABLE app.contact FORCE ROW LEVEL SECURITY;",
        "",
        ("tests/security/test_tenancy.py::test_every_table_is_secured_or_says_why_not",),
    ),
)

INTAKE = (
    Mutation(
        "two processes recognise the same signals",
        "switchboard/intake/repository.py",
        "due_at LIMIT %s FOR UPDATE SKIP LOCKED",
        "due_at LIMIT %s",
        ("tests/intake/test_recognition.py::test_one_person_many_times_at_two_processes_is_one_contact_with_one_lead",),
    ),
    Mutation(
        "nothing keeps an address from having two contacts",
        "switchboard/migrations/0003_people.up.sql",
        "CREATE UNIQUE INDEX identity_key",
        "CREATE INDEX identity_key",
        ("tests/people/test_recognition.py::test_a_thousand_sightings_of_one_person_by_two_processes_are_one_contact",),
    ),
    Mutation(
        "the same mail is kept as often as it comes",
        "switchboard/migrations/0008_inbox.up.sql",
        "CREATE UNIQUE INDEX inbound_mail_once",
        "CREATE INDEX inbound_mail_once",
        ("tests/inbox/test_webhook.py::test_a_repeat_is_accepted_and_kept_once",),
    ),
    Mutation(
        "the same signal is accepted again and again",
        "switchboard/intake/repository_accepting.py",
        "    WHERE known.expires_at <= app.now()\n",
        "",
        ("tests/intake/test_batcher.py::test_the_same_signal_fifty_times_at_two_processes_is_one",),
        is_quick=True,
    ),
    Mutation(
        "a key stays taken for ever",
        "switchboard/intake/repository_accepting.py",
        "    WHERE known.expires_at <= app.now()\n",
        "    WHERE false\n",
        ("tests/intake/test_batcher.py::test_a_key_is_free_again_after_its_window",),
    ),
    Mutation(
        "signals are acknowledged without being stored",
        "switchboard/intake/batcher.py",
        "stored = await self._store(batch)",
        "stored = _Stored({}, {}, is_all_new=True)",
        (
            "tests/intake/test_intake_http.py::test_one_object_is_stored_before_the_answer",
            "tests/intake/test_intake_http.py::test_a_failing_commit_is_never_acknowledged",
        ),
    ),
    Mutation(
        "an address may belong to two contacts",
        "switchboard/people/repository.py",
        "ON CONFLICT (workspace_id, kind, value) WHERE NOT is_shared DO NOTHING",
        "ON CONFLICT (id) DO NOTHING",
        ("tests/people/test_recognition.py::test_a_thousand_sightings_of_one_person_by_two_processes_are_one_contact",),
    ),
    Mutation(
        "two batches claim addresses in different orders",
        "switchboard/people/repository.py",
        "    ordered = sorted(claims)\n",
        "    ordered = list(claims)\n",
        (
            "tests/people/test_recognition.py"
            "::test_two_hundred_people_in_any_order_by_four_connections_never_wait_in_a_ring",
        ),
    ),
    Mutation(
        "a contact gets a second open lead",
        "switchboard/migrations/0007_leads.up.sql",
        "CREATE UNIQUE INDEX lead_open ON app.lead (workspace_id, contact_id) WHERE closed_at IS NULL;",
        "CREATE UNIQUE INDEX lead_open ON app.lead (workspace_id, contact_id, id) WHERE closed_at IS NULL;",
        ("tests/leads/test_opening.py::test_fifty_batches_at_once_open_one_lead_a_contact",),
    ),
    Mutation(
        "the answer of a machine counts as a person's",
        "switchboard/inbox/reading.py",
        "if parsed.is_automatic or not mail.mail_from:",
        "if not mail.mail_from:",
        ("tests/inbox/test_reading.py::test_an_answer_by_a_machine_is_kept_and_changes_nothing",),
    ),
    Mutation(
        "mail is taken from whoever posts it",
        "switchboard/inbox/webhook.py",
        "if not any(hmac.compare_digest(one, expected) for one in given):",
        "if not given:",
        (
            "tests/inbox/test_webhook.py::test_a_wrong_signature_keeps_nothing",
            "tests/inbox/test_webhook.py::test_a_body_that_was_changed_on_the_way_is_refused",
        ),
    ),
    Mutation(
        "anybody can end anybody's mail",
        "switchboard/delivery/unsubscribing.py",
        "if len(raw) != _TOKEN_BYTES or not hmac.compare_digest(_sign(secret, named), signature):",
        "if len(raw) != _TOKEN_BYTES:",
        ("tests/delivery/test_pages.py::test_a_link_that_was_not_made_here_is_told_like_a_missing_page",),
    ),
    Mutation(
        "exports hold what a spreadsheet would execute",
        "switchboard/kernel/spreadsheets.py",
        'return f"\'{text}" if is_dangerous else text',
        "return text",
        ("tests/kernel/test_spreadsheets.py::test_what_could_be_a_formula_gets_an_apostrophe",),
    ),
)

OUTAGE = (
    Mutation(
        "a kept signal comes in again once its key is forgotten",
        "switchboard/intake/repository_kept.py",
        """    WHERE NOT EXISTS (SELECT FROM app.signal s WHERE s.id = new.id
                      AND s.received_at >= new.received_at - interval '1 day')
""",
        "",
        (
            "tests/intake/test_standby.py"
            "::test_draining_again_after_a_crash_before_the_file_was_removed_brings_nothing_twice",
        ),
    ),
    Mutation(
        "signals are acknowledged without being kept",
        "switchboard/intake/reserve.py",
        "                await self.place.keep(fresh)\n",
        "                pass\n",
        ("tests/intake/test_standby.py::test_what_cannot_be_committed_is_kept_and_comes_in_as_received",),
    ),
    Mutation(
        "a segment is removed without a commit",
        "switchboard/intake/draining.py",
        "        refused += await bring_in(database, batch)\n",
        "",
        (
            "tests/intake/test_standby.py::test_a_segment_stays_until_all_of_it_is_committed",
            "tests/intake/test_spool_kills.py::test_what_is_killed_while_bringing_in_brings_it_in_once",
        ),
    ),
    Mutation(
        "a segment is drained under its writer",
        "switchboard/intake/spool_files.py",
        "            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "",
        (
            "tests/intake/test_spool_files.py"
            "::test_a_segment_under_a_living_writer_is_left_alone_and_has_no_name_before_it_is_locked",
        ),
    ),
    Mutation(
        "a damaged record is taken for a whole one",
        "switchboard/intake/spool_files.py",
        "            if zlib.crc32(record) == checksum:\n",
        "            if record or checksum:\n",
        (
            "tests/intake/test_spool_files.py"
            "::test_a_damaged_record_is_left_out_and_its_file_kept_for_somebody_to_look_at",
        ),
    ),
    Mutation(
        "half a batch stays on a full disk",
        "switchboard/intake/spool_files.py",
        "            os.ftruncate(self._descriptor, self.bytes)\n",
        "",
        ("tests/intake/test_spool_files.py::test_a_disk_that_fills_up_in_the_middle_of_a_batch_keeps_nothing_of_it",),
    ),
    Mutation(
        "an entry of the stream is forgotten before its commit",
        "switchboard/intake/stream_loop.py",
        "await bring_in(self._database, signals) if signals else []",
        "[]",
        ("tests/intake/test_stream.py::test_nothing_is_forgotten_while_postgres_is_away",),
    ),
)

MUTATIONS = (*DELIVERY, *FLOWS, *ACCESS, *INTAKE, *OUTAGE)
