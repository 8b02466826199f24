#!/usr/bin/env node
// A load balancer in front of the edge: proxied.js ADDRESS CLIENT PATH sends a PROXY header (version 1) that names CLIENT, and
// gets PATH of the join host behind it. Prints the status.
'use strict';
const net = require('net');
const tls = require('tls');

const [address, client, path] = process.argv.slice(2);
const balancer = net.connect({ host: address, port: 443, localAddress: '198.51.100.77' }, () => {
    balancer.write(`PROXY TCP4 ${client} ${address} 5555 443\r\n`);
    const guest = tls.connect({ socket: balancer, servername: 'join.example.com', ALPNProtocols: ['http/1.1'] });
    let text = '';
    guest.on('data', (data) => { text += data; });
    guest.on('close', () => console.log((/^HTTP\/1\.1 (\d+)/.exec(text) || [])[1]));
    guest.write(`GET ${path} HTTP/1.1\r\nHost: join.example.com\r\nConnection: close\r\n\r\n`);
});
