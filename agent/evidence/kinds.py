"""The kinds of audit entries: what the owner will find in the log, and which of them strangers can cause at will.

Rules of this file: a kind is never renamed, since logs outlive software. FORMAT.md says what is in each.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The word in `kind`."""

    COMMAND = "command"  # somebody with a good chain of signatures asks for something
    JOB = "job"  # every decision about it and every step of it
    OWNER_ANSWERED = "owner_answered"
    SEALED = "sealed"  # a part was cut and sealed
    RECEIPT = "receipt"  # a part is at the store
    WITHHELD = "withheld"  # a part was not sent, since the consent had ended
    UNTOLD = "untold"  # a withdrawn job ended without the manifest of what went: there was no room for one
    NOT_HELD = "not_held"  # footage of a job could not be kept apart
    RESUMED = "resumed"
    EXTENDED = "extended"  # a running job has a later end
    STOPPED = "stopped"  # a job, by an order of its agency
    SETTINGS = "settings"  # the operator's, of this hub
    REFUSED = "refused"  # a message that no good signature stands behind, or a replay
    ANSWER_REFUSED = "answer_refused"
    TRUST = "trust"
    TRUST_REFUSED = "trust_refused"
    POLICY = "policy"
    MODE = "mode"  # the policy's schedule, or a lost clock, makes it another than before
    POLICY_REFUSED = "policy_refused"
    PAIRED = "paired"
    PAIRING_REFUSED = "pairing_refused"
    LOGIN = "login"  # somebody came to the owner's page, or was turned away
    FIRMWARE = "firmware"  # an update was ordered
    FIRMWARE_RUNS = "firmware_runs"  # what the firmware bridge says about what runs
    RESTART = "restart"  # of the machine, into a firmware that was installed
    CERTIFICATE = "certificate"  # by which the hub shows its server who it is: a step of its renewal
    CLOCK_STEP = "clock_step"
    CLOCK_SOURCE = "clock_source"  # somebody else vouches for the time than before
    TIME_ACCEPTED = "time_accepted"  # the server's signed time
    TIME_REFUSED = "time_refused"
    STARTED = "started"
    SHUT_DOWN = "shut_down"
    LOG_CHANGED = "log_changed"
    NOT_WRITTEN = "not_written"  # how many entries of a stranger's making were left out


STRANGERS_KINDS: Final = frozenset(
    {
        Kind.REFUSED,
        Kind.ANSWER_REFUSED,
        Kind.TRUST_REFUSED,
        Kind.POLICY_REFUSED,
        Kind.PAIRING_REFUSED,
        Kind.TIME_REFUSED,
    }
)
"""What anybody who reaches the broker can cause; the log takes so many of them a day and counts the rest."""

STRANGERS_ENTRIES_PER_DAY_MAX: Final = 500
"""Some 150 KB a day: a hostile broker needs five years to fill a log."""

OPENING_KINDS: Final = frozenset({Kind.COMMAND})
"""What sets off further entries; a log or a disk that is nearly full takes no more of these, so that the rest fits."""
