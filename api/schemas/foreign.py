"""Fields of OpenAI's API and of other speech servers that can't be served here; each is refused by name.

A field that would change what is said, or who says it, must never be ignored. Hints that change neither are
ignored like unknown fields. tests/api/request_fields.toml lists every documented field, and why.
"""

from typing import Annotated, Any

from api.schemas.fields import Refused, RequestBody

VOICE = Refused(
    "This field is not supported. Name a saved voice in `voice`, or send a recording: as input_audio in a"
    " chat, or as ref_audio of /v1/audio/speech."
)
PROMPTED_VOICE = "Voices are made from recordings, not from descriptions; send one as audio_sample."


class ForeignVoiceFields(RequestBody):
    """Fields that select a voice on other servers (vLLM-Omni, Chatterbox, XTTS, Fish Speech)."""

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
    """Fields of chat completions that need a text model, and voices outside of `audio`."""

    tools: Annotated[Any, Refused("This model doesn't call tools; omit `tools`.")] = None
    tool_choice: Annotated[Any, Refused("This model doesn't call tools.", ("none", "auto"))] = None
    functions: Annotated[Any, Refused("This model doesn't call functions; omit `functions`.")] = None
    function_call: Annotated[Any, Refused("This model doesn't call functions.", ("none", "auto"))] = None
    response_format: Annotated[
        Any, Refused("The answer is speech or a transcript, without a JSON schema.", ({"type": "text"},))
    ] = None
    web_search_options: Annotated[Any, Refused("This model can't search the web; it speaks your text.")] = (
        None
    )
    moderation: Annotated[Any, Refused("This server doesn't moderate; check the text beforehand.")] = None
    logprobs: Annotated[Any, Refused("Speech has no log probabilities of words.")] = None
    top_logprobs: Annotated[Any, Refused("Speech has no log probabilities of words.")] = None
    logit_bias: Annotated[Any, Refused("The text is spoken as it is; tokens can't be biased.")] = None
    voice: Annotated[Any, Refused("In a chat, name the voice in audio.voice.")] = None
    speaker: Annotated[Any, Refused("In a chat, name the voice in audio.voice.")] = None
    ref_audio: Annotated[Any, Refused("In a chat, send a recording as an input_audio part.")] = None
    ref_text: Annotated[Any, Refused("In a chat, send the transcript as audio.ref_text.")] = None
    references: Annotated[Any, Refused("In a chat, send a recording as an input_audio part.")] = None
    audios: Annotated[Any, Refused("Send recordings as input_audio parts of the messages.")] = None
    images: Annotated[Any, Refused("This model can't see images; it speaks your text.")] = None
    videos: Annotated[Any, Refused("This model can't see videos; it speaks your text.")] = None
    image_generation: Annotated[Any, Refused("This model can't generate images.")] = None


class ForeignSpeechFields(ForeignVoiceFields):
    """Fields of /v1/audio/speech on vLLM-Omni and SGLang-Omni for their other models."""

    ref_audio_2: Annotated[
        Any, Refused("For several speakers use `voices`, and [SPEAKER1] in the text for the second.")
    ] = None
    messages: Annotated[Any, Refused("This route speaks `input`; for messages use /v1/chat/completions.")] = (
        None
    )
    sample_rate: Annotated[Any, Refused("The sample rate is 24000 Hz; resample the audio.", (24_000,))] = None
    ambient_sound: Annotated[Any, Refused("This model generates speech only, no other sounds.")] = None
    duration_seconds: Annotated[Any, Refused("The duration can't be set; use `speed`.")] = None
    duration_tokens: Annotated[Any, Refused("The duration can't be set; use `speed`.")] = None
    token_count: Annotated[Any, Refused("The duration can't be set; use `speed`.")] = None
    extra_params: Annotated[Any, Refused("This model has no further parameters.")] = None
    stage_params: Annotated[Any, Refused("This model has no stages; set sampling options in the body.")] = (
        None
    )
