import * as oauth from 'oauth4webapi';
import { importPKCS8 } from 'jose';
import { serve } from './lines.mjs';

await serve(async (s) => {
  const issuer = new URL(s.authority);
  const server = await oauth.processDiscoveryResponse(issuer,
    await oauth.discoveryRequest(issuer, { algorithm: s.entra ? 'oidc' : 'oauth2' }));
  const me = { client_id: s.clientID };
  const proof = oauth.PrivateKeyJwt(await importPKCS8(s.key, s.alg), {
    [oauth.modifyAssertion]: (header, claims) => {
      if (s.entra) { // its audience isn't the issuer
        claims.aud = server.token_endpoint;
        header.typ = 'JWT';
        header[s.header] = s.header === 'x5t' ? s.x5t : s.x5tS256;
      }
    },
  });
  let refreshToken;
  return {
    token: async ({ scope }) =>
      (await oauth.processClientCredentialsResponse(server, me,
        await oauth.clientCredentialsGrantRequest(server, me, proof, new URLSearchParams({ scope })))).access_token,
    obo: async ({ scope, assertion }) =>
      (await oauth.processGenericTokenEndpointResponse(server, me,
        await oauth.genericTokenEndpointRequest(server, me, proof, 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          { assertion, requested_token_use: 'on_behalf_of', scope }))).access_token,
    code: async ({ scope, redirectURI }) => {
      const verifier = oauth.generateRandomCodeVerifier();
      const state = oauth.generateRandomState();
      const nonce = oauth.generateRandomNonce();
      const url = new URL(server.authorization_endpoint);
      url.search = new URLSearchParams({
        client_id: s.clientID, redirect_uri: redirectURI, response_type: 'code', scope: `openid offline_access ${scope}`,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', state, nonce,
      });
      const response = await fetch(url, { redirect: 'manual' }); // is the browser
      const back = oauth.validateAuthResponse(server, me, new URL(response.headers.get('location')), state);
      const answer = await oauth.authorizationCodeGrantRequest(server, me, proof, back, redirectURI, verifier);
      const tokens = await oauth.processAuthorizationCodeResponse(server, me, answer, { expectedNonce: nonce, requireIdToken: true });
      await oauth.validateApplicationLevelSignature(server, answer);
      refreshToken = tokens.refresh_token;
      return tokens.access_token;
    },
    refresh: async () =>
      (await oauth.processRefreshTokenResponse(server, me,
        await oauth.refreshTokenGrantRequest(server, me, proof, refreshToken))).access_token,
  };
});
