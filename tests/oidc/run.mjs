// Tokens of oidc-provider, a certified OpenID provider, as the gateway sees them: discovery, rotation, an outage.
//
//   npm ci --prefix tests/oidc && node tests/oidc/run.mjs target/debug/gatewright
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Provider from 'oidc-provider';

const gateway = resolve(process.argv[2] ?? 'target/debug/gatewright');
const folder = mkdtempSync(join(tmpdir(), 'oidc-'));
const failures = [];

function check(what, found, expected) {
  const good = found === expected;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${what}${good ? '' : `: ${found}, expected ${expected}`}`);
  if (!good) failures.push(what);
}

function key(kid, type) {
  const { privateKey } = type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: type === 'ec' ? 'ES256' : 'RS256' };
}

// A provider whose first key signs. The port stays the same, because the issuer does.
let port = 0;
async function provide(keys) {
  const issuer = () => `http://127.0.0.1:${port}`;
  const configuration = {
    jwks: { keys },
    clients: [{ client_id: 'shop', client_secret: 'shop-secret-shop-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    scopes: ['orders'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({ scope: 'orders', audience: resource, accessTokenTTL: 300, accessTokenFormat: 'jwt', jwt: { sign: { alg: keys[0].alg } } }),
      },
    },
  };
  const { createServer } = await import('node:http');
  let handler = (_, response) => response.writeHead(503).end();
  const server = createServer((request, response) => handler(request, response));
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  port = server.address().port;
  handler = new Provider(issuer(), configuration).callback();
  return {
    issuer: issuer(),
    end: () => new Promise((ended) => { server.close(ended); server.closeAllConnections(); }),
  };
}

// A provider that restarts closes its connections, which `fetch` may only notice when it uses one.
const ask = (url, options) => fetch(url, options).catch(() => fetch(url, options));

async function token(issuer, audience = 'urn:orders') {
  const { token_endpoint: endpoint } = await (await ask(`${issuer}/.well-known/openid-configuration`)).json();
  const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'orders', resource: audience });
  const authorization = `Basic ${Buffer.from('shop:shop-secret-shop-secret').toString('base64')}`;
  const response = await (await ask(endpoint, { method: 'POST', headers: { authorization }, body })).json();
  if (!response.access_token) throw new Error(JSON.stringify(response));
  return response.access_token;
}

async function start(issuer) {
  writeFileSync(join(folder, 'gateway.yaml'), `version: 1
listeners: { web: { address: "127.0.0.1:0" } }
health: { ready: /ready }
plugins:
  login: { jwt: { issuer: "${issuer}", audiences: ["urn:orders"], algorithms: [RS256, ES256], jwks: { discovery: true, refresh: 2s } } }
  orders: { authorize: { scope: orders } }
routes:
  me: { path: /me, plugins: [login, orders], respond: { text: me } }
telemetry: { logs: { format: json, access: {} } }
`);
  const child = spawn(gateway, ['run', 'gateway.yaml'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  const address = await new Promise((found, lost) => {
    child.stdout.on('data', (data) => {
      text += data;
      const line = text.split('\n').find((line) => line.includes('"listening"'));
      if (line) found(JSON.parse(line).address);
    });
    child.on('exit', () => lost(new Error(`the gateway did not start: ${text}`)));
  });
  const base = `http://${address.replace(/^http:\/\//, '')}`;
  return {
    get: async (path, bearer) => (await ask(base + path, { headers: bearer ? { authorization: `Bearer ${bearer}` } : {} })).status,
    end: () => new Promise((ended) => { child.removeAllListeners('exit'); child.on('exit', ended); child.kill('SIGKILL'); }),
  };
}

async function until(status, attempt, seconds = 15) {
  let last;
  for (let i = 0; i < seconds * 10; i += 1) {
    last = await attempt();
    if (last === status) return last;
    await sleep(100);
  }
  return last;
}

const [first, second] = [key('first', 'rsa'), key('second', 'ec')];
let provider = await provide([first]);
let proxy = await start(provider.issuer);
try {
  const old = await token(provider.issuer);
  check('a token of the provider passes', await until(200, () => proxy.get('/me', old)), 200);
  check('no token does not', await proxy.get('/me'), 401);
  check('a token for another audience does not', await proxy.get('/me', await token(provider.issuer, 'urn:billing')), 401);
  check('a token that was changed does not', await proxy.get('/me', old.slice(0, -4) + (old.endsWith('AAAA') ? 'BBBB' : 'AAAA')), 401);

  await provider.end();
  provider = await provide([second, first]);
  const fresh = await token(provider.issuer);
  check('after a rotation, a token of the new key passes at once', await proxy.get('/me', fresh), 200);
  check('and so does one of the old key', await proxy.get('/me', old), 200);

  await provider.end();
  check('while the provider is down, known keys are used', await proxy.get('/me', fresh), 200);
  await proxy.end();
  proxy = await start(`http://127.0.0.1:${port}`);
  check('a gateway that starts meanwhile rejects what it cannot verify', await proxy.get('/me', fresh), 503);
  check('and is not ready', await proxy.get('/ready'), 503);

  provider = await provide([second]);
  check('once the provider is back, tokens pass', await until(200, () => proxy.get('/me', fresh)), 200);
  check('and the gateway is ready', await until(200, () => proxy.get('/ready')), 200);
  check('a key that was removed is not accepted', await until(401, () => proxy.get('/me', old)), 401);
} finally {
  await proxy.end();
  await provider.end();
  rmSync(folder, { recursive: true });
}
if (failures.length > 0) {
  console.error(`${failures.length} failed`);
  process.exit(1);
}
