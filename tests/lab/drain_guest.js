#!/usr/bin/env node
// A guest with a WebSocket: drain_guest.js URL sends a number every 50 ms and takes it back. Says "open", then "echoed N" for
// every tenth that came back; when the other side closes, "closed CODE".
'use strict';
const WebSocket = require('ws');

const socket = new WebSocket(process.argv[2], { perMessageDeflate: false });
let sent = 0, echoed = 0, timer;
socket.on('open', () => {
    console.log('open');
    timer = setInterval(() => {
        if (socket.readyState === WebSocket.OPEN)
            socket.send(String(sent++));
    }, 50);
});
socket.on('message', (data) => {
    if (data.toString() !== String(echoed++))
        console.log('wrong');
    if (echoed % 10 === 0)
        console.log(`echoed ${echoed}`);
});
socket.on('error', (error) => console.log(error.message));
socket.on('close', (code) => {
    clearInterval(timer);
    console.log(`closed ${code}`);
});
