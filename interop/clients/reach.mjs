// Loaded before a client (node --import): every TLS connection goes to the test's
// server, under the name that the client asked for. So a client can be used as
// it comes, with Entra ID's own addresses.
import tls from 'node:tls';
import { syncBuiltinESMExports } from 'node:module';

const [host, port] = process.env.REACH.split(':');
const connect = tls.connect;
tls.connect = (options, ...rest) => {
  const name = options.servername || options.host;
  const servername = /^[\d.]+$/.test(name) ? '' : name;
  return connect({ ...options, host, port: Number(port), servername, lookup: undefined }, ...rest);
};
syncBuiltinESMExports();
