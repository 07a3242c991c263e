// The official Node SDK asks the server for everything a client needs; what comes back goes to standard output
// as one JSON object, for test_node_sdk.py to judge.
//
//   node main.mjs http://127.0.0.1:8000/v1 recording.wav

import { createReadStream, readFileSync } from "node:fs";
import OpenAI from "openai";

const [baseURL, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "not-needed", maxRetries: 0 });
const model = "higgs-audio";
const sampling = { seed: 1, temperature: 0, max_tokens: 100 };
const recording = readFileSync(path).toString("base64");
const file = () => createReadStream(path);
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

const asked = {
  model,
  modalities: ["text", "audio"],
  audio: { voice: "clone", format: "wav" },
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "Hello world." },
        { type: "input_audio", input_audio: { data: recording, format: "wav" } },
      ],
    },
  ],
  ...sampling,
};

async function streamed() {
  const chunks = await client.chat.completions.create({
    ...asked,
    audio: { voice: "clone", format: "pcm16" },
    stream: true,
    stream_options: { include_usage: true },
  });
  const data = [];
  let usage;
  for await (const chunk of chunks) {
    const audio = chunk.choices[0]?.delta.audio;
    if (audio?.data) data.push(audio.data);
    usage = chunk.usage ?? usage;
  }
  return { data, usage };
}

async function speech() {
  const files = {};
  for (const response_format of ["mp3", "opus", "aac", "flac", "wav", "pcm"]) {
    const response = await client.audio.speech.create({
      ...{ model, voice: "alloy", input: "Hello world.", response_format },
      ...sampling,
    });
    const type = response.headers.get("content-type");
    files[response_format] = { type, data: base64(await response.arrayBuffer()) };
  }
  return files;
}

async function transcripts() {
  const create = (fields) => client.audio.transcriptions.create({ file: file(), model: "whisper-1", ...fields });
  const events = [];
  for await (const event of await create({ stream: true })) events.push(event);
  return {
    json: await create({}),
    srt: await create({ response_format: "srt" }),
    verbose: await create({ response_format: "verbose_json", timestamp_granularities: ["word"] }),
    events,
    translation: await client.audio.translations.create({ file: file(), model: "whisper-1" }),
  };
}

async function refusal() {
  try {
    await client.audio.speech.create({ model, voice: "nobody", input: "Hello." });
  } catch (error) {
    const { status, code, param, requestID } = error;
    return { isNotFound: error instanceof OpenAI.NotFoundError, status, code, param, requestID };
  }
}

const models = await client.models.list();
console.log(
  JSON.stringify({
    models: models.data,
    model: await client.models.retrieve(models.data[0].id),
    chat: await client.chat.completions.create(asked),
    streamed: await streamed(),
    speech: await speech(),
    transcripts: await transcripts(),
    refusal: await refusal(),
  }),
);
