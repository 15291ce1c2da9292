"""What the accounts room speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Literal
from uuid import UUID

from switchboard.accounts.errors import RoleForbidsError
from switchboard.kernel.events import Actor

Role = Literal["owner", "admin", "agent", "viewer"]

# Each role may do all that the roles after it may.
ROLES: tuple[Role, ...] = ("owner", "admin", "agent", "viewer")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a signed-in member, the command line, or Switchboard itself. Every service takes one."""

    workspace_id: UUID
    role: Role
    user_id: UUID | None = None
    name: str = "Switchboard"

    @property
    def actor(self) -> Actor:
        """The caller as events name them."""
        return Actor("system") if self.user_id is None else Actor("user", self.user_id)

    def require(self, role: Role) -> None:
        """Raise RoleForbidsError unless the caller's role is `role` or stronger."""
        if ROLES.index(self.role) > ROLES.index(role):
            raise RoleForbidsError(needed=role, has=self.role)

    def may(self, role: Role) -> bool:
        """Whether the caller's role is `role` or stronger; templates hide what is refused."""
        return ROLES.index(self.role) <= ROLES.index(role)


def system_caller(workspace_id: UUID) -> Caller:
    """The caller of loops and of the command line on the server: it may do everything in one workspace."""
    return Caller(workspace_id, "owner")


@dataclass(frozen=True, slots=True)
class User:
    """A person who can sign in."""

    id: UUID
    email: str
    name: str
    password_hash: str
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in as the server knows it."""

    user_id: UUID
    user_name: str
    user_email: str
    active_workspace_id: UUID
    csrf_token: str


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a workspace."""

    user_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime


# What messages go over; each may have a cap of its own.
CHANNELS = ("email",)
MOST_CAP_MESSAGES = 100
MOST_CAP_DAYS = 365


@dataclass(frozen=True, slots=True)
class ChannelCap:
    """The most marketing messages one contact gets over one channel in so many days."""

    messages: int
    days: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant and the defaults its other rooms read.

    `default_region` is an ISO 3166 country for phone numbers without a prefix; `cap_messages` is the most marketing
    messages one contact gets in `cap_days` over all channels, and `channel_caps` has those that single channels have
    besides, by the channel's name. `is_consent_required` keeps marketing from whoever never agreed to it; without it,
    from whoever refused.
    """

    id: UUID
    name: str
    time_zone: str
    default_region: str
    mail_from: str
    first_response_minutes: int
    quiet_start: time
    quiet_end: time
    cap_messages: int
    cap_days: int
    is_consent_required: bool
    supervisor_id: UUID | None
    channel_caps: Mapping[str, ChannelCap]
