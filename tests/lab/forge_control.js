#!/usr/bin/env node
// An edge that was taken over and lies on the control channel (stdin and stdout): forge_control.js CLAIMED NEXT FILE says that
// its host key is CLAIMED, whatever the one is that its SSH server has shown, and offers NEXT to use from now on; as soon as
// core wants that, it says that it does. What core has told it about keys is written to FILE, a line of JSON each.
'use strict';
const fs = require('fs');
const [claimed, next, file] = process.argv.slice(2);

function say(message) {
    const text = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(text.length);
    process.stdout.write(Buffer.concat([head, text]));
}

const answers = {
    hello: ({ version, protocol }) => say({ type: 'welcome', version, protocol, edge: 'edge1', data_channels: 1, revision: 1,
        config_revision: 1, time: Math.floor(Date.now() / 1000) }),
    ping: ({ id }) => say({ type: 'pong', id, time: Math.floor(Date.now() / 1000) }),
    policy: ({ revision }) => say({ type: 'policy_ack', revision }),
    config_prepare: ({ revision }) => say({ type: 'config_prepared', revision }),
    config_commit: ({ revision }) => say({ type: 'config_committed', revision }),
    keys: (message) => {
        fs.appendFileSync(file, JSON.stringify(message) + '\n');
        say({ type: 'keys_ack', id: message.id, host_key: message.use_host_key === next ? next : claimed, next_host_key: next, secrets: '' });
    },
};

let seen = Buffer.alloc(0);
process.stdin.on('data', (data) => {
    seen = Buffer.concat([seen, data]);
    while (seen.length >= 4 && seen.length >= 4 + seen.readUInt32BE(0)) {
        const message = JSON.parse(seen.subarray(4, 4 + seen.readUInt32BE(0)));
        seen = seen.subarray(4 + seen.readUInt32BE(0));
        (answers[message.type] || (() => {}))(message);
    }
});
