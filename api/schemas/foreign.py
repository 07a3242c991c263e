"""Fields of OpenAI's API and of other speech servers that can't be served here, each refused by its name.

A field that would change what is said, or who says it, must never be ignored. Hints that change neither are
let through as unknown fields are; tests/api/request_fields.toml holds every documented field, and why.
"""

from typing import Annotated, Any

from api.schemas.fields import Refused, RequestBody

VOICE = Refused(
    "This field names no voice here. Name a kept voice in `voice`, or send a recording: as input_audio of a"
    " chat, or as ref_audio of /v1/audio/speech."
)
PROMPTED_VOICE = "Voices are made of recordings here, not of descriptions; send one as audio_sample."


class ForeignVoiceFields(RequestBody):
    """What asks for a voice on other servers (vLLM-Omni, Chatterbox, XTTS, Fish Speech)."""

    speaker_embedding: Annotated[Any, VOICE] = None
    speaker_audio: Annotated[Any, VOICE] = None
    speaker_id: Annotated[Any, VOICE] = None
    speaker_wav: Annotated[Any, VOICE] = None
    speakers: Annotated[Any, VOICE] = None
    voice_prompt: Annotated[Any, VOICE] = None
    voice_mode: Annotated[Any, VOICE] = None
    reference_audio: Annotated[Any, VOICE] = None
    reference_audio_filename: Annotated[Any, VOICE] = None
    reference_id: Annotated[Any, VOICE] = None
    predefined_voice_id: Annotated[Any, VOICE] = None
    prompt_audio: Annotated[Any, VOICE] = None
    audio_prompt: Annotated[Any, VOICE] = None
    audio_prompt_path: Annotated[Any, VOICE] = None


class ForeignChatFields(ForeignVoiceFields):
    """Of chat completions: what a model that writes could do, and voices outside of `audio`."""

    tools: Annotated[Any, Refused("This model calls no tools; leave `tools` out.")] = None
    tool_choice: Annotated[Any, Refused("This model calls no tools.", ("none", "auto"))] = None
    functions: Annotated[Any, Refused("This model calls no functions; leave `functions` out.")] = None
    function_call: Annotated[Any, Refused("This model calls no functions.", ("none", "auto"))] = None
    response_format: Annotated[
        Any, Refused("The answer is speech, or a transcript; it has no JSON schema.", ({"type": "text"},))
    ] = None
    web_search_options: Annotated[Any, Refused("This model searches nothing; it speaks your text.")] = None
    moderation: Annotated[Any, Refused("Nothing is moderated here; check the text beforehand.")] = None
    logprobs: Annotated[Any, Refused("Speech has no log probabilities of words.")] = None
    top_logprobs: Annotated[Any, Refused("Speech has no log probabilities of words.")] = None
    logit_bias: Annotated[Any, Refused("The text is spoken as it is; tokens can't be favoured.")] = None
    voice: Annotated[Any, Refused("In a chat the voice is named by audio.voice.")] = None
    speaker: Annotated[Any, Refused("In a chat the voice is named by audio.voice.")] = None
    ref_audio: Annotated[Any, Refused("In a chat a recording is an input_audio part of a message.")] = None
    ref_text: Annotated[Any, Refused("In a chat the words of the recording are audio.ref_text.")] = None
    references: Annotated[Any, Refused("In a chat a recording is an input_audio part of a message.")] = None
    audios: Annotated[Any, Refused("Send recordings as input_audio parts of the messages.")] = None
    images: Annotated[Any, Refused("This model sees nothing; it speaks your text.")] = None
    videos: Annotated[Any, Refused("This model sees nothing; it speaks your text.")] = None
    image_generation: Annotated[Any, Refused("This model makes no images.")] = None


class ForeignSpeechFields(ForeignVoiceFields):
    """Of /v1/audio/speech on vLLM-Omni and SGLang-Omni: what their other models do."""

    ref_audio_2: Annotated[
        Any, Refused("Several speakers speak by `voices`, and [SPEAKER1] in the text calls the second.")
    ] = None
    messages: Annotated[Any, Refused("This route speaks `input`; a chat is another route.")] = None
    sample_rate: Annotated[Any, Refused("Speech has 24,000 samples a second; resample it.", (24_000,))] = None
    word_timestamps: Annotated[Any, Refused("The times of the words are not known here.")] = None
    ambient_sound: Annotated[Any, Refused("This model makes speech only, no other sounds.")] = None
    duration_seconds: Annotated[Any, Refused("Choose how long the speech is by `speed`.")] = None
    duration_tokens: Annotated[Any, Refused("Choose how long the speech is by `speed`.")] = None
    token_count: Annotated[Any, Refused("Choose how long the speech is by `speed`.")] = None
    extra_params: Annotated[Any, Refused("This model has no further parameters.")] = None
    stage_params: Annotated[Any, Refused("This model has no stages; sampling stands in the body.")] = None
