"""What the gate looks at, read for a batch of one workspace's messages in a bounded number of statements."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from switchboard.accounts.models import Workspace
from switchboard.accounts.service import get_workspace
from switchboard.delivery import repository, repository_suppressions
from switchboard.delivery.gate import ALLOWED, FrequencyCap, GateFacts, Sent, Suppression, Verdict, decide
from switchboard.delivery.models import Message
from switchboard.kernel.db import Tx
from switchboard.kernel.localtime import QuietHours
from switchboard.people import service as people
from switchboard.people.models import Recipient


@dataclass(slots=True)
class GateReader:
    """The facts of a batch. `sent` grows with each message of the batch that is let through."""

    now: datetime
    workspace: Workspace
    contacts: dict[UUID, Recipient]
    consents: Mapping[tuple[UUID, str], bool]
    suppressions: dict[UUID, list[Suppression]]
    by_address: dict[str, Suppression]
    quiet: Sequence[QuietHours]
    written_at: Mapping[UUID, datetime] = field(default_factory=dict)
    sent: dict[UUID, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    asked: frozenset[str] = frozenset()
    _caps: dict[str, Sequence[FrequencyCap]] = field(default_factory=dict)
    _rooms: dict[str, bool] = field(default_factory=dict, init=False)

    @classmethod
    async def read(cls, tx: Tx, messages: Sequence[Message], asked: Collection[str]) -> Self:
        """Read all but the frequency caps; of the contacts' addresses and fields what letters have `asked` for."""
        contact_ids = [message.contact_id for message in messages if message.contact_id is not None]
        workspace = await tx.remember("workspace", get_workspace)
        quiet = _quiet_hours_of(workspace)
        # Whose clock it is may be guessed from their number.
        asked = frozenset({*asked, "phone"} if quiet else asked)
        reader = cls(
            now=await tx.now(),
            workspace=workspace,
            contacts=await people.load_recipients(tx, contact_ids, asked),
            consents={},
            suppressions=defaultdict(list),
            by_address={},
            quiet=quiet,
            asked=asked,
        )
        await reader._read_objections(tx, messages)
        await reader._read_last_written(tx, messages)
        return reader

    async def _read_objections(self, tx: Tx, messages: Sequence[Message]) -> None:
        """Read who is on the list, by any address of the contact or by that of the message, and who refused."""
        # A colleague who is paged is no recipient of advertising: their own address is not asked about.
        recipients = [message for message in messages if message.user_id is None]
        if not recipients:
            return
        found = await repository_suppressions.find_objections(
            tx,
            [message.contact_id for message in recipients if message.contact_id is not None],
            [(message.channel, message.address) for message in recipients],
            [(one.contact_id, one.channel) for one in recipients if one.contact_id and _asks_for_consent(one)],
        )
        self.consents = found.consents
        for contact_id, suppression in found.suppressions:
            if contact_id is None:
                self.by_address[suppression.value] = suppression
            else:
                self.suppressions[contact_id].append(suppression)

    async def read_cap_times(self, tx: Tx, contact_ids: Collection[UUID]) -> None:
        """Read when these contacts were sent marketing; the caller keeps others from letting more through.

        An id is given for each message, so that it is known whose messages are several.
        """
        if not contact_ids:
            return
        window = max(cap.window for cap in self.workspace_caps)
        for contact_id, at, channel in await repository.find_cap_times(tx, contact_ids, window):
            self.sent[contact_id].append(Sent(at, channel))
        # By numbers, which are hashed much faster than ids are.
        is_each_alone = len({contact_id.int for contact_id in contact_ids}) == len(contact_ids)
        smallest = min(cap.messages for cap in self.workspace_caps)
        full = [contact_id for contact_id, sent in self.sent.items() if len(sent) >= smallest]
        await self._read_numbers(tx, full if is_each_alone else contact_ids)

    async def _read_numbers(self, tx: Tx, contact_ids: Collection[UUID]) -> None:
        """Read the numbers of those who may have to wait for a cap: until when is told by their clock."""
        if contact_ids and "phone" not in self.asked:
            self.contacts |= await people.load_recipients(tx, contact_ids, {*self.asked, "phone"})

    async def _read_last_written(self, tx: Tx, messages: Sequence[Message]) -> None:
        """Read when those wrote who are answered although they opted out: mostly nobody."""
        contact_ids = {
            message.contact_id
            for message in messages
            if message.contact_id is not None and message.purpose == "reply" and self._has_objection(message)
        }
        if contact_ids:
            self.written_at = await repository.find_last_written(tx, contact_ids)

    def _has_objection(self, message: Message) -> bool:
        contact = self.contacts.get(message.contact_id) if message.contact_id else None
        has_opted_out = contact is not None and contact.opted_out_at is not None
        return has_opted_out or bool(self._suppressions_of(message))

    def note_sent(self, message: Message) -> None:
        """Count a message that was let through, for the next one of the batch to the same contact."""
        if message.contact_id is not None and message.purpose == "marketing":
            self.sent[message.contact_id].append(Sent(self.now, message.channel))

    def decide_on(self, message: Message) -> Verdict:
        """The gate's verdict on one message."""
        # Mostly no rule has anything to look at, and to put their facts together costs more than all of them.
        return ALLOWED if self._has_nothing_to_decide(message) else decide(self.facts_of(message))

    def _has_nothing_to_decide(self, message: Message) -> bool:
        """Whether every rule of the gate would find that what it asks about is not there."""
        contact = self.contacts.get(message.contact_id) if message.contact_id else None
        if message.not_after is not None or (contact is not None and contact.opted_out_at is not None):
            return False
        if self._suppressions_of(message):
            return False
        if message.purpose != "marketing":
            return True
        if self.quiet or self.workspace.is_consent_required or not self._has_room_for_first(message.channel):
            return False
        return self._consent_to(message) is not False and not (contact is not None and self.sent.get(contact.id))

    def _has_room_for_first(self, channel: str) -> bool:
        """Whether every cap lets a contact have a message who had none."""
        room = self._rooms.get(channel)
        if room is None:
            room = self._rooms[channel] = all(cap.messages > 0 for cap in self._caps_on(channel))
        return room

    def facts_of(self, message: Message) -> GateFacts:
        """Everything the gate looks at for one message."""
        contact = self.contacts.get(message.contact_id) if message.contact_id else None
        contact_id = contact.id if contact else None
        return GateFacts(
            now=self.now,
            purpose=message.purpose,
            workspace_zone=self.workspace.time_zone,
            is_urgent=message.is_urgent,
            suppressions=self._suppressions_of(message),
            opted_out_at=contact.opted_out_at if contact else None,
            written_at=self.written_at.get(contact_id) if contact_id and self.written_at else None,
            is_let_through=message.sent_anyway_by is not None,
            consent=self._consent_to(message),
            is_consent_required=self.workspace.is_consent_required,
            not_after=message.not_after,
            when_late=message.when_late,
            quiet=self.quiet if contact else (),
            contact_zone=contact.time_zone if contact else None,
            phone_e164=(contact.phone or None) if contact else None,
            country=contact.country if contact else None,
            caps=self._caps_on(message.channel) if contact and message.purpose == "marketing" else (),
            sent=self.sent.get(contact_id, ()) if contact_id else (),
        )

    def _consent_to(self, message: Message) -> bool | None:
        # Mostly nobody said anything, was suppressed or wrote; asking an empty mapping costs as much as a full one.
        if not self.consents or message.contact_id is None or not _asks_for_consent(message):
            return None
        return self.consents.get((message.contact_id, message.channel))

    @property
    def workspace_caps(self) -> Sequence[FrequencyCap]:
        """The cap over all channels, and those of single ones."""
        own = self.workspace.channel_caps
        return (
            FrequencyCap(self.workspace.cap_messages, timedelta(days=self.workspace.cap_days)),
            *(FrequencyCap(cap.messages, timedelta(days=cap.days), channel=name) for name, cap in own.items()),
        )

    def _caps_on(self, channel: str) -> Sequence[FrequencyCap]:
        if channel not in self._caps:
            self._caps[channel] = tuple(cap for cap in self.workspace_caps if cap.counts(channel))
        return self._caps[channel]

    def _suppressions_of(self, message: Message) -> Sequence[Suppression]:
        if message.user_id is not None or not (self.suppressions or self.by_address):
            return ()
        found = self.suppressions.get(message.contact_id, ()) if message.contact_id else ()
        own = self.by_address.get(message.address)
        return found if own is None or own in found else (own, *found)


def _quiet_hours_of(workspace: Workspace) -> Sequence[QuietHours]:
    # Equal times mean that the workspace keeps none; to the clock they would be a whole day.
    if workspace.quiet_start == workspace.quiet_end:
        return ()
    return (QuietHours(workspace.quiet_start, workspace.quiet_end),)


def _asks_for_consent(message: Message) -> bool:
    """What people tick or leave open on a form is about advertising; nobody is asked about anything else."""
    return message.purpose == "marketing"
