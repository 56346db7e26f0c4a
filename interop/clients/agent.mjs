// Ways to ask a local agent for a token: one as a managed identity by each library, and
// one as an OAuth client with a secret.
import { DefaultAzureCredential, ManagedIdentityCredential } from '@azure/identity';
import { ManagedIdentityApplication } from '@azure/msal-node';
import * as openid from 'openid-client';
import { serve } from './lines.mjs';

await serve(async (s) => {
  const byIdentity = (credential) => async ({ scope }) => (await credential.getToken(scope)).token;
  const bySecret = (authentication) => async ({ scope }) => {
    const server = { issuer: s.endpoint, token_endpoint: s.endpoint };
    const config = new openid.Configuration(server, s.clientID, undefined, authentication(s.secret));
    openid.allowInsecureRequests(config);
    return (await openid.clientCredentialsGrant(config, { scope })).access_token;
  };
  return {
    managed: byIdentity(new ManagedIdentityCredential()),
    user: byIdentity(new ManagedIdentityCredential({ clientId: s.clientID })),
    default: byIdentity(new DefaultAzureCredential()),
    msal: async ({ scope }) =>
      (await new ManagedIdentityApplication().acquireToken({ resource: scope.replace('/.default', '') })).accessToken,
    basic: bySecret(openid.ClientSecretBasic),
    post: bySecret(openid.ClientSecretPost),
  };
});
