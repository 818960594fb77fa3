// Checks expectations.yaml with yaml-language-server, the engine of YAML support in VS Code, Neovim and others, over LSP.
//
//   npm ci --prefix tests/editor && node tests/editor/run.mjs [PART-OF-A-NAME]
//
// Each expectation is a document with one `|` where the cursor is. The schemas are the published ones in config/.
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const require = createRequire(join(here, 'package.json'));
const YAML = require('yaml');
const Ajv = require('ajv').default;

const schemas = {
  document: join(root, 'config/gateway.schema.json'),
  fragment: join(root, 'config/gateway.fragment.schema.json'),
};
const settings = {
  validate: true,
  hover: true,
  completion: true,
  hoverSchemaSource: false,
  schemas: {
    [pathToFileURL(schemas.document).href]: ['*.document.yaml'],
    [pathToFileURL(schemas.fragment).href]: ['*.fragment.yaml'],
  },
  schemaStore: { enable: false },
  kubernetesCRDStore: { enable: false },
};

class Server {
  constructor() {
    const program = join(here, 'node_modules/.bin/yaml-language-server');
    this.process = spawn(program, ['--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.process.on('error', (error) => { throw error; });
    this.process.stdout.on('data', (data) => this.read(data));
    this.buffer = Buffer.alloc(0);
    this.requests = new Map();
    this.marks = new Map();
    this.next = 1;
  }

  send(message) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
    this.process.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
    this.process.stdin.write(body);
  }

  read(data) {
    this.buffer = Buffer.concat([this.buffer, data]);
    for (;;) {
      const end = this.buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: *(\d+)/i.exec(this.buffer.subarray(0, end))[1]);
      if (this.buffer.length < end + 4 + length) return;
      const message = JSON.parse(this.buffer.subarray(end + 4, end + 4 + length));
      this.buffer = this.buffer.subarray(end + 4 + length);
      this.take(message);
    }
  }

  take(message) {
    if (message.method === 'workspace/configuration') {
      this.send({ id: message.id, result: message.params.items.map((item) => (item.section === 'yaml' ? settings : null)) });
    } else if (message.method && message.id !== undefined) {
      this.send({ id: message.id, result: null });
    } else if (message.method === 'textDocument/publishDiagnostics') {
      this.marks.get(message.params.uri)?.(message.params.diagnostics);
    } else if (message.id !== undefined) {
      this.requests.get(message.id)(message.result);
    }
  }

  request(method, params) {
    const id = this.next++;
    const response = new Promise((resolve) => this.requests.set(id, resolve));
    this.send({ id, method, params });
    return within(response, `no response to ${method}`);
  }

  notify(method, params) {
    this.send({ method, params });
  }

  async start() {
    await this.request('initialize', {
      processId: process.pid,
      rootUri: pathToFileURL(root).href,
      capabilities: {
        workspace: { configuration: true },
        textDocument: {
          completion: { completionItem: { snippetSupport: true, documentationFormat: ['markdown'] } },
          hover: { contentFormat: ['markdown'] },
        },
      },
    });
    this.notify('initialized', {});
    this.notify('workspace/didChangeConfiguration', { settings: { yaml: settings } });
  }

  /** Opens a text, and returns its address and the marks that the server puts into it. */
  async open(name, text) {
    const uri = pathToFileURL(join('/tmp', name)).href;
    const marks = new Promise((resolve) => this.marks.set(uri, resolve));
    this.notify('textDocument/didOpen', { textDocument: { uri, languageId: 'yaml', version: 1, text } });
    return { uri, marks: await within(marks, `no diagnostics for ${name}`) };
  }

  stop() {
    this.process.kill();
  }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(what)), 30_000); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The text without its cursor, and where the cursor was. */
function cursor(text) {
  const offset = text.indexOf('|');
  if (offset < 0) return { text, position: undefined };
  const before = text.slice(0, offset);
  const line = before.split('\n').length - 1;
  return {
    text: before + text.slice(offset + 1),
    position: { line, character: offset - (before.lastIndexOf('\n') + 1) },
  };
}

const list = (value) => (value === undefined ? [] : [value].flat());

