"""Roster: who gets which session, and by which link (rule 8, I13, I14)."""

from random import Random

from gapless.core.authorize import Grant
from gapless.core.budget import Shed
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.frames import Hello, Welcome
from gapless.core.link import Link
from gapless.core.roster import Roster
from gapless.core.server import ServerSession

from .by_hand import HubByHand
from .parts import counted

CONFIG = Config(max_sessions=2)
ANN, BOB = Grant("ann"), Grant("bob")
OVER = Ending(Code.TRY_LATER, "short of memory", 1.0)


class Desk:
    """A roster; sessions that are real, and links that are attached as a hub does it."""

    def __init__(self) -> None:
        self.hub = HubByHand(config=Config.production("hub")).hub
        self.has_memory = True
        self.roster = Roster(CONFIG, new_token=counted("token-"), new_session=self.new_session)

    def new_session(self, number: str, grant: Grant, now: float) -> ServerSession | None:
        if not self.has_memory:
            return None
        session = ServerSession(number, grant, self.hub, self.hub.config, rng=Random(1))
        self.hub.books.open(session, Shed.NEVER, now=now)
        return session

    def claim(
        self, number: int, grant: Grant | None = ANN, token: str | None = None
    ) -> tuple[ServerSession, Welcome] | Ending:
        hello = Hello(1, token, None, 1024)
        claim = self.roster.claim(number, hello, grant, now=0.0)
        if not isinstance(claim, Ending):
            session, welcome = claim
            link = Link(number, config=CONFIG, rng=Random(1), now=0.0)
            link.open(now=0.0)
            session.attach(link, hello, welcome, now=0.0)
        return claim

    def welcomed(
        self, number: int, grant: Grant = ANN, token: str | None = None
    ) -> tuple[ServerSession, Welcome]:
        claim = self.claim(number, grant, token)
        assert not isinstance(claim, Ending), claim
        return claim


class TestClaims:
    def test_a_new_client_gets_a_new_session_and_a_token(self) -> None:
        desk = Desk()
        session, welcome = desk.welcomed(1)
        assert (welcome.session, welcome.token, welcome.resumed) == (session.id, "token-2", False)
        assert desk.roster.sessions == {session.id: session}
        assert desk.roster.links == {1: session}

    def test_i14_a_token_resumes_for_its_principal_alone_and_the_next_is_shown(self) -> None:
        desk = Desk()
        session, welcome = desk.welcomed(1)
        again, renewed = desk.welcomed(2, token=welcome.token)
        assert (again, renewed.resumed) == (session, True)
        assert renewed.token != welcome.token
        other, theirs = desk.welcomed(3, BOB, token=renewed.token)
        assert (other is session, theirs.resumed) == (False, False)

    def test_the_newest_verdict_is_the_sessions(self) -> None:
        desk = Desk()
        session, welcome = desk.welcomed(1)
        unpinned = Grant("ann", may_pin=False)
        desk.welcomed(2, unpinned, token=welcome.token)
        assert session.grant is unpinned

    def test_without_a_verdict_there_is_none(self) -> None:
        desk = Desk()
        claim = desk.claim(1, None)
        assert isinstance(claim, Ending)
        assert claim.code == Code.UNAUTHORIZED
        assert (desk.roster.sessions, desk.roster.links) == ({}, {})

    def test_i13_a_verdict_for_an_older_link_fences_no_younger_one(self) -> None:
        desk = Desk()
        session, welcome = desk.welcomed(5)
        claim = desk.claim(4, token=welcome.token)
        assert isinstance(claim, Ending)
        assert claim.code == Code.FENCED
        assert session.link == 5

    def test_where_it_is_full_who_is_new_comes_back_later(self) -> None:
        desk = Desk()
        _, welcome = desk.welcomed(1)
        desk.has_memory = False
        claim = desk.claim(2, BOB)
        assert isinstance(claim, Ending), "there is no memory"
        assert (claim.code, claim.retry_after) == (Code.TRY_LATER, 1.0)
        desk.has_memory = True
        desk.welcomed(2, BOB)
        assert isinstance(desk.claim(3, Grant("carl")), Ending), "there are as many as may be"
        desk.welcomed(4, token=welcome.token)


class TestLinks:
    def test_one_that_parts_is_known_until_its_last_word_is_said(self) -> None:
        desk = Desk()
        session, _ = desk.welcomed(1)
        assert desk.roster.part(1, has_last_word=True) is session
        assert (desk.roster.links, desk.roster.parting) == ({}, {1: session})
        assert desk.roster.part(1, has_last_word=False) is session
        assert desk.roster.parting == {}
        assert desk.roster.part(1, has_last_word=True) is None
        assert desk.roster.parting == {}

    def test_only_the_link_that_carries_a_session_is_closed(self) -> None:
        desk = Desk()
        session, _ = desk.welcomed(1)
        links: list[int | None] = []
        for link in (9, 1):
            desk.roster.close(link, OVER, 0.0)
            links.append(session.link)
        assert links == [1, None]
        desk.roster.close(1, OVER, 0.0)
        assert session.id in desk.roster.sessions, "the session goes on"

    def test_all_links_can_be_closed(self) -> None:
        desk = Desk()
        both = [desk.welcomed(1)[0], desk.welcomed(2, BOB)[0]]
        desk.roster.close_all(OVER, 0.0)
        assert [session.link for session in both] == [None, None]
        assert len(desk.roster.sessions) == 2


def test_i14_nothing_resumes_a_session_that_is_over() -> None:
    desk = Desk()
    session, welcome = desk.welcomed(1)
    desk.roster.forget(session)
    assert desk.roster.sessions == {}
    _, anew = desk.welcomed(2, token=welcome.token)
    assert not anew.resumed
