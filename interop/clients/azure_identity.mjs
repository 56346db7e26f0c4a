import { ClientCertificateCredential, OnBehalfOfCredential } from '@azure/identity';
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from './lines.mjs';

await serve(async (s) => {
  const tenant = new URL(s.authority).pathname.slice(1);
  const options = {
    authorityHost: new URL(s.authority).origin,
    disableInstanceDiscovery: s.known,
    sendCertificateChain: s.chain,
  };
  const pem = s.cert + s.key;
  const credential = new ClientCertificateCredential(tenant, s.clientID, { certificate: pem }, options);
  return {
    token: async ({ scope, claims }) =>
      (await credential.getToken(scope, { claims, enableCae: true, tenantId: tenant })).token,
    obo: async ({ scope, assertion }) => {
      const folder = await mkdtemp(join(tmpdir(), 'certtoken-')); // it takes no other form
      try {
        const file = join(folder, 'private.pem');
        await writeFile(file, pem, { mode: 0o600 });
        const user = new OnBehalfOfCredential({
          tenantId: tenant, clientId: s.clientID, certificatePath: file, userAssertionToken: assertion, ...options,
        });
        return (await user.getToken(scope)).token;
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  };
});
