"""Parking: who waits for a channel, in turn, and nothing of who waits no more (P3, P4)."""

from gapless.core.parking import Parking


def test_all_who_wait_for_a_channel_get_it_together() -> None:
    parking = Parking()
    for who in ("ann", "bob", "ann"):
        parking.add("news", who, is_homeless=False)
    parking.add("other", "bob", is_homeless=False)
    assert list(parking.take("news")) == ["ann", "bob"]
    assert list(parking.take("news")) == []
    assert ("news" in parking, "other" in parking) == (False, True)


def test_p4_the_homeless_stand_in_the_order_in_which_they_were_first_wanted() -> None:
    parking = Parking()
    parking.add("opens", "ann", is_homeless=False)
    for name, who in (("b", "ann"), ("a", "bob"), ("b", "bob"), ("c", "cid")):
        parking.add(name, who, is_homeless=True)
    assert list(parking.homeless) == ["b", "a", "c"]
    parking.opens("b")
    parking.opens("opens")
    assert list(parking.homeless) == ["a", "c"]
    assert list(parking.take("b")) == ["ann", "bob"], "it waits until the channel is open"


def test_p3_nothing_is_kept_of_who_waits_no_more() -> None:
    parking = Parking()
    for who in ("ann", "bob"):
        parking.add("news", who, is_homeless=True)
    parking.drop("news", "ann")
    assert list(parking.homeless) == ["news"], "bob waits"
    parking.drop("news", "bob")
    parking.drop("news", "bob")
    parking.drop("never", "ann")
    assert "news" not in parking
    assert list(parking.homeless) == []
