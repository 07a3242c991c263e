"""The text that is spoken: boson's normalisation, and the rule for leading instructions."""
# ruff: noqa: RUF001 (full-width punctuation is the matter here)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidRequest
from text.chunking import Chunking, chunks
from text.normalise import read_out, speakable, spoken_part, spoken_parts

# Outputs of boson-multimodal's examples/generation.py for these transcripts.
NORMALISED = {
    "Hello there": "Hello there.",
    "Hello there!": "Hello there!",
    "Wait, what;": "Wait, what;",
    "He said 'yes'": "He said 'yes'",
    "你好，世界。": "你好, 世界.",
    "“是吗？”——他问…": '"是吗?"--他问...',
    "《书》、【注】：好！": "<书>,[注]:好!",
    "It is 20°C (68°F) today": "It is 20 degrees Celsius 68 degrees Fahrenheit today.",
    "Ha [laugh] [music]": "Ha <SE>[Laughter]</SE> <SE>[Music]</SE>",
    "[humming start] mm [humming end]": "<SE_s>[Humming]</SE_s> mm <SE_e>[Humming]</SE_e>",
    "[sing start] la [sing end]": "<SE_s>[Singing]</SE_s> la <SE_e>[Singing]</SE_e>",
    "  two   words \n\n\n  next\tline ": "two words\nnext line.",
}


@pytest.mark.parametrize(("text", "expected"), NORMALISED.items())
def test_text_is_normalised_as_bosons_example_does(text: str, expected: str) -> None:
    assert speakable(text) == expected


@pytest.mark.parametrize(
    "text", ["", "  \n ", "\x00\x07", "👍🎉", "\u200b", "...", "?!", "<|eot_id|>", "（）"]
)
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        speakable(text)
    assert caught.value.code == "text_empty"


@pytest.mark.parametrize("text", ["42", "你", "é", "[laugh]", "ok 👍", "٣"])
def test_a_word_or_a_number_in_any_script_is_enough(text: str) -> None:
    assert speakable(text)


@given(st.text(st.sampled_from("a<|>《》_eot\x00（)\u200b"), min_size=1))
def test_no_text_can_hold_a_special_token(text: str) -> None:
    spoken = speakable(f"x {text} <|eot_id|> 《|audio_eos|》")
    assert "<|eot_id|>" not in spoken and "<|audio_eos|>" not in spoken


INSTRUCTIONS = [
    "Say this in my voice:",
    "say this:",
    "Say:",
    "Please say the following:",
    "Please read the following text aloud in this voice:",
    "Read this aloud:",
    "Please, speak these words in a cheerful voice:",
    "Clone this voice and say:",
    "Use the voice in the recording to say:",
    "Now generate speech using this voice:",
    "Convert this text to speech:",
    "Synthesize the following sentence with the cloned voice：",
]


@pytest.mark.parametrize("instruction", INSTRUCTIONS)
def test_a_leading_instruction_is_not_spoken(instruction: str) -> None:
    for text in ("Hello world.", '"Hello world."', "“Hello world.”", "'Hello world.'", "\n\nHello world.\n"):
        assert spoken_part(f"{instruction} {text}") == "Hello world."
    assert spoken_part(f"{instruction} Note: it's 10:30.") == "Note: it's 10:30."
    whole = f"{instruction} Hello world."
    assert spoken_part(whole, strip_instruction=False) == whole


@pytest.mark.parametrize(
    "text",
    [
        "Hello world.",
        "Note: bring an umbrella.",
        "He said: come in.",
        "Tell me: why?",
        "Say my name: Heisenberg.",
        "Say what you want: I am staying.",
        "Say it in this voice at 10:30 tomorrow.",
        "Speak softly: the baby sleeps.",
        "Read more: the second chapter.",
        "Read this book: it is great.",
        "Read the following instructions: first, breathe.",
        "Repeat after me: I will.",
        "Use your voice: vote!",
        "Voice: a history.",
        "Copy that: over.",
        "I want you to say this in my voice: hello.",
        "Say this. In my voice: hello.",
        "Say this\nin my voice: hello.",
        "Say this in my voice:",
        'Say this in my voice: ""',
        "Say this in a voice that is as low and as slow and as sad as you possibly can: hello.",
        "",
    ],
)
def test_anything_else_is_spoken_as_it_stands(text: str) -> None:
    assert spoken_part(text) == text


@pytest.mark.parametrize("text", ['"One," she said, "two."', "'One', then 'two'", '"Open', "It's", "'"])
def test_only_quotes_around_the_whole_are_dropped(text: str) -> None:
    whole = f"Say this in my voice: x {text}"
    assert spoken_part(whole) == f"x {text}"
    if any(character.isalnum() for character in text):
        assert spoken_part(f"Say this in my voice: {text}") == text


@given(st.text(max_size=200))
def test_no_text_breaks_the_rule(text: str) -> None:
    assert spoken_part(text) in text
    assert spoken_part(f"Say this in my voice: {text}")


@pytest.mark.parametrize("unit", [" ", "say voice ", "please ", "'", "say:", "<|"])
def test_long_texts_take_no_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert spoken_part("say " + text)
    assert speakable("say " + text)


def test_a_short_text_is_one_chunk() -> None:
    assert chunks("One. Two! Three?", Chunking(40)) == ["One. Two! Three?"]


def test_chunks_end_behind_sentences() -> None:
    text = "The first sentence is here. The second one follows it! And is there a third?"
    assert chunks(text, Chunking(52)) == [
        "The first sentence is here.",
        "The second one follows it! And is there a third?",
    ]