async function check(server, expectation, number) {
  const { name, file = 'document', text: written, at } = expectation;
  const { text, position } = cursor(written);
  const { uri, marks } = await server.open(`${number}.${file}.yaml`, text);
  const faults = [];
  const where = { textDocument: { uri }, position };
  if (expectation.offers || expectation.does_not_offer || expectation.documents) {
    const found = (await server.request('textDocument/completion', where))?.items ?? [];
    const labels = found.map((item) => item.label);
    for (const label of list(expectation.offers)) {
      if (!labels.includes(label)) faults.push(`does not offer ${label}, but ${labels.join(', ') || 'nothing'}`);
    }
    for (const label of list(expectation.does_not_offer)) {
      if (labels.includes(label)) faults.push(`offers ${label}`);
    }
    for (const [label, part] of Object.entries(expectation.documents ?? {})) {
      const item = found.find((item) => item.label === label);
      const about = item?.documentation?.value ?? item?.documentation ?? '';
      if (!about.includes(part)) faults.push(`the text of ${label} is ${JSON.stringify(about)}, without ${JSON.stringify(part)}`);
    }
  }
  if (expectation.hover || expectation.hover_lacks) {
    const found = await server.request('textDocument/hover', where);
    const about = found?.contents?.value ?? '';
    for (const part of list(expectation.hover)) {
      if (!about.includes(part)) faults.push(`the hover is ${JSON.stringify(about)}, without ${JSON.stringify(part)}`);
    }
    for (const part of ['||', ...list(expectation.hover_lacks)]) {
      if (about.includes(part)) faults.push(`the hover is ${JSON.stringify(about)}, with ${JSON.stringify(part)}`);
    }
  }
  const shown = marks.map((mark) => `line ${mark.range.start.line + 1}: ${mark.message}`).join('; ');
  if (expectation.marked !== undefined) {
    const on = (mark) => {
      const line = text.split('\n')[mark.range.start.line] ?? '';
      return (at === undefined || line.includes(at)) && list(expectation.marked).every((part) => mark.message.includes(part));
    };
    if (!marks.some(on)) faults.push(`is not marked as expected: ${shown || 'no marks'}`);
  }
  if (expectation.good && marks.length > 0) faults.push(`is marked: ${shown}`);
  return faults.map((fault) => `${name}: ${fault}`);
}

/** Each good document of the repository, as the editor and as a reader of YAML 1.1 see it. */
async function documents(server) {
  const faults = [];
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(JSON.parse(readFileSync(schemas.document)));
  const examples = readdirSync(join(root, 'config/examples')).filter((name) => name.endsWith('.yaml'));
  const files = ['config/gateway.yaml', 'benches/gateway.yaml', ...examples.map((name) => `config/examples/${name}`)];
  for (const [index, file] of files.entries()) {
    // Without its modeline, which names the schema by a path of its own.
    const text = readFileSync(join(root, file), 'utf8').replace(/^# yaml-language-server:.*$/m, '#');
    const { marks } = await server.open(`good-${index}.document.yaml`, text);
    for (const mark of marks) faults.push(`${file}:${mark.range.start.line + 1}: ${mark.message}`);
    if (!validate(YAML.parse(text, { version: '1.1', merge: false }))) {
      faults.push(`${file}, read as YAML 1.1: ${JSON.stringify(validate.errors)}`);
    }
  }
  return { faults, count: files.length };
}

const only = process.argv[2] ?? '';
const expectations = YAML.parse(readFileSync(join(here, 'expectations.yaml'), 'utf8')).filter(({ name }) => name.includes(only));
const server = new Server();
let faults = [];
let count = 0;
try {
  await server.start();
  for (const [number, expectation] of expectations.entries()) {
    faults.push(...(await check(server, expectation, number)));
    count += 1;
  }
  if (only === '') {
    const good = await documents(server);
    faults = faults.concat(good.faults);
    count += good.count;
  }
} finally {
  server.stop();
}
for (const fault of faults) console.error(`FAIL ${fault}`);
console.log(`editor: ${count} places and documents, ${faults.length} faults`);
process.exit(faults.length === 0 && count > 0 ? 0 : 1);
