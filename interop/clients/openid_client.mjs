import * as client from 'openid-client';
import { importPKCS8 } from 'jose';
import { serve } from './lines.mjs';

await serve(async (s) => {
  const key = await importPKCS8(s.key, s.alg);
  const config = await client.discovery(new URL(s.authority), s.clientID, undefined, client.PrivateKeyJwt(key, {
    [client.modifyAssertion]: (header) => {
      header.typ = 'JWT';
      header[s.header] = s.header === 'x5t' ? s.x5t : s.x5tS256;
    },
  }));
  let refreshToken;
  return {
    token: async ({ scope }) => (await client.clientCredentialsGrant(config, { scope })).access_token,
    obo: async ({ scope, assertion }) =>
      (await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:jwt-bearer', {
        assertion, requested_token_use: 'on_behalf_of', scope,
      })).access_token,
    code: async ({ scope, redirectURI }) => {
      const pkceCodeVerifier = client.randomPKCECodeVerifier();
      const expectedState = client.randomState();
      const expectedNonce = client.randomNonce();
      const url = client.buildAuthorizationUrl(config, {
        redirect_uri: redirectURI, scope: `openid offline_access ${scope}`,
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
        state: expectedState, nonce: expectedNonce,
      });
      const response = await fetch(url, { redirect: 'manual' }); // is the browser
      client.enableNonRepudiationChecks(config); // verifies the ID token's signature too
      const tokens = await client.authorizationCodeGrant(config, new URL(response.headers.get('location')), {
        pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true,
      });
      refreshToken = tokens.refresh_token;
      return tokens.access_token;
    },
    // dpop gets a token with a proof, and calls the API with it. Both may ask for a nonce.
    dpop: async ({ scope, url }) => {
      const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
      const tokens = await client.clientCredentialsGrant(config, { scope }, { DPoP });
      if (tokens.token_type !== 'dpop') throw new Error(`the token is ${tokens.token_type}`);
      const response = await client.fetchProtectedResource(
        config, tokens.access_token, new URL(url), 'GET', undefined, undefined, { DPoP },
      );
      if (response.status !== 200) throw new Error(`the API answered ${response.status}`);
      return tokens.access_token;
    },
    refresh: async () => (await client.refreshTokenGrant(config, refreshToken)).access_token,
  };
});