def test_a_long_sentence_is_cut_behind_a_comma_and_a_longer_one_between_words() -> None:
    assert chunks("When it rained, we stayed at home and read.", Chunking(30)) == [
        "When it rained,",
        "we stayed at home and read.",
    ]
    assert chunks("one two three four five six", Chunking(10)) == ["one two", "three four", "five six"]


@given(text=st.text(alphabet="ab ,.!?;\n'", max_size=300), longest=st.integers(5, 60))
def test_chunks_keep_every_word_and_the_bound(text: str, longest: int) -> None:
    found = chunks(text, Chunking(longest))
    letters = [c for c in text if c in "ab"]
    assert [c for c in "".join(found) if c in "ab"] == letters
    assert all(len(chunk) <= longest for chunk in found)


def test_several_voices_take_the_parts_that_call_them() -> None:
    text = "Once, [SPEAKER1] Hello! How are you? [SPEAKER0] Fine. [SPEAKER1]\n[SPEAKER0] And you?"
    assert spoken_parts(read_out(text, "plain", voices=2), Chunking(10)) == [
        (0, "Once,"),
        (1, "Hello!"),
        (1, "How are"),
        (1, "you?"),
        (0, "Fine."),
        (0, "And you?"),
    ]


def test_one_voice_leaves_the_tags_to_the_model_unless_that_reads_words_only() -> None:
    assert spoken_parts(read_out("[SPEAKER0] Hi. [SPEAKER1] Ho.", "plain", voices=1), Chunking(90)) == [
        (0, "[SPEAKER0] Hi. [SPEAKER1] Ho.")
    ]
    assert spoken_parts(read_out("[SPEAKER0] Hi. [SPEAKER1] Ho.", "english", voices=1), Chunking(90)) == [
        (0, "Hi. Ho.")
    ]


def test_pauses_part_what_is_spoken() -> None:
    text = "[pause 1s] # Hello, <break time='250ms'/> world [pause 2s] [SPEAKER1] *Hi.*[pause]"
    assert spoken_parts(read_out(text, "plain", voices=2), Chunking(90)) == [
        *(1.0, (0, "Hello,"), 0.25, (0, "world.")),
        *(2.0, (1, "Hi."), 0.5),
    ]
    assert spoken_parts(read_out("One. Two. [pause 1s] Three.", "english", voices=1), Chunking(7)) == [
        *((0, "One."), (0, "Two."), 1.0, (0, "Three.")),
    ]


@pytest.mark.parametrize("text", ["[pause 1s]", "... <break/> !"])
def test_pauses_alone_are_nothing_to_speak(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        spoken_parts(read_out(text, "plain", voices=1), Chunking(90))
    assert caught.value.code == "text_empty"


def test_a_speaker_without_a_voice_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        spoken_parts(read_out("[SPEAKER2] Hi.", "plain", voices=2), Chunking(90))
    assert caught.value.code == "unknown_speaker" and "2 voices" in caught.value.message
    with pytest.raises(InvalidRequest) as caught:
        spoken_parts(read_out("[SPEAKER0] [SPEAKER1]", "plain", voices=2), Chunking(90))
    assert caught.value.code == "text_empty"


@pytest.mark.parametrize(
    "text", ["你好，世界。（是的）", "क्या हाल है।", "It is 20°C (68°F) today", "Wait — what…", "Hello there"]
)
def test_v3_reads_a_text_as_it_stands(text: str) -> None:
    """Kind of fault: boson's table for v2 took v3's parentheses and put a full stop behind every text."""
    assert speakable(text, "plain", normalised=False) == text


def test_v3_gets_no_markdown_no_control_characters_and_no_marks_of_prompts() -> None:
    text = "# A *title*\n\nIt\x07 is <|eot_id|>(so)"
    assert speakable(text, "plain", normalised=False) == "A title\nIt is  (so)"


def test_the_manner_of_a_turn_opens_each_of_its_chunks_but_those_with_their_own() -> None:
    """Kind of fault: what was asked for at the head of a text was forgotten after its first chunk."""
    sad, slow, laugh = "<|emotion:sadness|>", "<|prosody:speed_slow|>", "<|sfx:laughter|>"
    text = f"{sad}{slow}{laugh}One. Two. [pause 1s] Three. {laugh}Four. {slow}Five. [SPEAKER1] Six."
    read = read_out(text, "plain", voices=2, normalised=False)
    assert spoken_parts(read, Chunking(60, 1), manners=frozenset({sad, slow})) == [
        (0, f"{sad}{slow}{laugh}One."),
        (0, f"{sad}{slow}Two."),
        1.0,
        (0, f"{sad}{slow}Three."),
        (0, f"{sad}{slow}{laugh}Four."),
        (0, f"{slow}Five."),
        (1, "Six."),
    ]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello.", "Hello."),
        ("12", "twelve."),
        ("[SPEAKER0] <p>Hi</p> [pause 2s] [page](http://a.org/long/path) <SE>[Cough]</SE>", "Hi. page ."),
        ("<|emotion:sadness|> Hi", "Hi."),
        ("9" * 40, " ".join(["nine"] * 40) + "."),
    ],
)
def test_the_length_of_a_text_is_that_of_what_is_said(text: str, spoken: str) -> None:
    assert read_out(text, "english", voices=1).length == pytest.approx(len(spoken), abs=3)
    assert read_out("你好", "plain", voices=1).length == 7
