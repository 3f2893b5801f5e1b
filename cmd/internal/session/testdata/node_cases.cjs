// What programs do with Node's clients. Each case prints one line: its name and how it
// went. DIRECT is the port of a TLS server on localhost that no proxy is needed for.
'use strict';
const http = require('http');
const https = require('https');
const tls = require('tls');
const { Worker } = require('worker_threads');
const { Readable } = require('stream');

const direct = Number(process.env.DIRECT);

function get(client, options, body) {
  return new Promise((resolve, reject) => {
    const req = client.request(options, (res) => {
      let text = '';
      res.on('data', (d) => { text += d; });
      res.on('end', () => resolve(text));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
  });
}

class OwnAgent extends https.Agent {
  createConnection(options, done) {
    return super.createConnection({ ...options, host: 'localhost', port: direct }, done);
  }
}

async function aborted() {
  const controller = new AbortController();
  const res = await fetch('https://api.example.test/endless', { signal: controller.signal });
  const reader = res.body.getReader();
  await reader.read();
  controller.abort();
  try {
    for (;;) {
      if ((await reader.read()).done) return 'ended';
    }
  } catch (e) {
    return e.name;
  }
}

async function inWorker() {
  const worker = new Worker(
    "fetch('https://api.example.test/worker').then((r) => r.text()).then((t) => require('worker_threads').parentPort.postMessage(t))",
    { eval: true });
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}

const many = new https.Agent({ keepAlive: true, maxSockets: 2 });

const cases = {
  'fetch': async () => (await fetch('https://api.example.test/fetch')).text(),
  'fetch captured early': async () => (await early('https://api.example.test/early')).text(),
  'fetch post': async () => (await fetch('https://api.example.test/post', { method: 'POST', body: 'hello' })).text(),
  'fetch headers': async () => (await fetch('https://api.example.test/headers', { headers: { 'X-Key': 'v' } })).text(),
  'fetch stream up': async () => (await fetch('https://api.example.test/stream', {
    method: 'POST', duplex: 'half', body: Readable.toWeb(Readable.from([Buffer.from('one '), Buffer.from('two')])),
  })).text(),
  'fetch redirect': async () => (await fetch('https://api.example.test/redirect')).text(),
  'fetch abort': aborted,
  'fetch over http': async () => (await fetch('http://api.example.test/plain', { headers: { 'X-Key': 'v' } })).text(),
  'fetch no_proxy': async () => (await fetch(`https://localhost:${direct}/local`)).text(),
  'fetch refused': async () => fetch('https://refused.example.test/').then(() => 'answered', (e) => e.cause && 'refused'),
  'fetch in a worker': inWorker,
  'https.get': async () => get(https, 'https://api.example.test/get'),
  'https.request like axios': async () => get(https, {
    hostname: 'api.example.test', port: '', path: '/axios', method: 'POST', timeout: 5000,
    headers: { 'Content-Length': 5 }, agents: { http: undefined, https: undefined }, protocol: 'https:',
  }, 'hello'),
  'https.Agent kept alive': async () =>
    (await Promise.all([1, 2, 3, 4, 5].map((n) => get(https, { host: 'api.example.test', path: '/many', agent: many })))).length + ' answers',
  'https agent false': async () => get(https, { host: 'api.example.test', path: '/single', agent: false }),
  'https own agent': async () => get(https, { host: 'own.example.test', path: '/own', agent: new OwnAgent() }),
  'https own connection': async () => get(https, {
    host: 'own.example.test', defaultPort: 443, path: '/connection',
    createConnection: () => tls.connect({ host: 'localhost', port: direct, servername: 'own.example.test' }),
  }),
  'https no_proxy': async () => get(https, { host: 'localhost', port: direct, path: '/local' }),
  'https refused': async () => get(https, 'https://refused.example.test/').then(() => 'answered', () => 'refused'),
  'http.get': async () => get(http, 'http://api.example.test/plain'),
  'http post': async () => get(http, { host: 'api.example.test', path: '/plain', method: 'POST', headers: { 'X-Key': 'v' } }, 'hello'),
};

const early = globalThis.fetch;

// A case that hangs is one that failed, and must not hold up the rest.
function late() {
  return new Promise((resolve) => setTimeout(resolve, 60000, 'no end').unref());
}

(async () => {
  for (const [name, run] of Object.entries(cases)) {
    const result = await Promise.race([run(), late()]).catch((e) => `${e} ${e.cause || ''}`);
    console.log(`${name}: ${result}`);
  }
  process.exit();
})();
