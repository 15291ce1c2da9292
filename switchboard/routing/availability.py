"""Who is on at an instant, and until when: shifts, overrides and holidays of one rota, resolved per occurrence.

A rota without any shift is always on. A shift belongs to the local day on which it starts: on a holiday none starts,
and one that started the evening before goes on to its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from switchboard.kernel.localtime import ONE_DAY, first_instant, to_local
from switchboard.routing.calendars import country_holidays
from switchboard.routing.models import Holiday, Override, Shift

DAYS_AHEAD = 15
ONE_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether somebody is on; when not, `code` is `off_shift`, `holiday` or `away`, and `text` the words."""

    is_on: bool
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One shift on one day, as instants; the end is not part of it."""

    day: date
    starts_at: datetime
    ends_at: datetime

    def holds(self, at: datetime) -> bool:
        """Whether `at` is in it."""
        return self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class Schedule:
    """The hours of one rota in its zone."""

    time_zone: str
    shifts: Sequence[Shift] = ()
    overrides: Sequence[Override] = ()
    holidays: Sequence[Holiday] = ()
    holiday_country: str | None = None

    def presence(self, user_id: UUID, at: datetime) -> Presence:
        """Whether the person is on at `at`, and the reason in words with times of the rota's zone."""
        override = self._override(user_id, at)
        if override is not None:
            return self._overridden(override, at)
        day = self._day_of_duty(user_id, at)
        if day is None:
            return Presence(False, "off_shift", self._off_shift(user_id, at))
        if holiday := self.holiday(day):
            return Presence(False, "holiday", f"holiday: {holiday}")
        return Presence(True, "on", "on shift" if self.shifts else "always on")

    def is_on(self, user_id: UUID, at: datetime) -> bool:
        """Whether the person is on at `at`."""
        override = self._override(user_id, at)
        if override is not None:
            return override.is_on
        day = self._day_of_duty(user_id, at)
        return day is not None and self.holiday(day) is None

    def next_change(self, user_ids: Sequence[UUID], after: datetime) -> datetime | None:
        """When the set of those who are on first differs from that at `after`; None within two weeks."""
        present = [self.is_on(user_id, after) for user_id in user_ids]
        for instant in self._edges(user_ids, after):
            if [self.is_on(user_id, instant) for user_id in user_ids] != present:
                return instant
        return None

    def holiday(self, day: date) -> str | None:
        """The name of the holiday on that local day, the rota's own before the country's."""
        for holiday in self.holidays:
            if holiday.day == day:
                return holiday.name
        return country_holidays(self.holiday_country, day.year).get(day) if self.holiday_country else None

    def words(self, instant: datetime, seen_from: datetime) -> str:
        """`Mon 09:00` within a week, else with its date."""
        local = to_local(instant, self.time_zone)
        if instant - seen_from < ONE_WEEK:
            return f"{local:%a %H:%M}"
        return f"{local:%a} {local.day} {local:%b %H:%M}"

    def _override(self, user_id: UUID, at: datetime) -> Override | None:
        holding = [o for o in self.overrides if o.user_id == user_id and o.starts_at <= at < o.ends_at]
        return max(holding, key=lambda override: override.id, default=None)

    def _overridden(self, override: Override, at: datetime) -> Presence:
        until = self.words(override.ends_at, at)
        reason = f": {override.reason}" if override.reason else ""
        if override.is_on:
            return Presence(True, "on", f"stands in until {until}{reason}")
        return Presence(False, "away", f"away until {until}{reason}")

    def _day_of_duty(self, user_id: UUID, at: datetime) -> date | None:
        today = to_local(at, self.time_zone).date()
        if not self.shifts:
            return today
        held = [found.day for found in self._occurrences(user_id, today - ONE_DAY, 2) if found.holds(at)]
        # Of two shifts at once the one on a working day counts.
        return min(held, key=lambda day: self.holiday(day) is not None, default=None)

    def _off_shift(self, user_id: UUID, at: datetime) -> str:
        if not any(shift.user_id == user_id for shift in self.shifts):
            return "has no shifts"
        change = self.next_change([user_id], at)
        return f"off shift until {self.words(change, at)}" if change else "off shift for two weeks or more"

    def _occurrences(self, user_id: UUID, first: date, days: int) -> Iterator[Occurrence]:
        own = [shift for shift in self.shifts if shift.user_id == user_id]
        for offset in range(days):
            day = first + timedelta(days=offset)
            for shift in own:
                if shift.weekday == day.isoweekday():
                    yield self._occurrence(shift, day)

    def _occurrence(self, shift: Shift, day: date) -> Occurrence:
        # Both edges take the first reading of a repeated hour, so two shifts that meet leave no gap and no overlap.
        last = day if shift.ends > shift.starts else day + ONE_DAY
        starts_at = first_instant(day, shift.starts, self.time_zone)
        return Occurrence(day, starts_at, first_instant(last, shift.ends, self.time_zone))

    def _edges(self, user_ids: Sequence[UUID], after: datetime) -> list[datetime]:
        today = to_local(after, self.time_zone).date()
        edges = {edge for o in self.overrides if o.user_id in user_ids for edge in (o.starts_at, o.ends_at)}
        if not self.shifts:
            days = [today + timedelta(days=offset) for offset in range(DAYS_AHEAD)]
            edges |= {first_instant(day, _MIDNIGHT, self.time_zone) for day in days}
        for user_id in user_ids:
            for found in self._occurrences(user_id, today - ONE_DAY, DAYS_AHEAD + 1):
                edges |= {found.starts_at, found.ends_at}
        return sorted(edge for edge in edges if edge > after)


_MIDNIGHT = datetime.min.time()
