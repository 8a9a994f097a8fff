"""Every frame there can be, for hypothesis: within the limits the wire sets, and nothing else."""

from hypothesis import strategies as st

from gapless.core import frames
from gapless.core.position import MAX_SEQ, Position, Since, channel_fault
from gapless.transports.codec_structs import MAX_BATCH, MAX_SESSION, MAX_TOKEN, MAX_WORDS

counts = st.one_of(st.integers(0, 300), st.integers(0, MAX_SEQ), st.just(MAX_SEQ))
ranges = st.tuples(st.integers(1, MAX_SEQ), st.integers(1, MAX_SEQ)).map(sorted)
_unicode = st.characters(exclude_categories=["Cs"])
words = st.text(_unicode, max_size=MAX_WORDS)
tokens = st.text(_unicode, min_size=1, max_size=MAX_TOKEN)
epochs = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
channels = st.text(_unicode, min_size=1, max_size=40).filter(lambda name: not channel_fault(name))
places = st.builds(Position, epochs, counts)
since: st.SearchStrategy[Since] = st.one_of(places, st.just("latest"), st.just("earliest"))
texts = st.text(_unicode, max_size=20).map(str.encode)
maybe_counts = st.none() | counts

outcomes: st.SearchStrategy[frames.Outcome] = st.one_of(
    st.just(frames.Live()),
    st.builds(frames.Recovered, counts),
    st.builds(lambda span, reason: frames.Partial(span[0], span[1], reason), ranges, words),
    st.builds(frames.StartedOver, words),
    st.builds(frames.Denied, words),
)

data = st.one_of(
    st.builds(
        frames.Data,
        counts,
        st.integers(1, MAX_SEQ - MAX_BATCH),
        st.lists(st.binary(max_size=20), min_size=1, max_size=MAX_BATCH),
        st.just(False),
    ),
    st.builds(
        frames.Data,
        counts,
        st.integers(1, MAX_SEQ - MAX_BATCH),
        st.lists(texts, min_size=1, max_size=MAX_BATCH),
        st.just(True),
    ),
)

control: st.SearchStrategy[frames.Frame] = st.one_of(
    st.builds(frames.Hello, counts, st.none() | tokens, st.none() | words, counts),
    st.builds(
        frames.Welcome,
        st.text(_unicode, min_size=1, max_size=MAX_SESSION),
        tokens,
        st.booleans(),
        counts,
        counts,
        counts,
        counts,
    ),
    st.builds(frames.Subscribe, counts, channels, since, counts),
    st.builds(
        frames.Subscribed,
        counts,
        counts,
        epochs,
        counts,
        counts,
        st.none() | st.builds(frames.PinTerms, counts, counts),
        outcomes,
    ),
    st.builds(frames.Unsubscribe, counts),
    st.builds(frames.Ended, counts, words, st.booleans()),
    st.builds(frames.Offer, counts, channels, st.none() | epochs, counts),
    st.builds(frames.Offered, counts, st.sampled_from(["known", "new"]), epochs, counts, counts),
    st.builds(frames.Ack, counts, counts, counts),
    st.builds(
        lambda id, span, reason: frames.Gone(id, span[0], span[1], reason), counts, ranges, words
    ),
    st.builds(
        lambda id, span, code, retry: frames.Refused(id, span[0], span[1], code, retry),
        counts,
        ranges,
        words,
        maybe_counts,
    ),
    st.builds(frames.Ping, counts, counts),
    st.builds(frames.Pong, counts, counts),
    st.builds(frames.Goaway, counts, counts),
    st.builds(frames.Close, counts, words, maybe_counts),
)

any_frame: st.SearchStrategy[frames.Frame] = st.one_of(control, data)
