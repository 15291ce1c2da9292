"""Why somebody of a rota is on or not, and until when. A rota without any shift is always on.

A shift belongs to the local day on which it starts: on a holiday none starts, and one that started the evening
before goes on to its end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from uuid import UUID

from switchboard.kernel import shifts as plans
from switchboard.kernel.localtime import ONE_DAY, to_local
from switchboard.kernel.shifts import ShiftOverride, WeeklyShift, is_on_shift, next_shift_change
from switchboard.routing.calendars import country_holidays
from switchboard.routing.models import Holiday, Override, Shift

ONE_WEEK = timedelta(days=7)
ALWAYS = tuple(WeeklyShift(weekday, time(), time()) for weekday in range(1, 8))


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether somebody is on; when not, `code` is `off_shift`, `holiday` or `away`, and `text` the words."""

    is_on: bool
    code: str
    text: str


@dataclass(frozen=True)
class Schedule:
    """The hours of one rota in its zone, for questions about `now` and the weeks round it."""

    time_zone: str
    now: datetime
    shifts: Sequence[Shift] = ()
    overrides: Sequence[Override] = ()
    own_holidays: Sequence[Holiday] = ()
    holiday_country: str | None = None

    @cached_property
    def holidays(self) -> dict[date, str]:
        """Names by day, this year's and its neighbours'; the rota's own names go before the country's."""
        days: dict[date, str] = {}
        if self.holiday_country:
            for year in range(self.now.year - 1, self.now.year + 2):
                days |= country_holidays(self.holiday_country, year)
        return days | {holiday.day: holiday.name for holiday in self.own_holidays}

    def presence(self, user_id: UUID) -> Presence:
        """Whether the person is on now, and the reason in words with times of the rota's zone."""
        override = self._override(user_id)
        if override is not None:
            return self._overridden(override)
        plan = self._plan(user_id)
        if is_on_shift(plan, self.now):
            return Presence(True, "on", "on shift" if self.shifts else "always on")
        if is_on_shift(replace(plan, holidays=()), self.now):
            return Presence(False, "holiday", f"holiday: {self._holiday_name()}")
        return Presence(False, "off_shift", self._off_shift(plan))

    def next_change(self, user_ids: Iterable[UUID]) -> datetime | None:
        """When the first of them comes on or goes off; None when nothing changes for weeks."""
        changes = [next_shift_change(self._plan(user_id), self.now) for user_id in user_ids]
        return min((change[0] for change in changes if change), default=None)

    def words(self, instant: datetime) -> str:
        """`Mon 09:00` within a week, else with its date."""
        local = to_local(instant, self.time_zone)
        if instant - self.now < ONE_WEEK:
            return f"{local:%a %H:%M}"
        return f"{local:%a} {local.day} {local:%b %H:%M}"

    def _plan(self, user_id: UUID) -> plans.Roster:
        weekly = [WeeklyShift(s.weekday, s.starts, s.ends) for s in self.shifts if s.user_id == user_id]
        given = sorted((o for o in self.overrides if o.user_id == user_id), key=lambda override: override.id)
        overrides = [ShiftOverride(override.starts_at, override.ends_at, override.is_on) for override in given]
        return plans.Roster(self.time_zone, weekly if self.shifts else ALWAYS, overrides, self.holidays)

    def _override(self, user_id: UUID) -> Override | None:
        holding = [o for o in self.overrides if o.user_id == user_id and o.starts_at <= self.now < o.ends_at]
        return max(holding, key=lambda override: override.id, default=None)

    def _overridden(self, override: Override) -> Presence:
        until = self.words(override.ends_at)
        reason = f": {override.reason}" if override.reason else ""
        if override.is_on:
            return Presence(True, "on", f"stands in until {until}{reason}")
        return Presence(False, "away", f"away until {until}{reason}")

    def _holiday_name(self) -> str:
        today = to_local(self.now, self.time_zone).date()
        # A night shift that a holiday took away would still run in the morning after it.
        return self.holidays.get(today) or self.holidays[today - ONE_DAY]

    def _off_shift(self, plan: plans.Roster) -> str:
        change = next_shift_change(plan, self.now)
        if change is None:
            return "off shift for two months or more" if plan.shifts else "has no shifts"
        return f"off shift until {self.words(change[0])}"
