"""The phases of the four lanes and what leads from one to another, for the docs.

A lane's phase is set by its methods, not by a table; `test_pages.py` holds these steps against
every assignment in the source and against what happens in a run.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gapless.core.intake import IntakePhase
from gapless.core.outbox import OfferPhase
from gapless.core.reader import ReaderPhase
from gapless.core.subscription import Phase


@dataclass(frozen=True, slots=True)
class Step:
    """From a phase to a phase: `by` names the method that sets it, `words` say when."""

    source: enum.Enum
    target: enum.Enum
    by: str
    words: str


def _from(sources: Iterable[enum.Enum], target: enum.Enum, by: str, words: str) -> list[Step]:
    return [Step(source, target, by, words) for source in sources]


_ON_LINK = (Phase.ASKED, Phase.OVERTAKEN, Phase.LIVE, Phase.SET_BACK)

LANES: Mapping[str, list[Step]] = {
    "subscription": [
        Step(Phase.WANTED, Phase.ASKED, "_subscribe", "subscribe sent"),
        Step(Phase.ASKED, Phase.LIVE, "receive_subscribed", "subscribed"),
        Step(Phase.ASKED, Phase.ENDED, "receive_subscribed", "refused"),
        Step(Phase.ASKED, Phase.OVERTAKEN, "shed", "shed"),
        Step(Phase.LIVE, Phase.SET_BACK, "shed", "shed"),
        Step(Phase.LIVE, Phase.OVERTAKEN, "shed", "shed with a reset"),
        Step(Phase.SET_BACK, Phase.OVERTAKEN, "shed", "shed with a reset"),
        Step(Phase.LIVE, Phase.WANTED, "receive_data", "gap"),
        Step(Phase.LIVE, Phase.WANTED, "receive_gone", "gap before gone"),
        *_from((Phase.SET_BACK, Phase.OVERTAKEN), Phase.WANTED, "_ask_again", "half taken"),
        *_from((Phase.LIVE, Phase.SET_BACK), Phase.WANTED, "receive_ended", "ended (again)"),
        *_from((Phase.LIVE, Phase.SET_BACK), Phase.ENDED, "receive_ended", "ended"),
        *_from(_ON_LINK, Phase.WANTED, "handle_link_lost", "link lost"),
        *_from(_ON_LINK, Phase.LEAVING, "leave", "unsubscribe"),
        Step(Phase.WANTED, Phase.LEAVING, "leave", "unsubscribe"),
        Step(Phase.WANTED, Phase.ENDED, "leave", "unsubscribe (unasked)"),
        Step(Phase.LEAVING, Phase.ENDED, "next_control", "unsubscribe sent"),
        Step(Phase.LEAVING, Phase.ENDED, "handle_link_lost", "link lost"),
        Step(Phase.WANTED, Phase.ENDED, "_finish", "session over"),
    ],
    "outbox": [
        Step(OfferPhase.IDLE, OfferPhase.ASKED, "next_control", "offer sent"),
        Step(OfferPhase.ASKED, OfferPhase.OPEN, "receive_offered", "offered"),
        Step(OfferPhase.OPEN, OfferPhase.STAYING, "stay", "the session moved"),
        *_from(
            (OfferPhase.ASKED, OfferPhase.OPEN, OfferPhase.STAYING),
            OfferPhase.IDLE,
            "handle_link_lost",
            "link lost",
        ),
        Step(OfferPhase.OPEN, OfferPhase.IDLE, "_begin_epoch", "the hub knows more"),
    ],
    "reader": [
        Step(ReaderPhase.ASKED, ReaderPhase.LIVE, "next_control", "subscribed sent"),
        Step(ReaderPhase.LIVE, ReaderPhase.ENDING, "end", "unsubscribe, new epoch"),
        Step(ReaderPhase.ASKED, ReaderPhase.ENDED, "end", "unsubscribe (unanswered)"),
        Step(ReaderPhase.ENDING, ReaderPhase.ENDED, "next_control", "ended sent"),
    ],
    "intake": [
        *_from(IntakePhase, IntakePhase.OFFERED, "receive_offer", "offer"),
        Step(IntakePhase.OFFERED, IntakePhase.RECALLING, "prepare_answer", "the store is asked"),
        Step(IntakePhase.OFFERED, IntakePhase.ANSWERING, "prepare_answer", "nothing in flight"),
        Step(
            IntakePhase.RECALLING,
            IntakePhase.ANSWERING,
            "handle_recalled",
            "the store has answered",
        ),
        Step(IntakePhase.ANSWERING, IntakePhase.OPEN, "_answer", "offered sent"),
        Step(IntakePhase.OPEN, IntakePhase.BLOCKED, "handle_refused", "refused"),
        Step(IntakePhase.OPEN, IntakePhase.BLOCKED, "shed", "memory was short"),
        Step(IntakePhase.BLOCKED, IntakePhase.OPEN, "_judge", "it came again, or skipped"),
        *_from(list(IntakePhase)[1:], IntakePhase.IDLE, "handle_link_lost", "link lost"),
    ],
}
