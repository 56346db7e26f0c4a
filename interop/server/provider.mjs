// A real authorization server for the tests of this module: oidc-provider with
// the client credentials grant, over TLS on loopback.
//
// It reads lines of JSON from standard input. The first configures it, each
// later one registers a client or replaces one; every line is answered by one.
// When standard input ends, so does the server: it can't outlive its test.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, get } from 'node:https';
import { createInterface } from 'node:readline';
import { Provider, errors } from 'oidc-provider';

// Standard output is for answers; oidc-provider's remarks go elsewhere.
console.info = console.error;
console.warn = console.error;
const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const resource = 'https://api.example';

const clients = new Map();

// Store is the least that oidc-provider needs to remember tokens and used jti.
class Store {
  #entries = new Map();

  #clients;

  constructor(model) {
    this.#clients = model === 'Client' ? clients : undefined;
  }

  async find(id) {
    if (this.#clients) return this.#clients.get(id);
    const entry = this.#entries.get(id);
    return entry && entry.until > Date.now() ? entry.payload : undefined;
  }

  async upsert(id, payload, expiresIn) {
    this.#entries.set(id, { payload, until: Date.now() + (expiresIn ?? 3600) * 1000 });
  }

  async destroy(id) {
    this.#entries.delete(id);
  }
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'server' };
}

// fetchTrusting is fetch with one more trusted certificate, for which Node.js has no option.
function fetchTrusting(ca, url, { headers }) {
  return new Promise((resolve, reject) => {
    get(url, { ca, headers }, async (message) => {
      try {
        const body = Buffer.concat(await message.toArray());
        resolve(new Response(body, { status: message.statusCode, headers: message.headers }));
      } catch (err) {
        reject(err);
      }
    }).on('error', reject);
  });
}

// fapi is the FAPI 2.0 security profile. Section 5.3.2.1 leaves one audience, the
// issuer as one string, and section 5.4.1 leaves PS256, ES256 and Ed25519;
// oidc-provider's switch knows the flows of the profile and leaves these two
// to its configuration. Tokens are bound to the certificate of the TLS connection.
const fapi = {
  enabledJWA: { clientAuthSigningAlgValues: ['PS256', 'ES256', 'EdDSA', 'Ed25519'] },
  features: {
    fapi: { enabled: true, profile: '2.0' },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
    },
  },
  assertJwtClientAuthClaimsAndHeader: (ctx, claims) => {
    if (claims.aud !== ctx.oidc.issuer) {
      throw new errors.InvalidClientAuth('audience (aud) must equal the issuer identifier');
    }
  },
};

// mtls takes the certificate of the TLS connection as proof (RFC 8705 section
// 2.1, by its subject, and 2.2, by the key that is registered), or an assertion,
// and binds tokens to it.
const mtls = {
  clientAuthMethods: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
  features: {
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      certificateBoundAccessTokens: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_subject_dn'
        && ctx.socket.getPeerX509Certificate().subject === expected,
    },
  },
};

// plain takes everything that oidc-provider can.
const plain = {
  ...mtls,
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512',
    'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] },
  features: { ...mtls.features, dPoP: { enabled: true } },
};

// dpop binds tokens to the key of a DPoP proof (RFC 9449), and wants a nonce in it.
const dpop = {
  features: {
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
  },
};

const profiles = {
  plain, fapi, mtls, dpop,
};

// bindsToTLS reports whether all tokens are bound to the certificate of the connection.
const bindsToTLS = (profile) => profile === 'fapi' || profile === 'mtls';

function configuration(profile, lifetimes, ca) {
  const own = profiles[profile];
  return {
    adapter: Store,
    cookies: { keys: ['no browser comes here'] },
    clientAuthMethods: ['private_key_jwt'],
    ...own,
    fetch: (url, options) => fetchTrusting(ca, url, options), // a jwks_uri, which the test serves
    jwks: { keys: [signingKey()] },
    scopes: ['read', 'write', 'admin'],
    ttl: { ClientCredentials: (ctx, token, client) => lifetimes.get(client.clientId) ?? 3600 },
    features: {
      ...own.features,
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: (ctx, indicator) => {
          if (indicator.includes('forbidden')) throw new errors.InvalidTarget();
          return { scope: 'read write admin', accessTokenFormat: 'jwt' };
        },
      },
    },
  };
}

async function start({ key, cert, ca, profile }) {
  const server = createServer({ key, cert, ca, requestCert: profile !== 'dpop', rejectUnauthorized: false });
  // By default a connection is closed that was idle for five seconds, in which moment a client may
  // send its next request over it.
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  const issuer = `https://127.0.0.1:${port}`;
  const lifetimes = new Map();
  const provider = new Provider(issuer, configuration(profile, lifetimes, cert));
  server.on('request', provider.callback());
  return { port, issuer, tokenURL: `${issuer}/token`, lifetimes };
}

function register(server, profile, {
  id, lifetime, jwks, jwksURI, method, subject, bound, dpop,
}) {
  if (lifetime) server.lifetimes.set(id, lifetime);
  clients.set(id, {
    client_id: id,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'read write',
    token_endpoint_auth_method: method ?? 'private_key_jwt',
    tls_client_auth_subject_dn: subject,
    tls_client_certificate_bound_access_tokens: bound || bindsToTLS(profile) || undefined,
    dpop_bound_access_tokens: dpop || profile === 'dpop' || undefined,
    jwks,
    jwks_uri: jwksURI,
  });
}

let server;
let profile;
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (!server) {
    profile = message.profile;
    server = await start(message);
    answer({ port: server.port, issuer: server.issuer, tokenURL: server.tokenURL });
  } else {
    register(server, profile, message);
    answer({ registered: message.id });
  }
}
process.exit(0);
