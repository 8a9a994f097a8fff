"""Every frame there can be, for hypothesis: within the limits the wire sets, and nothing else."""

from hypothesis import strategies as st

from gapless.core import frames
from gapless.core.position import MAX_SEQ, Position, Since, channel_fault
from gapless.transports.codec_structs import MAX_BATCH, MAX_SESSION, MAX_TOKEN, MAX_WORDS

counts = st.one_of(st.integers(0, 300), st.integers(0, MAX_SEQ), st.just(MAX_SEQ))
maybe_counts = st.none() | counts
_unicode = st.characters(exclude_categories=["Cs"])
words = st.text(_unicode, max_size=MAX_WORDS)
tokens = st.text(_unicode, min_size=1, max_size=MAX_TOKEN)
epochs = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
channels = st.text(_unicode, min_size=1, max_size=40).filter(lambda name: not channel_fault(name))
words_since: list[Since] = ["latest", "earliest"]
since = st.builds(Position, epochs, counts) | st.sampled_from(words_since)
texts = st.text(_unicode, max_size=20).map(str.encode)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int]:
    first = draw(st.integers(1, MAX_SEQ))
    return first, draw(st.integers(first, MAX_SEQ))


@st.composite
def partials(draw: st.DrawFn) -> frames.Partial:
    return frames.Partial(*draw(ranges()), draw(words))


@st.composite
def gones(draw: st.DrawFn) -> frames.Gone:
    return frames.Gone(draw(counts), *draw(ranges()), draw(words))


@st.composite
def refusals(draw: st.DrawFn) -> frames.Refused:
    return frames.Refused(draw(counts), *draw(ranges()), draw(words), draw(maybe_counts))


@st.composite
def batches(draw: st.DrawFn) -> frames.Data:
    text = draw(st.booleans())
    payload = texts if text else st.binary(max_size=20)
    payloads = draw(st.lists(payload, min_size=1, max_size=MAX_BATCH))
    first = draw(st.integers(1, MAX_SEQ - MAX_BATCH))
    return frames.Data(draw(counts), first, payloads, text)


outcomes: st.SearchStrategy[frames.Outcome] = st.one_of(
    st.just(frames.Live()),
    st.builds(frames.Recovered, counts),
    partials(),
    st.builds(frames.StartedOver, words),
    st.builds(frames.Denied, words),
)

any_frame: st.SearchStrategy[frames.Frame] = st.one_of(
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
    batches(),
    st.builds(frames.Ack, counts, counts, counts),
    gones(),
    refusals(),
    st.builds(frames.Ping, counts, counts),
    st.builds(frames.Pong, counts, counts),
    st.builds(frames.Goaway, counts, counts),
    st.builds(frames.Close, counts, words, maybe_counts),
)
