import { ConfidentialClientApplication } from '@azure/msal-node';
import { serve } from './lines.mjs';

await serve(async (s) => {
  const client = new ConfidentialClientApplication({
    auth: {
      clientId: s.clientID,
      authority: s.authority,
      knownAuthorities: s.known ? [new URL(s.authority).host] : [],
      clientCapabilities: ['cp1'],
      clientCertificate: {
        privateKey: s.key,
        ...(s.header === 'x5t' ? { thumbprint: s.sha1 } : { thumbprintSha256: s.sha256 }),
        ...(s.chain ? { x5c: s.cert } : {}),
      },
    },
  });
  let account;
  return {
    token: async ({ scope, claims }) => (await client.acquireTokenByClientCredential({ scopes: [scope], claims })).accessToken,
    obo: async ({ scope, assertion }) =>
      (await client.acquireTokenOnBehalfOf({ scopes: [scope], oboAssertion: assertion })).accessToken,
    code: async ({ scope, redirectURI, signIn }) => {
      const url = await client.getAuthCodeUrl({ scopes: [scope], redirectUri: redirectURI, state: 'state', nonce: 'nonce' });
      const result = await client.acquireTokenByCode({
        scopes: [scope], redirectUri: redirectURI, code: await follow(url), state: 'state', nonce: 'nonce',
      }, { state: 'state' });
      account = result.account;
      return result.accessToken;
    },
    refresh: async ({ scope }) => (await client.acquireTokenSilent({ scopes: [scope], account, forceRefresh: true })).accessToken,
  };
});

// follow is the browser.
async function follow(url) {
  const response = await fetch(url, { redirect: 'manual' });
  return new URL(response.headers.get('location')).searchParams.get('code');
}
