// A resource by oauth4webapi: each job is a request, and its token is the answer if both
// token (RFC 9068) and DPoP proof (RFC 9449) are good.
import * as oauth from 'oauth4webapi';
import { serve } from './lines.mjs';

await serve(async ({ issuer, jwks, audience }) => ({
  check: async ({ method, url, authorization, dpop }) => {
    const headers = { authorization };
    if (dpop) headers.dpop = dpop;
    const as = { issuer, jwks_uri: `${issuer}/jwks` };
    const claims = await oauth.validateJwtAccessToken(as, new Request(url, { method, headers }), audience, {
      requireDPoP: true,
      [oauth.customFetch]: async () => Response.json(jwks),
    });
    return claims.cnf.jkt;
  },
}));
