// Writes PFX and encrypted PKCS #8 files with node-forge.
//
//	node forge.js PKI OUT
'use strict';
const fs = require('fs');
const path = require('path');
const forge = require('node-forge');

const [pki, out] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(pki, name), 'latin1');
const crt = (name) => forge.pki.certificateFromPem(read(name + '.crt.pem'));
const key = (name) => forge.pki.privateKeyFromPem(read(name + '.key.pem'));
const write = (name, bytes) => fs.writeFileSync(path.join(out, name), bytes, 'latin1');

function pfx(name, k, certs, password, options) {
	const asn1 = forge.pkcs12.toPkcs12Asn1(k && key(k), certs && certs.map(crt), password, options);
	write(name + '.p12', forge.asn1.toDer(asn1).getBytes());
}

const chain = ['inter2', 'inter1', 'root'];
pfx('forge-default', 'leaf', ['leaf', ...chain], 'secret', {});
pfx('forge-self', 'self', ['self'], 'secret', {});
pfx('forge-3des', 'leaf', ['leaf', ...chain], 'secret', {algorithm: '3des'});
pfx('forge-3des-self', 'self', ['self'], 'secret', {algorithm: '3des', friendlyName: 'My app'});
pfx('forge-aes256', 'self', ['self'], 'secret', {algorithm: 'aes256'});
pfx('forge-empty', 'self', ['self'], '', {algorithm: '3des'});
pfx('forge-cafirst', 'leaf', ['root', 'inter1', 'inter2', 'leaf'], 'secret', {algorithm: '3des'});
pfx('forge-aes192', 'self', ['self'], 'secret', {algorithm: 'aes192'});
pfx('forge-prf512', 'self', ['self'], 'secret', {algorithm: 'aes256', prfAlgorithm: 'sha512', count: 10000, saltSize: 16});
pfx('forge-prf384', 'self', ['self'], 'secret', {algorithm: 'aes256', prfAlgorithm: 'sha384'});
pfx('forge-nomac', 'self', ['self'], 'secret', {algorithm: 'aes128', useMac: false});
pfx('forge-nolocalkeyid', 'leaf', ['inter1', 'root', 'leaf', 'inter2'], 'secret', {generateLocalKeyId: false});
pfx('forge-nopassword', 'self', ['self'], null, {});
pfx('forge-nopassword-nomac', 'leaf', ['leaf', ...chain], null, {useMac: false});
pfx('forge-localkeyid', 'leaf', ['leaf', ...chain], 'secret', {localKeyId: '01000000'});
pfx('forge-umlaut', 'self', ['self'], 'Grüße, Zoë', {algorithm: '3des'});
pfx('forge-umlaut-aes', 'self', ['self'], 'Grüße, Zoë', {algorithm: 'aes256'});
pfx('forge-certonly', null, ['self'], 'secret', {});
pfx('forge-keyonly', 'self', null, 'secret', {generateLocalKeyId: false});
pfx('forge-mismatch', 'self', ['self2'], 'secret', {});

for (const [name, options] of [['aes256', {algorithm: 'aes256'}], ['3des', {algorithm: '3des'}], ['des', {algorithm: 'des'}]]) {
	const pem = forge.pki.encryptRsaPrivateKey(key('self'), 'secret', options);
	write(`forge-p8-${name}.pem`, pem + read('self.crt.pem'));
}
// The traditional form.
for (const algorithm of ['aes128', 'aes256', '3des', 'des']) {
	const pem = forge.pki.encryptRsaPrivateKey(key('self'), 'secret', {algorithm, legacy: true});
	write(`forge-dek-${algorithm}.pem`, read('self.crt.pem') + pem);
}
