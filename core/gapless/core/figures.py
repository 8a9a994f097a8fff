"""Figures: what happened in a session, and what holds there and at a hub, for their `Watch`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .channel import Channel
from .monitor import Gauges, Metrics
from .outbox import Outbox
from .server import ServerSession
from .subscription import Subscription


@dataclass(frozen=True, slots=True)
class SessionStats:
    """What happened in a session so far.

    Attributes:
        links: connections that carried it.
        resumes: those on which the server still had it.
        received: messages that arrived in order, once.
        taken: of these, what the application has taken.
        duplicates: messages that came again and were dropped.
        lost: messages reported lost.
        gaps: holes seen on a live link, each repaired by subscribing again.
        published, accepted: messages handed over, and how many of them are accepted.
        round_trip: seconds a ping last took, or None.
    """

    links: int
    resumes: int
    received: int
    taken: int
    duplicates: int
    lost: int
    gaps: int
    published: int
    accepted: int
    round_trip: float | None


@dataclass(frozen=True, slots=True)
class HubStats:
    """What a hub has, and what has gone through it since its first link, or HTTP handshake.

    Attributes:
        sessions: with a connection or without.
        links: connections that carry a session or wait for their verdict.
        channels: open channels.
        messages: messages they hold.
        received, sent: messages from clients, and to them.
        errors: links lost, HTTP handshakes and publishes refused, messages skipped.
    """

    sessions: int
    links: int
    channels: int
    messages: int
    received: int
    sent: int
    errors: int


def hub_stats(metrics: Metrics, *, links: int) -> HubStats:
    """Sum a hub's figures up."""
    gauges = metrics.gauges
    return HubStats(
        sessions=gauges.total,
        links=links,
        channels=len(gauges.buffer_sizes),
        messages=gauges.messages_held,
        received=metrics.received.messages,
        sent=metrics.sent.messages,
        errors=metrics.errors,
    )


def session_gauges(
    holders: Iterable[Subscription | Outbox], *, is_up: bool, is_stale: bool, held: int
) -> Gauges:
    """Say what a client's session holds."""
    messages: Counter[str] = Counter()
    for holder in holders:
        messages[holder.channel] += holder.held_messages
    return Gauges(
        active=int(is_up),
        stale=int(is_stale),
        total=1,
        bytes_held=held,
        messages_held=messages.total(),
        buffer_sizes=dict(messages),
    )


def hub_gauges(
    sessions: Iterable[ServerSession], channels: Iterable[Channel], *, held: int, now: float
) -> Gauges:
    """Say what a hub holds."""
    links = [session.link is not None for session in sessions]
    messages = {channel.name: len(channel.history) for channel in channels}
    return Gauges(
        active=sum(links),
        stale=sum(session.is_stale(now=now) for session in sessions),
        total=len(links),
        bytes_held=held,
        messages_held=sum(messages.values()),
        buffer_sizes=messages,
    )
