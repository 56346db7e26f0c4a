// Better Auth with its OAuth provider for the tests of this module, over TLS on loopback.
//
// It reads lines of JSON from standard input. The first configures it, each later one
// registers a client or replaces one; every line is answered by one. When standard input
// ends, so does the server: it can't outlive its test.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { oauthProvider, oauthProviderAuthServerMetadata, oauthProviderOpenIdConfigMetadata }
  from '@better-auth/oauth-provider';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';

// Standard output is for answers.
console.log = console.error;
console.info = console.error;
console.warn = console.error;
const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const models = ['user', 'session', 'account', 'verification', 'jwks', 'oauthClient', 'oauthResource',
  'oauthClientResource', 'oauthRefreshToken', 'oauthAccessToken', 'oauthConsent', 'oauthClientAssertion'];
const database = Object.fromEntries(models.map((model) => [model, []]));

// withPrimaryKey is the adapter with what databases have and memory hasn't, and by which a
// used assertion is found: no two rows of one id.
const withPrimaryKey = (make) => (options) => {
  const adapter = make(options);
  return {
    ...adapter,
    create: async (row) => {
      const { model, data } = row;
      if (model === 'oauthClientAssertion'
        && await adapter.findOne({ model, where: [{ field: 'id', value: data.id }] })) {
        throw new Error('the id exists');
      }
      return adapter.create(row);
    },
  };
};

let auth;
let administrator; // the header of the session

async function start({ key, cert, ca }) {
  const server = createServer({ key, cert, ca, requestCert: true, rejectUnauthorized: false });
  // By default a connection is closed that was idle for five seconds, in which moment a client may
  // send its next request over it.
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const base = `https://127.0.0.1:${server.address().port}`;
  auth = betterAuth({
    baseURL: base,
    secret: randomBytes(32).toString('base64'),
    database: withPrimaryKey(memoryAdapter(database)),
    rateLimit: { enabled: false }, // all clients of the tests have one address
    telemetry: { enabled: false },
    emailAndPassword: { enabled: true },
    plugins: [jwt(), oauthProvider({
      clientPrivileges: () => true, // the one user is the administrator
      loginPage: '/login',
      consentPage: '/consent',
      scopes: ['openid', 'read', 'write', 'admin'],
      silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
    })],
  });
  const { headers } = await auth.api.signUpEmail({
    body: { name: 'admin', email: 'admin@example.com', password: randomBytes(16).toString('hex') },
    returnHeaders: true,
  });
  administrator = new Headers({ cookie: headers.get('set-cookie').split(';')[0] });
  // Its documentation has the application serve the metadata at the well-known addresses.
  const metadata = {
    '/.well-known/oauth-authorization-server/api/auth': oauthProviderAuthServerMetadata(auth),
    '/api/auth/.well-known/openid-configuration': oauthProviderOpenIdConfigMetadata(auth),
  };
  const handler = toNodeHandler(auth);
  server.on('request', async (req, res) => {
    const serve = metadata[req.url];
    if (!serve) return handler(req, res);
    const response = await serve(new Request(base + req.url));
    res.writeHead(response.status, Object.fromEntries(response.headers));
    return res.end(Buffer.from(await response.arrayBuffer()));
  });
  const issuer = `${base}/api/auth`;
  return { issuer, tokenURL: `${issuer}/oauth2/token` };
}

// register makes a client as an administrator does, and gives it the name that it is asked for.
async function register({
  id, jwks, jwksURI, dpop,
}) {
  const made = await auth.api.adminCreateOAuthClient({
    headers: administrator,
    body: {
      token_endpoint_auth_method: 'private_key_jwt',
      grant_types: ['client_credentials'],
      client_credentials_scopes: ['read', 'write'],
      jwks: jwks && { keys: jwks.keys },
      jwks_uri: jwksURI,
      dpop_bound_access_tokens: dpop,
    },
  });
  const rows = database.oauthClient;
  database.oauthClient = rows.filter((row) => row.clientId !== id);
  database.oauthClient.find((row) => row.clientId === made.client_id).clientId = id;
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  try {
    if (auth) {
      await register(message);
      answer({ registered: message.id });
    } else {
      answer(await start(message));
    }
  } catch (err) {
    answer({ error: err?.body?.error_description ?? err.message });
  }
}
process.exit(0);
