// The official Node SDK asks the server for everything a client needs; what comes back goes to standard output
// as one JSON object, for test_node_sdk.py to judge.
//
//   node main.mjs http://127.0.0.1:8000/v1 recording.wav

import { createReadStream, readFileSync } from "node:fs";
import { connect } from "node:net";
import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { WebSocket } from "ws";

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

// The SDK opens wss: addresses only; here no proxy stands before the server that would have a certificate.
class PlainWebSocket extends WebSocket {
  constructor(url, protocols) {
    super(String(url).replace("wss:", "ws:"), protocols);
  }
}
const { hostname, port } = new URL(baseURL);
const plain = { createConnection: () => connect({ host: hostname, port }) };

// The key goes in a header of `ws`, and of a browser's WebSocket in a subprotocol.
function realtime(Link) {
  globalThis.WebSocket ??= PlainWebSocket;
  const link = new Link({ model: "gpt-realtime", options: plain }, client);
  const { max_tokens: max_output_tokens, ...rest } = sampling;
  const content = [{ type: "input_text", text: "Hello world." }];
  const input = [{ type: "message", role: "user", content }];
  return new Promise((resolve, reject) => {
    const [kinds, data] = [[], []];
    link.on("error", reject);
    link.on("event", ({ type }) => kinds.at(-1) === type || kinds.push(type));
    link.on("session.created", () =>
      link.send({ type: "session.update", session: { type: "realtime", max_output_tokens, ...rest } }),
    );
    link.on("session.updated", () =>
      link.send({ type: "response.create", response: { conversation: "none", input } }),
    );
    link.on("response.output_audio.delta", ({ delta }) => data.push(delta));
    link.on("response.done", ({ response }) => {
      link.close();
      resolve({ kinds, data, status: response.status });
    });
  });
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
    realtime: [await realtime(OpenAIRealtimeWS), await realtime(OpenAIRealtimeWebSocket)],
    refusal: await refusal(),
  }),
);
